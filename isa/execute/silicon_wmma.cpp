#include "isa/execute/silicon_wmma.h"

#if defined(__x86_64__)
#include "isa/execute/host_vectors.h"

namespace amlm::isa::silicon {
namespace {

constexpr int xor3 = 0x96;            // ternary logic tables: x ^ y ^ z,
constexpr int and_or = 0xea;          // (x & y) | z,
constexpr int xor_and = 0x28;         // (x ^ y) & z,
constexpr int select = 0xca;          // x ? y : z,
constexpr int or_xor = 0xf6;          // x | (y ^ z)
constexpr i32 no_exponent = -4096;    // of a zero: far below every other
constexpr i32 exponent_bias = 129;    // of an accumulator: f32's 127, and two bits below its leading one

// ---- WMMA ------------------------------------------------------------------------------------------------------
//
// A step puts three numbers on a grid of 2^(top - 24), cuts them off there, adds the integers and rounds the sum to 24
// bits. Here all of it is f32 whose exponents are moved: factors carry 2^28, so that a product p is held as p * 2^56,
// exactly; accumulators carry 2^56 as well. The shift to the grid is kept as the bits of a power of two,
//   n = (95 - top) << 23 = least of (95 - the factors' exponents) << 23 and (153 - the accumulator's field) << 23,
// by which a product is multiplied, while the accumulator gets it added to its exponent field: 153 is that of 2^26,
// where the leading bit of an accumulator stands that decides the grid. Conversion to integers truncates. The sum,
// rounded by the conversion back, loses n from its exponent field and is the next accumulator; the subtraction saturates
// and so keeps a sum of 0 at 0.
//
// The complement (-m - 1) of what has not the accumulator's sign, as integers without a frame: all products that are
// negative count one less; when the accumulator is negative, two are added. A product of factors with signs s and t
// counts -(s xor t) = s (2 t - 1) - t, so all of it is a dot product of bytes, into which a shift that fills the lower
// end from the accumulator brings twice its sign. Signs of zeros matter, so an accumulator of -0 goes another way.
//
// Zeros: a factor of 0 has so large an n that it never decides. An accumulator of +0 has 153 << 23, the largest that can
// decide; beside a product that is not 0 it becomes less than 1 and is cut off; alone it becomes 2^26, which absorbs the
// complements in rounding and is then subtracted.
//
// Accumulators start at +0 or between 2^-54 and 2^64; then no step leaves that range but to 0 or through products,
// whose exponents lie within -28 .. 30: nothing overflows, nothing is subnormal, bit 30 of an accumulator is 0.
constexpr u32 accumulator_scale = 71u << 23;              // f32's bits less this: times 2^56, as our field counts
constexpr f32 unscale = 0x1p71f;                          // back
constexpr u32 lowest_field = 127 - 54, end_field = 127 + 64;
constexpr u32 one_at_grid = 153;                          // see above
constexpr i32 rows_bias = 48 + 15, columns_bias = 47 + 15;
constexpr i32 zero_shift = 200;                           // 200 + 200 still fits the 9 bits of a 16-bit word's field

AMLM_LANES __m512i words(u32 x) { return _mm512_set1_epi16(i16(x)); }

// The low halves of 16 lanes as f32, times 2^28. This conversion knows no denormals-are-zero.
AMLM_LANES __m512 widen(__m512i lanes) {
  return _mm512_mul_ps(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes)), _mm512_set1_ps(0x1p28f));
}

// The n of 32 factors, as the upper words of dwords: (bias - field) << 7.
AMLM_LANES __m512i shifts(__m512i magnitudes, i32 bias) {
  const __m512i field = _mm512_max_epu16(_mm512_srli_epi16(magnitudes, 10), words(1));
  return _mm512_mask_slli_epi16(words(zero_shift << 7), _mm512_test_epi16_mask(magnitudes, magnitudes),
                                _mm512_sub_epi16(words(u32(bias)), field), 7);
}

// Word 2 (8 k + 4 parity + i) is that of row 4 i + parity + 2, the one above it that of row 4 i + parity.
struct RowPairs {
  alignas(64) u16 from[32];
  constexpr RowPairs() : from{} {
    for (u16 at = 0; at < 16; at++) {
      const u16 k = at / 8, parity = at / 4 % 2, row = u16(4 * (at % 4) + parity);
      from[2 * at] = u16(2 * (row + 2) + k);
      from[2 * at + 1] = u16(2 * row + k);
    }
  }
};
constexpr RowPairs row_pairs;

// What the steps of 16 columns share.
struct ColumnPair {
  __m512 factor[2];
  __m512i shift[2], signs;
};

AMLM_WMMA_LANES void step(__m512i& sum, const WmmaRows& a, int row, const ColumnPair& b, int v, __m512i shift) {
  __m512i units[2];
  for (int i = 0; i < 2; i++) {
    const __m512 product = _mm512_mul_ps(_mm512_set1_ps(a.factor[2 * v + i][row]), b.factor[i]);
    units[i] = _mm512_cvttps_epi32(_mm512_mul_ps(product, _mm512_castsi512_ps(shift)));
  }
  const __m512i third = _mm512_cvttps_epi32(_mm512_castsi512_ps(_mm512_add_epi32(sum, shift)));
  const __m512i signs = _mm512_shldi_epi32(b.signs, sum, 2);   // byte 0: the sum's sign and its bit 30, which is 0
  const __m512i rest = _mm512_dpbusd_epi32(third, dwords(a.signs[v][row]), signs);
  const __m512i total = _mm512_add_epi32(_mm512_add_epi32(units[0], units[1]), rest);
  // To 24 bits, to nearest even whatever the host's mode.
  const __m512i rounded = _mm512_castps_si512(
      _mm512_cvt_roundepi32_ps(total, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  sum = _mm512_subs_epu16(rounded, shift);
}

// The steps of two rows; their shifts are found together, the first one's in the upper words.
AMLM_WMMA_LANES void two_steps(__m512i& first, __m512i& second, const WmmaRows& a, int row, const ColumnPair& b,
                                       int v, const u32* row_shifts) {
  const __m512i of_products = _mm512_min_epu16(_mm512_add_epi16(dwords(row_shifts[0]), b.shift[0]),
                                               _mm512_add_epi16(dwords(row_shifts[8]), b.shift[1]));
  const __m512i down = _mm512_set4_epi32(0x0f0e, 0x0b0a, 0x0706, 0x0302);
  const __m512i tops = _mm512_mask_shuffle_epi8(first, 0x3333333333333333, second, down);
  const __m512i of_sums = _mm512_sub_epi16(words(one_at_grid << 7), _mm512_and_epi32(tops, words(0x7f80)));
  const __m512i shifts = _mm512_min_epu16(of_products, of_sums);
  step(first, a, row, b, v, _mm512_and_epi32(shifts, dwords(0xffff0000)));
  step(second, a, row + 2, b, v, _mm512_slli_epi32(shifts, 16));
}

// Accumulators that the steps are good for: +0 and those between the ends.
AMLM_LANES bool all_in_range(const u32* c) {
  __m512i lowest = dwords(~0u), highest = dwords(0);
  for (int row = 0; row < 16; row++) {
    const __m512i turned = _mm512_rol_epi32(_mm512_loadu_si512(c + 16 * row), 1);   // +0 becomes 0, -0 1
    lowest = _mm512_min_epu32(lowest, _mm512_sub_epi32(turned, dwords(1)));
    highest = _mm512_max_epu32(highest, turned);
  }
  return (_mm512_cmplt_epu32_mask(lowest, dwords((lowest_field << 24) - 1)) |
          _mm512_cmpge_epu32_mask(highest, dwords(end_field << 24))) == 0;
}

// ---- DOT2 ------------------------------------------------------------------------------------------------------

// Sixteen lanes of two f16 factors taken apart, each half in its place.
struct Pairs {
  __m512i significand, exponent;
  __mmask32 special;
};

AMLM_LANES Pairs split_pairs(__m512i x) {
  const __m512i magnitude = _mm512_and_epi32(x, _mm512_set1_epi16(0x7fff)), field = _mm512_srli_epi16(magnitude, 10);
  const __m512i fraction = _mm512_and_epi32(x, _mm512_set1_epi16(0x3ff));
  return {_mm512_or_epi32(fraction, _mm512_maskz_set1_epi16(_mm512_test_epi16_mask(field, field), 0x400)),
          _mm512_mask_sub_epi16(_mm512_set1_epi16(no_exponent), _mm512_test_epi16_mask(magnitude, magnitude),
                                _mm512_max_epu16(field, _mm512_set1_epi16(1)), _mm512_set1_epi16(15)),
          _mm512_cmpge_epu16_mask(magnitude, _mm512_set1_epi16(0x7c00))};
}

// The lanes whose result is not what this gives: infinities, NaN, overflow.
AMLM_LANES __mmask16 dot2(__m512i a, __m512i b, __m512i c, __m512i& out) {
  const Pairs left = split_pairs(a), right = split_pairs(b);
  const __m512i shifted = _mm512_slli_epi16(left.significand, 4);   // a product's last bit is 2^(exponent - 24)
  const __m512i low_half = _mm512_set1_epi32(0xffff);
  const __m512i product0 = _mm512_madd_epi16(_mm512_and_epi32(shifted, low_half), right.significand);
  const __m512i product1 = _mm512_madd_epi16(_mm512_andnot_epi32(low_half, shifted), right.significand);
  const __m512i exponents = _mm512_add_epi16(left.exponent, right.exponent);
  const __m512i exponent0 = _mm512_srai_epi32(_mm512_slli_epi32(exponents, 16), 16);
  const __m512i exponent1 = _mm512_srai_epi32(exponents, 16);
  const __m512i frame = _mm512_srai_epi32(c, 31), signs = _mm512_ternarylogic_epi32(a, b, frame, xor3);
  const __m512i sign0 = _mm512_srai_epi32(_mm512_slli_epi32(signs, 16), 31), sign1 = _mm512_srai_epi32(signs, 31);
  const __m512i c_field = _mm512_and_epi32(_mm512_srli_epi32(c, 23), _mm512_set1_epi32(0xff));
  const __mmask16 c_nonzero = _mm512_test_epi32_mask(c_field, c_field);   // subnormals count as zero
  const __m512i c_significand = _mm512_maskz_ternarylogic_epi32(
      c_nonzero, _mm512_slli_epi32(c, 3), _mm512_set1_epi32(0x3fffff8), _mm512_set1_epi32(1 << 26), and_or);
  const __m512i c_exponent = _mm512_mask_sub_epi32(_mm512_set1_epi32(no_exponent), c_nonzero, c_field,
                                                   _mm512_set1_epi32(exponent_bias));
  const __m512i top = _mm512_max_epi32(_mm512_max_epi32(exponent0, exponent1), c_exponent);
  // Counts of 32 and more shift everything out. The complement is without its +1.
  const __m512i first = _mm512_xor_epi32(_mm512_srlv_epi32(product0, _mm512_sub_epi32(top, exponent0)), sign0);
  const __m512i second = _mm512_xor_epi32(_mm512_srlv_epi32(product1, _mm512_sub_epi32(top, exponent1)), sign1);
  const __m512i third = _mm512_srlv_epi32(c_significand, _mm512_sub_epi32(top, c_exponent));
  const __m512i units = _mm512_add_epi32(_mm512_add_epi32(first, second), third), magnitude = _mm512_abs_epi32(units);
  const __m512i rounded = _mm512_castps_si512(
      _mm512_cvt_roundepi32_ps(magnitude, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  const __m512i grid = _mm512_sub_epi32(top, _mm512_set1_epi32(24));
  const __m512i field = _mm512_add_epi32(_mm512_srli_epi32(rounded, 23), grid);
  const __mmask16 nonzero = _mm512_mask_test_epi32_mask(_mm512_cmpgt_epi32_mask(field, _mm512_setzero_si512()), magnitude,
                                                        magnitude);
  const __m512i sign = _mm512_ternarylogic_epi32(frame, units, _mm512_set1_epi32(i32(0x80000000)), xor_and);
  out = _mm512_maskz_or_epi32(nonzero, sign, _mm512_add_epi32(rounded, _mm512_slli_epi32(grid, 23)));
  const __mmask16 special = _mm512_cmpgt_epi32_mask(field, _mm512_set1_epi32(254)) |
                            _mm512_cmpeq_epi32_mask(c_field, _mm512_set1_epi32(255));
  const __m512i factors = _mm512_movm_epi16(left.special | right.special);
  return special | _mm512_test_epi32_mask(factors, factors);
}

}  // namespace

bool has_wmma_avx512() {
  static const bool has = has_avx512() && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi2");
  return has;
}

// Register v of A as its rows are taken from the lanes: the odd ones from the upper.
AMLM_LANES __m512i row_factors(const u32* a, int v) {
  return _mm512_mask_loadu_epi32(_mm512_loadu_si512(a + 32 * v), 0xaaaa, a + 32 * v + 16);
}

AMLM_AVX512 bool split_wmma_rows(const u32* m, WmmaRows& out) {
  __m512i greatest = dwords(0);
  const __m512i pairs = _mm512_load_si512(row_pairs.from);
  for (int v = 0; v < 8; v++) {
    const __m512i factors = row_factors(m, v);
    _mm512_store_si512(out.from[v], factors);
    const __m512i magnitudes = _mm512_and_epi32(factors, words(0x7fff));
    greatest = _mm512_max_epu16(greatest, magnitudes);
    _mm512_store_ps(out.factor[2 * v], widen(factors));
    _mm512_store_ps(out.factor[2 * v + 1], widen(_mm512_srli_epi32(factors, 16)));
    _mm512_store_si512(out.shift[v], _mm512_permutexvar_epi16(pairs, shifts(magnitudes, rows_bias)));
    _mm512_store_si512(out.signs[v], _mm512_ternarylogic_epi32(_mm512_srai_epi16(factors, 15), dwords(0x00010100),
                                                               dwords(0x01000001), and_or));
  }
  return _mm512_cmpge_epu16_mask(greatest, words(0x7c00)) == 0;
}

AMLM_AVX512 bool split_wmma_columns(const u32* m, WmmaColumns& out) {
  __m512i greatest = dwords(0), different = dwords(0);
  for (int v = 0; v < 8; v++)
    different = _mm512_ternarylogic_epi32(different, _mm512_loadu_si512(m + 32 * v),
                                          _mm512_loadu_si512(m + 32 * v + 16), or_xor);
  out.halves = _mm512_test_epi32_mask(different, different) == 0 ? 1 : 2;
  for (int half = 0; half < out.halves; half++)
    for (int v = 0; v < 8; v++) {
      const __m512i factors = _mm512_loadu_si512(m + 32 * v + 16 * half);
      _mm512_store_si512(out.from[v], factors);
      const __m512i magnitudes = _mm512_and_epi32(factors, words(0x7fff));
      greatest = _mm512_max_epu16(greatest, magnitudes);
      _mm512_store_ps(out.factor[half][2 * v], widen(factors));
      _mm512_store_ps(out.factor[half][2 * v + 1], widen(_mm512_srli_epi32(factors, 16)));
      const __m512i shift = shifts(magnitudes, columns_bias), turned = _mm512_rol_epi32(shift, 16);
      _mm512_store_si512(out.shift[half][2 * v], _mm512_mask_mov_epi16(shift, 0xaaaaaaaa, turned));
      _mm512_store_si512(out.shift[half][2 * v + 1], _mm512_mask_mov_epi16(shift, 0x55555555, turned));
      const __m512i negative = _mm512_srai_epi16(factors, 15);
      const __m512i single = _mm512_ternarylogic_epi32(negative, dwords(0x00010100), dwords(0x00ffff00), select);
      const __m512i both = _mm512_add_epi32(_mm512_slli_epi32(negative, 24), _mm512_and_epi32(negative, dwords(0xff000000)));
      _mm512_store_si512(out.signs[half][v], _mm512_srli_epi32(_mm512_or_epi32(single, both), 2));
    }
  return _mm512_cmpge_epu16_mask(greatest, words(0x7c00)) == 0;
}

AMLM_AVX512 bool is_split_of(const u32* a, const WmmaRows& rows) {
  __m512i different = dwords(0);
  for (int v = 0; v < 8; v++)
    different = _mm512_ternarylogic_epi32(different, row_factors(a, v), _mm512_load_si512(rows.from[v]), or_xor);
  return _mm512_test_epi32_mask(different, different) == 0;
}

AMLM_AVX512 bool is_split_of(const u32* b, const WmmaColumns& columns) {
  __m512i different = dwords(u32(columns.halves - 1));
  for (int v = 0; v < 8; v++) {
    const __m512i from = _mm512_load_si512(columns.from[v]);
    different = _mm512_ternarylogic_epi32(different, _mm512_loadu_si512(b + 32 * v), from, or_xor);
    different = _mm512_ternarylogic_epi32(different, _mm512_loadu_si512(b + 32 * v + 16), from, or_xor);
  }
  return _mm512_test_epi32_mask(different, different) == 0;
}

AMLM_AVX512_WMMA bool wmma_f16_avx512(const WmmaRows& a, const WmmaColumns& b, const u32* c, u32* d) {
  if (!all_in_range(c)) return false;
  for (int parity = 0; parity < 2; parity++) {   // the even rows have the lower lanes, the odd ones the upper
    const int half = b.halves == 1 ? 0 : parity;
    __m512i sum[8];
    for (int v = 0; v < 8; v++)
      sum[v] = _mm512_subs_epu16(_mm512_loadu_si512(c + 32 * v + 16 * parity), dwords(accumulator_scale));
    for (int v = 0; v < 8; v++) {
      const ColumnPair columns{{_mm512_load_ps(b.factor[half][2 * v]), _mm512_load_ps(b.factor[half][2 * v + 1])},
                               {_mm512_load_si512(b.shift[half][2 * v]), _mm512_load_si512(b.shift[half][2 * v + 1])},
                               _mm512_load_si512(b.signs[half][v])};
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        const int row = 4 * i + parity;
        two_steps(sum[2 * i], sum[2 * i + 1], a, row, columns, v, &a.shift[v][4 * parity + i]);
      }
    }
    for (int v = 0; v < 8; v++)
      _mm512_storeu_si512(d + 32 * v + 16 * parity,
                          _mm512_castps_si512(_mm512_mul_ps(_mm512_castsi512_ps(sum[v]), _mm512_set1_ps(unscale))));
  }
  return true;
}

AMLM_AVX512 u32 dot2_f16_avx512(const u32* a, const u32* b, const u32* c, u32* out) {
  u32 special = 0;
  for (int lane = 0; lane < 32; lane += 16) {
    __m512i result;
    special |= u32(dot2(_mm512_loadu_si512(a + lane), _mm512_loadu_si512(b + lane), _mm512_loadu_si512(c + lane), result))
               << lane;
    _mm512_storeu_si512(out + lane, result);
  }
  return special;
}

}  // namespace amlm::isa::silicon

#else

namespace amlm::isa::silicon {
bool has_wmma_avx512() { return false; }
bool split_wmma_rows(const u32*, WmmaRows&) { return false; }
bool split_wmma_columns(const u32*, WmmaColumns&) { return false; }
bool is_split_of(const u32*, const WmmaRows&) { return false; }
bool is_split_of(const u32*, const WmmaColumns&) { return false; }
bool wmma_f16_avx512(const WmmaRows&, const WmmaColumns&, const u32*, u32*) { return false; }
u32 dot2_f16_avx512(const u32*, const u32*, const u32*, u32*) { return ~0u; }
}  // namespace amlm::isa::silicon

#endif
