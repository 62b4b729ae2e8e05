#include "tools/files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
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
  if (!file.flush()) return fail(ErrorCode::file, fmt::format("{} cannot be written: {}", path, std::strerror(errno)), errno);
  return {};
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
