// The bytes of an untrusted model file. The header is copied into memory as parsing walks it (32 MiB at most); tensor
// data is read with pread. The file is never mapped: a mapping of a file that shrinks, or of a network file whose
// server goes away, kills the process with SIGBUS at any access; pread answers with an error instead.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "driver/base.h"

namespace amlm {

class ByteSource {
 public:
  static constexpr u64 header_limit_bytes = u64{32} << 20;

  // Only a regular file (or a link to one). ErrorCode::file with the reason and the remedy otherwise.
  static Result<std::shared_ptr<ByteSource>> open(const std::string& path);
  // Bytes of the caller, which must outlive the source. For tests and the fuzzer.
  static std::shared_ptr<ByteSource> from_bytes(std::span<const u8> bytes, std::string name);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }
  u64 size_bytes() const { return size_bytes_; }
  // Makes the first `end` bytes readable through header(); end <= size_bytes() and <= header_limit_bytes (check).
  Result<void> load_header(u64 end);
  // Stays where it is for the life of the source; valid up to what load_header was asked for.
  const u8* header() const { return header_; }
  // From any thread. ErrorCode::file when the file has become shorter or cannot be read.
  Result<void> read(u64 offset_bytes, std::span<u8> target) const;

 private:
  ByteSource() = default;
  std::string name_;
  int fd_ = -1;
  u64 size_bytes_ = 0;
  const u8* header_ = nullptr;
  u8* header_mapping_ = nullptr;     // anonymous, reserved once, filled piece by piece: views into it never move
  u64 header_reserved_ = 0, header_loaded_ = 0;
  bool in_memory_ = false;
};

// A key, name or path from a file as it may be shown to a person: quoted, control bytes escaped, at most 80 bytes.
std::string quoted(std::string_view text);

}  // namespace amlm
