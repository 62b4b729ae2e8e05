// How one lane's bytes in memory and its registers correspond: whole dwords, sign- or zero-extended bytes and halves,
// and the d16 forms that leave the other half of the register alone.
#pragma once

#include <bit>
#include <cstring>

#include "isa/execute/wave.h"

namespace amlm::isa {

enum class Part : u8 { whole, low, high };

// bytes: 1, 2, 4, 8, 12, 16. `is_signed` and `part` matter for 1 and 2 only.
struct Shape {
  u32 bytes;
  bool is_signed = false;
  Part part = Part::whole;
};

// `registers` is the first VGPR's lanes; the next VGPR's follow 32 words later.
template <Shape shape>
inline void deposit(u32* registers, u32 lane, const u8* from) {
  if constexpr (shape.bytes >= 4) {
    u32 words[shape.bytes / 4];
    std::memcpy(words, from, shape.bytes);
    for (u32 i = 0; i < shape.bytes / 4; ++i) registers[i * half_lanes + lane] = words[i];
  } else {
    u32 value = from[0];
    if constexpr (shape.bytes == 2) value |= u32(from[1]) << 8;
    if constexpr (shape.is_signed) value = u32(i32(value << (32 - 8 * shape.bytes)) >> (32 - 8 * shape.bytes));
    u32& to = registers[lane];
    if constexpr (shape.part == Part::whole) to = value;
    else if constexpr (shape.part == Part::low) to = (to & 0xffff0000u) | (value & 0xffffu);
    else to = (to & 0xffffu) | value << 16;
  }
}

template <Shape shape>
inline void collect(const u32* registers, u32 lane, u8* to) {
  if constexpr (shape.bytes >= 4) {
    u32 words[shape.bytes / 4];
    for (u32 i = 0; i < shape.bytes / 4; ++i) words[i] = registers[i * half_lanes + lane];
    std::memcpy(to, words, shape.bytes);
  } else {
    const u32 value = registers[lane] >> (shape.part == Part::high ? 16 : 0);
    std::memcpy(to, &value, shape.bytes);
  }
}

// Calls `act(lane)` for each active lane; the full mask is the common case and gets its own loop.
template <class Act>
inline void for_lanes(u32 mask, Act&& act) {
  if (mask == ~0u) {
    for (u32 lane = 0; lane < half_lanes; ++lane) act(lane);
  } else {
    for (; mask; mask &= mask - 1) act(u32(std::countr_zero(mask)));
  }
}

}  // namespace amlm::isa
