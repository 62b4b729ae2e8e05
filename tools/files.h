// Whole files in and out, with one sentence when it cannot be done.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::tools {

Result<std::vector<u8>> read_file(const std::string& path);
Result<void> write_file(const std::string& path, std::span<const u8> bytes);

// A folder that goes away with everything in it. `path` is empty when it could not be made.
struct TemporaryFolder {
  std::string path;
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
};

}  // namespace amlm::tools
