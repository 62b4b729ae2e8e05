#include "tools/files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace amlm::tools {

Result<std::vector<u8>> read_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return fail(ErrorCode::file, path + " is a folder");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", path, std::strerror(errno)), errno);
  return std::vector<u8>(std::istreambuf_iterator<char>(file), {});
}

Result<void> write_file(const std::string& path, std::span<const u8> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush())
    return fail(ErrorCode::file, fmt::format("{} cannot be written: {}", path, std::strerror(errno)), errno);
  return {};
}

namespace {

constexpr u64 most_words = 64 << 20;

Result<std::vector<u32>> read_hexadecimal_words() {
  std::vector<u32> words;
  for (std::string text; std::cin >> text && words.size() < most_words;) {
    const std::string digits = text.starts_with("0x") ? text.substr(2) : text;
    if (digits.empty() || digits.size() > 8 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      return fail(ErrorCode::usage, fmt::format("\"{}\" on standard input is not a word of 1 to 8 hexadecimal digits",
                                                text));
    words.push_back(static_cast<u32>(std::strtoul(digits.c_str(), nullptr, 16)));
  }
  if (words.empty()) return fail(ErrorCode::usage, "no words on standard input");
  return words;
}

}  // namespace

Result<std::vector<u32>> read_words(const std::string& path) {
  if (path == "-") return read_hexadecimal_words();
  const std::vector<u8> bytes = TRY(read_file(path));
  if (bytes.empty() || bytes.size() % 4 != 0 || bytes.size() / 4 > most_words)
    return fail(ErrorCode::file, fmt::format("{} has {} bytes: not a positive number of dwords, at most {}", path,
                                             bytes.size(), most_words));
  std::vector<u32> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

Result<u64> parse_address(const std::string& text, const char* option) {
  char* end = nullptr;
  errno = 0;
  const u64 address = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != 0 || errno != 0 || text[0] == '-' || address % 4 != 0)
    return fail(ErrorCode::usage, fmt::format("{} {}: an address is a whole number that 4 divides, such as 0x1000", option,
                                              text));
  return address;
}

TemporaryFolder::TemporaryFolder() {
  std::error_code error;
  std::string name = (std::filesystem::temp_directory_path(error) / "amlm-XXXXXX").string();
  if (!error && mkdtemp(name.data()) != nullptr) path = std::move(name);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  if (!path.empty()) std::filesystem::remove_all(path, error);
}

}  // namespace amlm::tools
