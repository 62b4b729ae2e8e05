// How one lane's bytes in memory and its registers correspond: whole dwords, sign- or zero-extended bytes and halves,
// and the d16 forms that leave the other half of the register alone.
#pragma once

#include <bit>
#include <cstring>

#include "isa/execute/host_vectors.h"

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

// The same for all 32 lanes: `from(lane)` is where a lane's bytes are. 16-byte loads go four lanes at a time through a
// 4 x 4 transpose, which halves the number of memory operations.
template <Shape shape, class From>
inline void deposit_all(u32* registers, From&& from) {
  if constexpr (shape.bytes == 16) {
    for (u32 lane = 0; lane < half_lanes; lane += 4) {
      const auto row = [&](u32 i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from(lane + i))); };
      const __m128i a = row(0), b = row(1), c = row(2), d = row(3);
      const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
      const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
      const auto put = [&](u32 i, __m128i x) {
        _mm_store_si128(reinterpret_cast<__m128i*>(registers + i * half_lanes + lane), x);
      };
      put(0, _mm_unpacklo_epi64(ab_low, cd_low));
      put(1, _mm_unpackhi_epi64(ab_low, cd_low));
      put(2, _mm_unpacklo_epi64(ab_high, cd_high));
      put(3, _mm_unpackhi_epi64(ab_high, cd_high));
    }
  } else {
    for (u32 lane = 0; lane < half_lanes; ++lane) deposit<shape>(registers, lane, from(lane));
  }
}

// For the active lanes.
template <Shape shape, class From>
inline void deposit_lanes(u32* registers, u32 mask, From&& from) {
  if (mask == ~0u) return deposit_all<shape>(registers, from);
  for (; mask; mask &= mask - 1) {
    const u32 lane = u32(std::countr_zero(mask));
    deposit<shape>(registers, lane, from(lane));
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
