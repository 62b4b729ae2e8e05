// The arguments of a kernel that `amlm asm --run` starts: `--arg KIND:VALUE`, in order.
//
//   u32:7  i32:-1  f32:1.5  u64:0x10  f16:0.5      numbers, at their natural alignment
//   zero:BYTES       so many zero bytes, at 8 bytes' alignment: what the kernel does not read
//   buf:BYTES        a zeroed buffer;  buf:BYTES=FILE is filled from FILE, buf:BYTES=random from a fixed seed,
//                    buf:BYTES=iota with 0, 1, 2, ... as u32, buf:BYTES=iota_f32 with the same as f32
#pragma once

#include <array>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::tools {

struct KernelArgument {
  enum class Kind : u8 { number, buffer };
  Kind kind = Kind::number;
  u32 size_bytes = 4;            // in the kernarg segment
  u32 alignment_bytes = 4;
  u64 bits = 0;                  // of a number
  u64 buffer_bytes = 0;          // of a buffer
  std::vector<u8> contents;      // of a buffer; shorter than it: zeros follow
};

Result<KernelArgument> parse_kernel_argument(const std::string& text);

// "8,1,1" or "8" -> {8, 1, 1}; each at least 1.
Result<std::array<u32, 3>> parse_triple(const std::string& text, const char* option);

}  // namespace amlm::tools
