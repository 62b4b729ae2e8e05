// 32 lanes' registers to memory and back where all is simple: every active lane's bytes lie at one host address plus the
// lane's 32-bit offset, and somebody has seen that they are inside. LDS and GLOBAL with a scalar base, in fast mode, on a
// host with AVX-512. Bits and order of the stores are those of the plain way.
//
// 16 lanes at a time. Lanes that lie side by side (in a row, or four by four when each has 16 bytes) move as whole vectors.
#pragma once

#include "isa/execute/lane_data.h"

#if defined(__x86_64__)

namespace amlm::isa {

// No active lane's offset is above `last`.
AMLM_LANES bool all_up_to(const u32* offset, u32 mask, u32 last) {
  const __m512i limit = _mm512_set1_epi32(i32(last));
  return (_mm512_mask_cmpgt_epu32_mask(__mmask16(mask), _mm512_loadu_si512(offset), limit) |
          _mm512_mask_cmpgt_epu32_mask(__mmask16(mask >> 16), _mm512_loadu_si512(offset + 16), limit)) == 0;
}

namespace lane_memory {

// Of the active lanes among 16, each lies `bytes` behind the one before it, counted from lane 0, which is active.
template <u32 bytes>
AMLM_LANES bool in_a_row(__m512i at, __mmask16 lanes) {
  const __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i first = _mm512_broadcastd_epi32(_mm512_castsi512_si128(at));
  const __m512i row = _mm512_add_epi32(first, _mm512_mullo_epi32(number, _mm512_set1_epi32(bytes)));
  return (lanes & 1) != 0 && _mm512_mask_cmpneq_epi32_mask(lanes, row, at) == 0;
}

// All 16 lanes: each four lie side by side with 16 bytes each.
AMLM_LANES bool four_by_four(__m512i at, __mmask16 lanes) {
  const __m512i behind = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 16, 32, 48));
  const __m512i row = _mm512_add_epi32(_mm512_shuffle_epi32(at, _MM_PERM_AAAA), behind);
  return lanes == 0xffff && _mm512_cmpneq_epi32_mask(row, at) == 0;
}

// Row i: dword i of 16 lanes.
struct Rows { __m512i row[4]; };
// Part i: 16 bytes of each of the lanes i, i + 4, i + 8, i + 12; or of lanes 4i .. 4i + 3.
struct Parts { __m512i part[4]; };

AMLM_LANES Parts spread_parts(const Rows& x) {
  const __m512i low01 = _mm512_unpacklo_epi32(x.row[0], x.row[1]), high01 = _mm512_unpackhi_epi32(x.row[0], x.row[1]);
  const __m512i low23 = _mm512_unpacklo_epi32(x.row[2], x.row[3]), high23 = _mm512_unpackhi_epi32(x.row[2], x.row[3]);
  return {{_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
           _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)}};
}
AMLM_LANES Rows rows_of_spread(const Parts& x) {   // the same exchange takes them back
  const Parts rows = spread_parts({{x.part[0], x.part[1], x.part[2], x.part[3]}});
  return {{rows.part[0], rows.part[1], rows.part[2], rows.part[3]}};
}

// 4 x 4 pieces of 16 bytes, rows for columns.
AMLM_LANES void exchange_pieces(__m512i* x) {
  const __m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44), b = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
  const __m512i c = _mm512_shuffle_i32x4(x[2], x[3], 0x44), d = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
  x[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  x[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
  x[2] = _mm512_shuffle_i32x4(b, d, 0x88);
  x[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}
AMLM_LANES __m512i dwords_exchanged(__m512i x) {   // 4 x 4 dwords of one vector
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), x);
}
AMLM_LANES Rows rows_of_adjacent(const Parts& x) {
  Rows rows;
  for (u32 i = 0; i < 4; ++i) rows.row[i] = dwords_exchanged(x.part[i]);
  exchange_pieces(rows.row);
  return rows;
}
AMLM_LANES Parts adjacent_parts(const Rows& x) {
  Parts parts{{x.row[0], x.row[1], x.row[2], x.row[3]}};
  exchange_pieces(parts.part);
  for (u32 i = 0; i < 4; ++i) parts.part[i] = dwords_exchanged(parts.part[i]);
  return parts;
}

AMLM_LANES __m128i load_16(const u8* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }

AMLM_LANES __m512i load_spread(const u8* base, const u32* at) {
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(base + at[0])), load_16(base + at[4]), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(base + at[8])), load_16(base + at[12]), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// All 16 lanes: each as far behind the one before it as the second behind the first, without a wrap.
AMLM_LANES bool evenly_apart(const u32* at, u32 apart, __mmask16 lanes) {
  const __m512i number = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i row = _mm512_add_epi32(_mm512_set1_epi32(i32(at[0])),
                                       _mm512_mullo_epi32(number, _mm512_set1_epi32(i32(apart))));
  return lanes == 0xffff && u64{at[0]} + 15ull * apart == at[15] &&
         _mm512_cmpneq_epi32_mask(row, _mm512_loadu_si512(at)) == 0;
}
AMLM_LANES __m512i load_apart(const u8* from, u64 apart) {
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(from)), load_16(from + 4 * apart), 1);
  const u8* behind = from + 8 * apart;
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load_16(behind)), load_16(behind + 4 * apart), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Offsets of lanes that are off become 0: as good as any other.
AMLM_LANES Rows load_rows(const u8* base, const u32* offset, __mmask16 lanes) {
  Parts parts;
  if (four_by_four(_mm512_loadu_si512(offset), lanes)) {
    for (u32 i = 0; i < 4; ++i) parts.part[i] = _mm512_loadu_si512(base + offset[4 * i]);
    return rows_of_adjacent(parts);
  }
  const u32 apart = offset[1] - offset[0];
  if (evenly_apart(offset, apart, lanes)) {
    for (u32 i = 0; i < 4; ++i) parts.part[i] = load_apart(base + offset[0] + u64(i) * apart, apart);
    return rows_of_spread(parts);
  }
  alignas(64) u32 at[16];
  _mm512_store_si512(at, _mm512_maskz_loadu_epi32(lanes, offset));
  for (u32 i = 0; i < 4; ++i) parts.part[i] = load_spread(base, at + i);
  return rows_of_spread(parts);
}

AMLM_LANES void put_rows(const Rows& rows, u32* registers, __mmask16 lanes) {
  for (u32 i = 0; i < 4; ++i) _mm512_mask_storeu_epi32(registers + i * half_lanes, lanes, rows.row[i]);
}

AMLM_LANES void load_128(const u8* base, const u32* offset, u32 mask, u32* registers) {
  const __mmask16 low_lanes = __mmask16(mask), high_lanes = __mmask16(mask >> 16);
  const __mmask16 unlike = _mm512_cmpneq_epi32_mask(_mm512_loadu_si512(offset), _mm512_loadu_si512(offset + 16));
  if (mask == ~0u && unlike == 0) {   // operands of WMMA: the same again
    const Rows rows = load_rows(base, offset, low_lanes);
    put_rows(rows, registers, low_lanes);
    put_rows(rows, registers + 16, low_lanes);
    return;
  }
  if (low_lanes != 0) put_rows(load_rows(base, offset, low_lanes), registers, low_lanes);
  if (high_lanes != 0) put_rows(load_rows(base, offset + 16, high_lanes), registers + 16, high_lanes);
}

// Lanes 4k .. 4k + 3.
template <int k>
AMLM_LANES void store_group(u8* base, const u32* at, const Parts& parts) {
  for (u32 i = 0; i < 4; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(base + at[4 * k + i]), _mm512_extracti32x4_epi32(parts.part[i], k));
}

AMLM_LANES void store_128(u8* base, const u32* at, __mmask16 lanes, const u32* registers) {
  Rows rows;
  for (u32 i = 0; i < 4; ++i) rows.row[i] = _mm512_loadu_si512(registers + i * half_lanes);
  if (four_by_four(_mm512_loadu_si512(at), lanes)) {
    const Parts parts = adjacent_parts(rows);
    for (u32 i = 0; i < 4; ++i) _mm512_storeu_si512(base + at[4 * i], parts.part[i]);
    return;
  }
  const Parts parts = spread_parts(rows);
  if (lanes == 0xffff) {
    store_group<0>(base, at, parts);
    store_group<1>(base, at, parts);
    store_group<2>(base, at, parts);
    store_group<3>(base, at, parts);
    return;
  }
  alignas(64) u8 bytes[4][4][16];
  for (u32 i = 0; i < 4; ++i) _mm512_store_si512(bytes[i], parts.part[i]);
  for (u32 left = lanes; left != 0; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(base + at[lane]), load_16(bytes[lane % 4][lane / 4]));
  }
}

// 16 lanes in a row with 8 bytes each: their low and high dwords side by side, and apart again.
AMLM_LANES void load_row_64(const u8* base, u32* registers) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i first = _mm512_loadu_si512(base), second = _mm512_loadu_si512(base + 64);
  _mm512_storeu_si512(registers, _mm512_permutex2var_epi32(first, even, second));
  _mm512_storeu_si512(registers + half_lanes,
                     _mm512_permutex2var_epi32(first, _mm512_add_epi32(even, _mm512_set1_epi32(1)), second));
}
AMLM_LANES __m512i lanes_of_64(const u32* registers, u32 first) {   // eight lanes
  const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return _mm512_permutex2var_epi32(_mm512_loadu_si512(registers), _mm512_add_epi32(index, _mm512_set1_epi32(i32(first))),
                                   _mm512_loadu_si512(registers + half_lanes));
}
AMLM_LANES void store_64(u8* base, const u32* at, __mmask16 lanes, const u32* registers) {
  if (lanes == 0xffff && in_a_row<8>(_mm512_loadu_si512(at), lanes)) {
    _mm512_storeu_si512(base + at[0], lanes_of_64(registers, 0));
    _mm512_storeu_si512(base + at[0] + 64, lanes_of_64(registers, 8));
    return;
  }
  for (u32 left = lanes; left != 0; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    collect<Shape{8}>(registers, lane, base + at[lane]);
  }
}

}  // namespace lane_memory

// `registers` and `offset` may be the same registers.
template <Shape shape>
AMLM_LANES void load_lanes(const u8* base, const u32* offset, u32 mask, u32* registers) {
  if constexpr (shape.bytes == 16) return lane_memory::load_128(base, offset, mask, registers);
  for (u32 first = 0; first < half_lanes; first += 16) {
    const __mmask16 lanes = __mmask16(mask >> first);
    const __m512i at = _mm512_loadu_si512(offset + first);
    if constexpr (shape.bytes == 4) {
      if (lane_memory::in_a_row<4>(at, lanes)) {
        const __m512i loaded = _mm512_maskz_loadu_epi32(lanes, base + offset[first]);
        _mm512_mask_storeu_epi32(registers + first, lanes, loaded);
        continue;
      }
    } else if constexpr (shape.bytes == 8) {
      if (lanes == 0xffff && lane_memory::in_a_row<8>(at, lanes)) {
        lane_memory::load_row_64(base + offset[first], registers + first);
        continue;
      }
    }
    if (lanes == 0xffff) {
      for (u32 lane = first; lane < first + 16; ++lane) deposit<shape>(registers, lane, base + offset[lane]);
      continue;
    }
    for (u32 left = lanes; left != 0; left &= left - 1) {
      const u32 lane = first + u32(std::countr_zero(left));
      deposit<shape>(registers, lane, base + offset[lane]);
    }
  }
}

template <Shape shape>
AMLM_LANES void store_lanes(u8* base, const u32* offset, u32 mask, const u32* registers) {
  for (u32 first = 0; first < half_lanes; first += 16) {
    const __mmask16 lanes = __mmask16(mask >> first);
    const u32* at = offset + first;
    if constexpr (shape.bytes == 16) {
      lane_memory::store_128(base, at, lanes, registers + first);
    } else if constexpr (shape.bytes == 8) {
      lane_memory::store_64(base, at, lanes, registers + first);
    } else {
      if constexpr (shape.bytes == 4) {
        if (lane_memory::in_a_row<4>(_mm512_loadu_si512(at), lanes)) {
          _mm512_mask_storeu_epi32(base + at[0], lanes, _mm512_loadu_si512(registers + first));
          continue;
        }
      }
      for (u32 left = lanes; left != 0; left &= left - 1) {
        const u32 lane = u32(std::countr_zero(left));
        collect<shape>(registers + first, lane, base + at[lane]);
      }
    }
  }
}

}  // namespace amlm::isa

#endif
