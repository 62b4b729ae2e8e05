// Whole files in and out, with one sentence when it cannot be done.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::tools {

Result<std::vector<u8>> read_file(const std::string& path);
// A prompt or a text; `-` is standard input. A pipe is read to its end, Ctrl-C ends the wait.
Result<std::string> read_text(const std::string& path);
// Says early, before a model is loaded, that a later read_text of the path would fail. Reads nothing.
Result<void> check_readable(const std::string& path);
Result<void> write_file(const std::string& path, std::span<const u8> bytes);

// The dwords of a binary file; of "-", hexadecimal words on standard input, with or without 0x. At most 256 MiB.
Result<std::vector<u32>> read_words(const std::string& path);
// "0x100070120" or decimal, as option `option` gives it.
Result<u64> parse_address(const std::string& text, const char* option);

// A folder that goes away with everything in it. `path` is empty when it could not be made.
struct TemporaryFolder {
  std::string path;
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
};

}  // namespace amlm::tools
