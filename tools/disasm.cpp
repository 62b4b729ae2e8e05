// amlm disasm: one of amlm's own kernels, or the kernels of a code object, as assembly.
#include <fmt/format.h>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "isa/disasm.h"
#include "kernels/kernels.h"
#include "tools/commands.h"
#include "tools/kernel_symbols.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  std::string kernel, file;
  bool list = false;
};

Result<std::vector<u8>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", path, std::strerror(errno)), errno);
  return std::vector<u8>(std::istreambuf_iterator<char>(file), {});
}

Result<void> disassemble_kernels(const Options& options) {
  std::vector<u8> bytes;
  if (options.file.empty()) {
    const auto embedded = kernels::code_object();
    bytes.assign(embedded.begin(), embedded.end());
  } else {
    bytes = TRY(read_file(options.file));
  }
  const auto symbols = TRY(read_kernel_symbols(bytes));
  bool found = false;
  for (const auto& symbol : symbols) {
    if (options.list) {
      std::printf("%-28s %6u bytes\n", symbol.name.c_str(), symbol.size_bytes);
      found = true;
    } else if (options.kernel.empty() || symbol.name == options.kernel) {
      std::vector<u32> words(symbol.size_bytes / 4);
      std::memcpy(words.data(), bytes.data() + symbol.file_offset, words.size() * 4);
      std::printf("%s:\n%s", symbol.name.c_str(), isa::disassemble(words, symbol.address).c_str());
      found = true;
    }
  }
  if (!found)
    return fail(ErrorCode::usage, fmt::format("no kernel named {}: `amlm disasm --list` shows all", options.kernel));
  return {};
}

}  // namespace

void add_disasm(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("disasm", "Prints a kernel as assembly");
  auto options = std::make_shared<Options>();
  command->add_option("kernel", options->kernel, "name of the kernel; all when left out");
  command->add_option("--file", options->file, "a code object (.co) instead of amlm's own kernels")->type_name("FILE");
  command->add_flag("--list", options->list, "names and sizes only");
  command->callback([options, &invocation] {
    auto done = disassemble_kernels(*options);
    invocation.exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace amlm::tools
