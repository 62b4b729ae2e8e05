#include "isa/execute/silicon_wmma.h"

#if defined(__x86_64__)
#include "isa/execute/host_vectors.h"

#define AMLM_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define AMLM_AVX512_INLINE AMLM_AVX512 inline __attribute__((always_inline))

namespace amlm::isa::silicon {
namespace {

constexpr int xor3 = 0x96;            // ternary logic tables: x ^ y ^ z,
constexpr int and_or = 0xea;          // (x & y) | z,
constexpr int xor_and = 0x28;         // (x ^ y) & z
constexpr i32 no_exponent = -4096;    // of a zero: far below every other
constexpr i32 exponent_bias = 129;    // of an accumulator: f32's 127, and two bits below its leading one

// ---- WMMA ------------------------------------------------------------------------------------------------------
//
// The step adds truncated magnitudes, complemented where the signs differ. Complements shift arithmetically as magnitudes
// do logically, so everything is kept complemented when it is negative, and doubled, so that the complement comes out of a
// multiplication: a factor of 2 |a b| s + s, with s = 1 or -1, is such a product's double plus one. What the silicon
// computes in the accumulator's sign frame is then the plain sum, and 3 more when the accumulator is negative.
//
// Exponents rise by `rise` from step to step beside their values: that saves the subtraction in each.
constexpr i32 rise = 154;
// Accumulators start between 2^-60 and 2^60 or at 0: then a step's sum is 0 if and only if its exponent comes out below
// this, and nothing overflows or underflows.
constexpr i32 exponent_range = 60, lowest_exponent = -77;

// One operand: [k][lane]. Factors: the signed significand in the low half, 1 or -1 in the high half.
struct SplitMatrix {
  alignas(64) i32 factor[16][32];
  alignas(64) i32 exponent[16][32];
};

template <int shift>
AMLM_AVX512_INLINE void split(__m512i half, SplitMatrix& out, int k, int lane, i32 exponent_add) {
  const __m512i magnitude = _mm512_and_epi32(half, _mm512_set1_epi32(0x7fff));
  const __m512i field = _mm512_srli_epi32(magnitude, 10);
  const __m512i fraction = _mm512_and_epi32(magnitude, _mm512_set1_epi32(0x3ff));
  const __mmask16 normal = _mm512_test_epi32_mask(field, field), nonzero = _mm512_test_epi32_mask(magnitude, magnitude);
  const __m512i exponent = _mm512_sub_epi32(_mm512_max_epi32(field, _mm512_set1_epi32(1)), _mm512_set1_epi32(15));
  const __m512i sign = _mm512_srai_epi32(_mm512_slli_epi32(half, 16), 31);
  const __m512i significand = _mm512_slli_epi32(_mm512_mask_or_epi32(fraction, normal, fraction, _mm512_set1_epi32(0x400)),
                                                shift);
  const __m512i negated = _mm512_sub_epi32(_mm512_xor_epi32(significand, sign), sign);
  const __m512i one = _mm512_slli_epi32(_mm512_or_epi32(sign, _mm512_set1_epi32(1)), 16);
  _mm512_store_si512(&out.factor[k][lane], _mm512_mask_blend_epi16(0xaaaaaaaa, negated, one));
  _mm512_store_si512(&out.exponent[k][lane],
                     _mm512_add_epi32(_mm512_mask_mov_epi32(_mm512_set1_epi32(no_exponent), nonzero, exponent),
                                      _mm512_set1_epi32(exponent_add)));
}

// False when a factor is infinite or NaN. The shifts of both put a product's last bit on 2^(exponent - 24), doubled.
template <int shift>
AMLM_AVX512_INLINE bool split_matrix(Matrix m, SplitMatrix& out, i32 exponent_rise) {
  __mmask32 special = 0;
  for (int v = 0; v < 8; v++) {
    for (int lane = 0; lane < 32; lane += 16) {
      const __m512i pair = _mm512_loadu_si512(m[v] + lane);
      const __m512i magnitudes = _mm512_and_epi32(pair, _mm512_set1_epi32(0x7fff7fff));
      special |= _mm512_cmpge_epu16_mask(magnitudes, _mm512_set1_epi16(0x7c00));
      split<shift>(_mm512_and_epi32(pair, _mm512_set1_epi32(0xffff)), out, 2 * v, lane, v * exponent_rise);
      split<shift>(_mm512_srli_epi32(pair, 16), out, 2 * v + 1, lane, v * exponent_rise);
    }
  }
  return special == 0;
}

// Sixteen accumulators: value = significand * 2^(exponent - 25), significand with its leading one in bit 27, complemented
// when the sign is -1.
struct Accumulator {
  __m512i significand, exponent, sign;
};

// `outside` gathers those that the step is not good for, infinities and NaN among them.
AMLM_AVX512_INLINE Accumulator unpack(__m512i bits, __mmask16& outside) {
  const __m512i field = _mm512_and_epi32(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(0xff));
  const __mmask16 nonzero = _mm512_test_epi32_mask(field, field);   // subnormals count as zero
  const __m512i above_lowest = _mm512_sub_epi32(field, _mm512_set1_epi32(exponent_bias - exponent_range));
  outside |= _mm512_mask_cmpgt_epu32_mask(nonzero, above_lowest, _mm512_set1_epi32(2 * exponent_range));
  const __m512i fraction = _mm512_slli_epi32(_mm512_and_epi32(bits, _mm512_set1_epi32(0x7fffff)), 4);
  const __m512i sign = _mm512_srai_epi32(bits, 31);
  return {_mm512_xor_epi32(_mm512_maskz_or_epi32(nonzero, fraction, _mm512_set1_epi32(1 << 27)), sign),
          _mm512_mask_sub_epi32(_mm512_set1_epi32(no_exponent), nonzero, field, _mm512_set1_epi32(exponent_bias)), sign};
}

// After the last step.
AMLM_AVX512_INLINE __m512i pack(const Accumulator& c) {
  const __mmask16 nonzero = _mm512_cmpneq_epi32_mask(c.exponent, _mm512_set1_epi32(no_exponent));
  const __m512i field = _mm512_slli_epi32(_mm512_add_epi32(c.exponent, _mm512_set1_epi32(exponent_bias - 8 * rise)), 23);
  const __m512i magnitude = _mm512_xor_epi32(c.significand, c.sign);
  const __m512i fraction = _mm512_and_epi32(_mm512_srli_epi32(magnitude, 4), _mm512_set1_epi32(0x7fffff));
  const __m512i sign = _mm512_slli_epi32(c.sign, 31);
  return _mm512_maskz_or_epi32(nonzero, _mm512_or_epi32(field, fraction), sign);
}

struct Left {
  const SplitMatrix& m;
  int lane;
};

// One DOT2 step, of factors k and k + 1.
AMLM_AVX512_INLINE void step(Accumulator& c, const Left& left, const SplitMatrix& right, int k, int lane) {
  __m512i product[2], exponent[2];
  for (int i = 0; i < 2; i++) {
    product[i] = _mm512_madd_epi16(_mm512_set1_epi32(left.m.factor[k + i][left.lane]),
                                   _mm512_load_si512(&right.factor[k + i][lane]));
    exponent[i] = _mm512_add_epi32(_mm512_set1_epi32(left.m.exponent[k + i][left.lane]),
                                   _mm512_load_si512(&right.exponent[k + i][lane]));
  }
  const __m512i above = _mm512_add_epi32(_mm512_max_epi32(_mm512_max_epi32(exponent[0], exponent[1]), c.exponent),
                                         _mm512_set1_epi32(1));
  // Counts of 32 and more leave the sign alone.
  const __m512i first = _mm512_srav_epi32(product[0], _mm512_sub_epi32(above, exponent[0]));
  const __m512i second = _mm512_srav_epi32(product[1], _mm512_sub_epi32(above, exponent[1]));
  const __m512i third = _mm512_srav_epi32(c.significand, _mm512_sub_epi32(above, c.exponent));
  const __m512i frame = _mm512_and_epi32(c.sign, _mm512_set1_epi32(3));
  const __m512i units = _mm512_add_epi32(_mm512_add_epi32(first, second), _mm512_add_epi32(third, frame));
  // Rounds to 24 bits, to nearest even whatever the host's mode.
  const __m512i rounded = _mm512_castps_si512(
      _mm512_cvt_roundepi32_ps(units, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  const __m512i result = _mm512_add_epi32(_mm512_srli_epi32(_mm512_slli_epi32(rounded, 1), 24), above);
  const __mmask16 nonzero = _mm512_cmpgt_epi32_mask(result, _mm512_set1_epi32(lowest_exponent + (k / 2 + 1) * rise));
  c.exponent = _mm512_mask_mov_epi32(_mm512_set1_epi32(no_exponent), nonzero, result);
  c.sign = _mm512_maskz_srai_epi32(nonzero, units, 31);
  c.significand = _mm512_xor_epi32(
      c.sign, _mm512_maskz_ternarylogic_epi32(nonzero, _mm512_slli_epi32(rounded, 4), _mm512_set1_epi32(0x7fffff0),
                                              _mm512_set1_epi32(1 << 27), and_or));
}

// ---- DOT2 ------------------------------------------------------------------------------------------------------

// Sixteen lanes of two f16 factors taken apart, each half in its place.
struct Pairs {
  __m512i significand, exponent;
  __mmask32 special;
};

AMLM_AVX512_INLINE Pairs split_pairs(__m512i x) {
  const __m512i magnitude = _mm512_and_epi32(x, _mm512_set1_epi16(0x7fff)), field = _mm512_srli_epi16(magnitude, 10);
  const __m512i fraction = _mm512_and_epi32(x, _mm512_set1_epi16(0x3ff));
  return {_mm512_or_epi32(fraction, _mm512_maskz_set1_epi16(_mm512_test_epi16_mask(field, field), 0x400)),
          _mm512_mask_sub_epi16(_mm512_set1_epi16(no_exponent), _mm512_test_epi16_mask(magnitude, magnitude),
                                _mm512_max_epu16(field, _mm512_set1_epi16(1)), _mm512_set1_epi16(15)),
          _mm512_cmpge_epu16_mask(magnitude, _mm512_set1_epi16(0x7c00))};
}

// The lanes whose result is not what this gives: infinities, NaN, overflow.
AMLM_AVX512_INLINE __mmask16 dot2(__m512i a, __m512i b, __m512i c, __m512i& out) {
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
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return has;
}

AMLM_AVX512 bool wmma_f16_avx512(Matrix a, Matrix b, Matrix c, u32* const* d) {
  SplitMatrix left, right;
  if (!split_matrix<4>(a, left, 0) || !split_matrix<1>(b, right, rise)) return false;
  alignas(64) u32 result[8][32];
  __mmask16 outside = 0;
  for (int v = 0; v < 8; v += 2) {
    // Four rows at once: independent chains hide each other's latency.
    Accumulator sum[4];
    for (int r = 0; r < 4; r++) sum[r] = unpack(_mm512_loadu_si512(c[v + r / 2] + 16 * (r & 1)), outside);
    for (int k = 0; k < 16; k += 2) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++) {
        const int row = 2 * v + r, odd = 16 * (r & 1);      // row i of A and of D: lanes i + 16 (i % 2)
        step(sum[r], {left, row + odd}, right, k, odd);
      }
    }
    for (int r = 0; r < 4; r++) _mm512_store_si512(&result[v + r / 2][16 * (r & 1)], pack(sum[r]));
  }
  if (outside != 0) return false;
  for (int v = 0; v < 8; v++)
    for (int lane = 0; lane < 32; lane += 16) _mm512_storeu_si512(d[v] + lane, _mm512_load_si512(&result[v][lane]));
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
bool wmma_f16_avx512(Matrix, Matrix, Matrix, u32* const*) { return false; }
u32 dot2_f16_avx512(const u32*, const u32*, const u32*, u32*) { return ~0u; }
}  // namespace amlm::isa::silicon

#endif
