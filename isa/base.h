// The integer types and the one assertion that all of isa/ uses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace amlm {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using f32 = float;
using f64 = double;

}  // namespace amlm

namespace amlm::isa {

// A bug of the caller: abort, in release builds too.
inline void check(bool holds, const char* what) {
  if (holds) [[likely]] return;
  std::fprintf(stderr, "amlm: isa: check failed: %s\n", what);
  std::abort();
}

}  // namespace amlm::isa
