#include "tools/source_lines.h"

#include <fmt/format.h>

#include <cstdio>
#include <sstream>

#include "tools/program.h"

namespace amlm::tools {

SourceLines::SourceLines(const std::string& dump) {
  std::map<unsigned, std::string> names;
  unsigned file = 0, line = 0, column = 0;
  std::istringstream text(dump);
  for (std::string row; std::getline(text, row);) {
    unsigned long long address = 0;
    if (row.starts_with("debug_line[")) {
      names.clear();
    } else if (row.starts_with("file_names[")) {
      file = static_cast<unsigned>(std::strtoul(row.c_str() + sizeof("file_names[") - 1, nullptr, 10));
    } else if (const auto at = row.find(" name: \""); at != std::string::npos) {
      const auto start = at + sizeof(" name: \"") - 1;
      names[file] = row.substr(start, row.rfind('"') - start);
    } else if (std::sscanf(row.c_str(), "0x%llx %u %u %u", &address, &line, &column, &file) == 4 &&
               row.find("end_sequence") == std::string::npos) {
      lines_[address] = fmt::format("{}:{}", names[file], line);
    }
  }
}

std::string SourceLines::at(u64 address) const {
  const auto found = lines_.find(address);
  return found == lines_.end() ? std::string() : found->second;
}

SourceLines read_source_lines(const std::string& code_object_path) {
  const auto reader = find_llvm_program({"llvm-dwarfdump-19", "llvm-dwarfdump"});
  if (!reader) return {};
  const auto dump = run_program({*reader, "--debug-line", code_object_path});
  return dump && dump->exit_code == 0 ? SourceLines(dump->output) : SourceLines();
}

}  // namespace amlm::tools
