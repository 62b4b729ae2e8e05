// V_WMMA_F16_16X16X16_F16 for hosts with AVX-512: the steps of dot2_packed, with the same bits.
#include "isa/execute/silicon_wmma.h"

#if defined(__x86_64__)
#include "isa/execute/host_vectors.h"

namespace amlm::isa::silicon {
namespace {

// The arithmetic is that of silicon_wmma.cpp: three terms as f32 that carry 2^56 are multiplied by a power of two, whose
// field is n = 95 - top, and cut off to integers on the grid of 2^(top - 24). Two things differ.
//
// The accumulator: an f16, its exponent floored at -14 where the grid is chosen (zeros too), so that n is at most
// 97 + 14 and no zero factor ever decides.
//
// The rounding: once, from the sum's integer to f16. It goes through an f32 that is cut off and has its last bit set
// when that lost something (rounding to odd), which does not change what the second rounding sees.
constexpr u32 exponent_mask = 0x7f800000;
constexpr u32 floor_field = (127 + 56 - 14) << 23;         // of an accumulator that carries 2^56: exponent -14
constexpr u32 grid_of_field = (97u + 127 + 56) << 23;      // less that field: n; the difference fits
constexpr u32 weight_of_grid = (95 - 24 + 127) << 23;      // less n: the bits of the grid's weight
constexpr f32 carried = 0x1p56f;
constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC, cut_off = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

AMLM_WMMA_LANES __m512 widen(__m256i halves) {
  return _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(carried));
}

// One row: A's two factors and signs, B's, the least n of the products in the upper words.
struct Products {
  f32 a[2];
  __m512 b[2];
  u32 a_signs;
  __m512i b_signs, shift;
};

AMLM_WMMA_LANES __m256i step(__m256i half, const Products& p) {
  const __m512 sum = widen(half);
  const __m512i bits = _mm512_castps_si512(sum);
  const __m512i field = _mm512_max_epu32(_mm512_and_epi32(bits, dwords(exponent_mask)), dwords(floor_field));
  const __m512i shift = _mm512_min_epu16(p.shift, _mm512_sub_epi32(dwords(grid_of_field), field));   // lower words: 0
  __m512i units[2];
  for (int i = 0; i < 2; i++) {
    const __m512 product = _mm512_mul_ps(_mm512_set1_ps(p.a[i]), p.b[i]);
    units[i] = _mm512_cvttps_epi32(_mm512_mul_ps(product, _mm512_castsi512_ps(shift)));
  }
  const __m512i third = _mm512_cvttps_epi32(_mm512_mul_ps(sum, _mm512_castsi512_ps(shift)));
  // A negative product counts one less; two are added when the accumulator is negative.
  const __m512i twice = _mm512_srli_epi32(_mm512_and_epi32(bits, dwords(0x80000000)), 30);
  const __m512i complements = _mm512_dpbusd_epi32(twice, dwords(p.a_signs), p.b_signs);
  const __m512i total = _mm512_add_epi32(_mm512_add_epi32(units[0], units[1]), _mm512_add_epi32(third, complements));
  const __m512i cut = _mm512_castps_si512(_mm512_cvt_roundepi32_ps(total, cut_off));
  const __mmask16 lost = _mm512_cmpneq_epi32_mask(_mm512_cvttps_epi32(_mm512_castsi512_ps(cut)), total);
  const __m512 odd = _mm512_castsi512_ps(_mm512_mask_or_epi32(cut, lost, cut, dwords(1)));
  const __m512 value = _mm512_mul_ps(odd, _mm512_castsi512_ps(_mm512_sub_epi32(dwords(weight_of_grid), shift)));
  const __m256i result = _mm512_cvtps_ph(value, nearest);
  return _mm256_maskz_mov_epi16(_mm256_test_epi16_mask(result, _mm256_set1_epi16(0x7fff)), result);   // no -0
}

}  // namespace

AMLM_AVX512_WMMA bool wmma_half_avx512(const WmmaRows& a, const WmmaColumns& b, const u32* c, u32* d, u32 shift) {
  alignas(32) u16 results[8][2][16];
  __m256i greatest = _mm256_setzero_si256();
  const auto note = [&](__m256i half) AMLM_AVX512_WMMA {
    greatest = _mm256_max_epu16(greatest, _mm256_slli_epi16(half, 1));
  };
  for (int row = 0; row < 16; row++) {
    const int parity = row % 2, half = b.halves == 1 ? 0 : parity;
    const __m512i accumulators = _mm512_loadu_si512(c + 16 * row);
    __m256i sum = _mm512_cvtepi32_epi16(_mm512_srl_epi32(accumulators, _mm_cvtsi32_si128(i32(shift))));
    note(sum);
    // Rows 4 i + parity stand in the upper words of their shifts, rows 4 i + parity + 2 in the lower ones.
    const int pair = 4 * parity + row / 4, up = (row & 2) != 0 ? 16 : 0;
    for (int v = 0; v < 8; v++) {
      const u32* rows = &a.shift[v][pair];
      const __m512i least = _mm512_min_epu16(
          _mm512_add_epi16(dwords(rows[0]), _mm512_load_si512(b.shift[half][2 * v])),
          _mm512_add_epi16(dwords(rows[8]), _mm512_load_si512(b.shift[half][2 * v + 1])));
      sum = step(sum, {{a.factor[2 * v][row], a.factor[2 * v + 1][row]},
                       {_mm512_load_ps(b.factor[half][2 * v]), _mm512_load_ps(b.factor[half][2 * v + 1])},
                       a.signs[v][row], _mm512_slli_epi32(_mm512_load_si512(b.signs[half][v]), 2),
                       _mm512_sll_epi32(least, _mm_cvtsi32_si128(up))});
      note(sum);
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(results[row / 2][parity]), sum);
  }
  if (_mm256_cmpge_epu16_mask(greatest, _mm256_set1_epi16(i16(0x7c00 << 1))) != 0) return false;
  const __m512i kept = dwords(~(0xffffu << shift));
  for (int v = 0; v < 8; v++)
    for (int parity = 0; parity < 2; parity++) {
      const __m512i old = _mm512_and_epi32(_mm512_loadu_si512(d + 32 * v + 16 * parity), kept);
      const __m256i half = _mm256_load_si256(reinterpret_cast<const __m256i*>(results[v][parity]));
      const __m512i placed = _mm512_sll_epi32(_mm512_cvtepu16_epi32(half), _mm_cvtsi32_si128(i32(shift)));
      _mm512_storeu_si512(d + 32 * v + 16 * parity, _mm512_or_epi32(old, placed));
    }
  return true;
}

}  // namespace amlm::isa::silicon

#else

namespace amlm::isa::silicon {
bool wmma_half_avx512(const WmmaRows&, const WmmaColumns&, const u32*, u32*, u32) { return false; }
}  // namespace amlm::isa::silicon

#endif
