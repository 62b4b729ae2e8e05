#include "tools/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tools/terminal.h"

namespace amlm::tools {

namespace {

// More than any text or code object that a command can use; /dev/zero has no end of its own.
constexpr std::size_t most_bytes = 256u << 20;

Error cannot(const std::string& path, const char* what) {
  const int error = errno;
  if (error == EINTR && interrupted()) return {ErrorCode::interrupted, error, "interrupted"};
  if (error == EISDIR) return {ErrorCode::file, error, fmt::format("{} is a folder: a file is wanted", path)};
  return {ErrorCode::file, error, fmt::format("{} cannot be {}: {}", path, what, std::strerror(error))};
}

struct Descriptor {
  int fd = -1;
  bool owned = true;
  ~Descriptor() {
    if (owned && fd >= 0) close(fd);
  }
};

template <class Bytes>
Result<Bytes> read_all(const std::string& path, bool standard_input) {
  const Descriptor file{standard_input ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC), !standard_input};
  const std::string name = standard_input ? "standard input" : path;
  if (file.fd < 0) return std::unexpected(cannot(name, "opened"));
  Bytes bytes;
  for (;;) {
    const std::size_t before = bytes.size();
    bytes.resize(before + 65536);
    const ssize_t got = read(file.fd, bytes.data() + before, 65536);
    bytes.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (got < 0 && !(errno == EINTR && !interrupted())) return std::unexpected(cannot(name, "read"));
    if (bytes.size() > most_bytes)
      return fail(ErrorCode::file, fmt::format("{} is longer than {} MiB: no such text or code object is read", name,
                                               most_bytes >> 20));
  }
}

}  // namespace

Result<std::vector<u8>> read_file(const std::string& path) { return read_all<std::vector<u8>>(path, false); }

Result<std::string> read_text(const std::string& path) { return read_all<std::string>(path, path == "-"); }

Result<void> check_readable(const std::string& path) {
  struct stat status {};
  if (path == "-") return {};
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) errno = EISDIR;
  else if (access(path.c_str(), R_OK) == 0) return {};
  return std::unexpected(cannot(path, "opened"));
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
