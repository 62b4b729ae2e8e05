#include "isa/execute/silicon_wmma.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AMLM_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define AMLM_AVX512_INLINE AMLM_AVX512 inline __attribute__((always_inline))

namespace amlm::isa::silicon {
namespace {

constexpr int xor3 = 0x96;            // ternary logic table of x ^ y ^ z
constexpr i32 no_exponent = -4096;    // of a zero: far below every other
constexpr i32 exponent_bias = 129;    // of an accumulator: f32's 127, and two bits below its leading one

// Sixteen f16 factors taken apart; `sign` is 0 or -1.
struct Factors {
  __m512i significand, exponent, sign;
};

AMLM_AVX512_INLINE Factors split(__m512i half) {
  const __m512i magnitude = _mm512_and_epi32(half, _mm512_set1_epi32(0x7fff));
  const __m512i field = _mm512_srli_epi32(magnitude, 10);
  const __m512i fraction = _mm512_and_epi32(magnitude, _mm512_set1_epi32(0x3ff));
  const __mmask16 normal = _mm512_test_epi32_mask(field, field), nonzero = _mm512_test_epi32_mask(magnitude, magnitude);
  const __m512i exponent = _mm512_sub_epi32(_mm512_max_epi32(field, _mm512_set1_epi32(1)), _mm512_set1_epi32(15));
  return {_mm512_mask_or_epi32(fraction, normal, fraction, _mm512_set1_epi32(0x400)),
          _mm512_mask_mov_epi32(_mm512_set1_epi32(no_exponent), nonzero, exponent),
          _mm512_srai_epi32(_mm512_slli_epi32(half, 16), 31)};
}

// One operand: [k][lane].
struct SplitMatrix {
  alignas(64) i32 significand[16][32];
  alignas(64) i32 exponent[16][32];
  alignas(64) i32 sign[16][32];
};

AMLM_AVX512_INLINE void store(SplitMatrix& out, int k, int lane, const Factors& factors) {
  _mm512_store_si512(&out.significand[k][lane], factors.significand);
  _mm512_store_si512(&out.exponent[k][lane], factors.exponent);
  _mm512_store_si512(&out.sign[k][lane], factors.sign);
}

// False when a factor is infinite or NaN. `shift` puts a product's last bit on 2^(exponent - 24).
template <int shift>
AMLM_AVX512_INLINE bool split_matrix(Matrix m, SplitMatrix& out) {
  __mmask32 special = 0;
  for (int v = 0; v < 8; v++) {
    for (int lane = 0; lane < 32; lane += 16) {
      const __m512i pair = _mm512_loadu_si512(m[v] + lane);
      const __m512i magnitudes = _mm512_and_epi32(pair, _mm512_set1_epi32(0x7fff7fff));
      special |= _mm512_cmpge_epu16_mask(magnitudes, _mm512_set1_epi16(0x7c00));
      Factors low = split(_mm512_and_epi32(pair, _mm512_set1_epi32(0xffff))), high = split(_mm512_srli_epi32(pair, 16));
      low.significand = _mm512_slli_epi32(low.significand, shift);
      high.significand = _mm512_slli_epi32(high.significand, shift);
      store(out, 2 * v, lane, low);
      store(out, 2 * v + 1, lane, high);
    }
  }
  return special == 0;
}

// Sixteen accumulators taken apart: value = significand * 2^(exponent - 24), significand with its leading one in bit 26.
struct Accumulator {
  __m512i significand, exponent, sign;
};

AMLM_AVX512_INLINE Accumulator unpack(__m512i bits) {
  const __m512i field = _mm512_and_epi32(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(0xff));
  const __mmask16 nonzero = _mm512_test_epi32_mask(field, field);   // subnormals count as zero
  const __m512i fraction = _mm512_slli_epi32(_mm512_and_epi32(bits, _mm512_set1_epi32(0x7fffff)), 3);
  return {_mm512_maskz_or_epi32(nonzero, fraction, _mm512_set1_epi32(1 << 26)),
          _mm512_mask_sub_epi32(_mm512_set1_epi32(no_exponent), nonzero, field, _mm512_set1_epi32(exponent_bias)),
          _mm512_srai_epi32(bits, 31)};
}

AMLM_AVX512_INLINE __m512i pack(const Accumulator& c) {
  const __mmask16 nonzero = _mm512_test_epi32_mask(c.significand, c.significand);
  const __m512i field = _mm512_slli_epi32(_mm512_add_epi32(c.exponent, _mm512_set1_epi32(exponent_bias)), 23);
  const __m512i fraction = _mm512_and_epi32(_mm512_srli_epi32(c.significand, 3), _mm512_set1_epi32(0x7fffff));
  const __m512i sign = _mm512_slli_epi32(c.sign, 31);
  return _mm512_maskz_or_epi32(nonzero, _mm512_or_epi32(field, fraction), sign);
}

struct Left {
  const SplitMatrix& m;
  int lane;
};

// One DOT2 step. `overflow` gathers a sign bit when a result leaves f32.
AMLM_AVX512_INLINE void step(Accumulator& c, const Left& left, const SplitMatrix& right, int k, int lane,
                             __m512i& overflow) {
  __m512i product[2], exponent[2], sign[2];
  for (int i = 0; i < 2; i++) {
    // 16-bit factors: the multiply-add of pairs, whose upper halves are zero, is the cheapest product.
    product[i] = _mm512_madd_epi16(_mm512_set1_epi32(left.m.significand[k + i][left.lane]),
                                   _mm512_load_si512(&right.significand[k + i][lane]));
    exponent[i] = _mm512_add_epi32(_mm512_set1_epi32(left.m.exponent[k + i][left.lane]),
                                   _mm512_load_si512(&right.exponent[k + i][lane]));
    sign[i] = _mm512_ternarylogic_epi32(c.sign, _mm512_set1_epi32(left.m.sign[k + i][left.lane]),
                                        _mm512_load_si512(&right.sign[k + i][lane]), xor3);
  }
  const __m512i top = _mm512_max_epi32(_mm512_max_epi32(exponent[0], exponent[1]), c.exponent);
  // Counts of 32 and more shift everything out.
  __m512i units = _mm512_srlv_epi32(c.significand, _mm512_sub_epi32(top, c.exponent));
  for (int i = 0; i < 2; i++) {
    const __m512i magnitude = _mm512_srlv_epi32(product[i], _mm512_sub_epi32(top, exponent[i]));
    units = _mm512_add_epi32(units, _mm512_xor_epi32(magnitude, sign[i]));   // the complement without its +1
  }
  const __m512i magnitude = _mm512_abs_epi32(units);
  // Rounds to 24 bits, to nearest even whatever the host's mode.
  const __m512i rounded = _mm512_castps_si512(
      _mm512_cvt_roundepi32_ps(magnitude, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  const __m512i field = _mm512_add_epi32(_mm512_srli_epi32(rounded, 23), _mm512_sub_epi32(top, _mm512_set1_epi32(24)));
  overflow = _mm512_or_epi32(overflow, _mm512_sub_epi32(_mm512_set1_epi32(254), field));
  const __mmask16 nonzero = _mm512_mask_test_epi32_mask(_mm512_cmpgt_epi32_mask(field, _mm512_setzero_si512()), magnitude,
                                                        magnitude);
  const __m512i fraction = _mm512_slli_epi32(_mm512_and_epi32(rounded, _mm512_set1_epi32(0x7fffff)), 3);
  c.significand = _mm512_maskz_or_epi32(nonzero, fraction, _mm512_set1_epi32(1 << 26));
  c.exponent = _mm512_mask_sub_epi32(_mm512_set1_epi32(no_exponent), nonzero, field, _mm512_set1_epi32(exponent_bias));
  c.sign = _mm512_maskz_xor_epi32(nonzero, c.sign, _mm512_srai_epi32(units, 31));
}

}  // namespace

bool has_wmma_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  return has;
}

AMLM_AVX512 bool wmma_f16_avx512(Matrix a, Matrix b, Matrix c, u32* const* d) {
  SplitMatrix left, right;
  if (!split_matrix<4>(a, left) || !split_matrix<0>(b, right)) return false;
  alignas(64) u32 result[8][32];
  __m512i overflow = _mm512_setzero_si512();
  __mmask16 special = 0;
  for (int v = 0; v < 8; v += 2) {
    // Four rows at once: independent chains hide each other's latency.
    Accumulator sum[4];
    for (int r = 0; r < 4; r++) {
      const __m512i bits = _mm512_loadu_si512(c[v + r / 2] + 16 * (r & 1));
      const __m512i infinity = _mm512_set1_epi32(0x7f800000);
      special |= _mm512_cmpeq_epi32_mask(_mm512_and_epi32(bits, infinity), infinity);
      sum[r] = unpack(bits);
    }
    for (int k = 0; k < 16; k += 2) {
#pragma GCC unroll 4
      for (int r = 0; r < 4; r++) {
        const int row = 2 * v + r, odd = 16 * (r & 1);      // row i of A and of D: lanes i + 16 (i % 2)
        step(sum[r], {left, row + odd}, right, k, odd, overflow);
      }
    }
    for (int r = 0; r < 4; r++) _mm512_store_si512(&result[v + r / 2][16 * (r & 1)], pack(sum[r]));
  }
  if (special != 0 || _mm512_movepi32_mask(overflow) != 0) return false;
  for (int v = 0; v < 8; v++)
    for (int lane = 0; lane < 32; lane += 16) _mm512_storeu_si512(d[v] + lane, _mm512_load_si512(&result[v][lane]));
  return true;
}

}  // namespace amlm::isa::silicon

#else

namespace amlm::isa::silicon {
bool has_wmma_avx512() { return false; }
bool wmma_f16_avx512(Matrix, Matrix, Matrix, u32* const*) { return false; }
}  // namespace amlm::isa::silicon

#endif
