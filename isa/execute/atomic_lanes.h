// What atomics of GLOBAL, FLAT and MUBUF do before the operation itself: a lane's data, and the alignment rule.
#pragma once

#include <fmt/format.h>

#include <bit>

#include "isa/execute/wave.h"

namespace amlm::isa {

// 32 or 64 bits of a lane; the high dwords stand in the next register.
template <class T>
T data_of(const u32* registers, u32 lane) {
  if constexpr (sizeof(T) == 4) return registers[lane];
  else return registers[lane] | u64(registers[half_lanes + lane]) << 32;
}

// False: a fault was raised.
inline bool is_aligned(Wave& wave, const u64* address, u32 mask, u32 bytes) {
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    if (address[lane] % bytes == 0) continue;
    wave.raise("misaligned", fmt::format("atomic of {} bytes at {:#x}, which is not aligned to its size", bytes,
                                         address[lane]), address[lane], lane);
    return false;
  }
  return true;
}

}  // namespace amlm::isa
