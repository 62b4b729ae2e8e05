// exp2 and rcp of 32 lanes for AVX-512: the arithmetic of silicon_trans.cpp, 16 lanes at a time. Coefficients stand in
// registers. What is wider than 32 bits goes through f64, whose 53 bits hold every intermediate value exactly; its
// round to nearest even is the chip's.
#include <array>
#include <bit>

#include "isa/execute/silicon_coefficients.h"
#include "isa/execute/silicon_trans.h"
#include "isa/execute/host_vectors.h"

#if defined(__x86_64__)

namespace amlm::isa::silicon {
namespace {

constexpr int to_even = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC,
              to_floor = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

// One coefficient of all segments.
struct alignas(64) Column { u32 of[32]; };
constexpr Column column(const Cubic (&table)[32], i32 Cubic::*coefficient) {
  Column out{};
  for (int i = 0; i < 32; i++) out.of[i] = u32(table[i].*coefficient);
  return out;
}
constexpr Column exp2_columns[4] = {column(exp2_cubics, &Cubic::constant), column(exp2_cubics, &Cubic::linear),
                                    column(exp2_cubics, &Cubic::quadratic), column(exp2_cubics, &Cubic::cubic)};
constexpr Column rcp_columns[4] = {column(rcp_cubics, &Cubic::constant), column(rcp_cubics, &Cubic::linear),
                                   column(rcp_cubics, &Cubic::quadratic), column(rcp_cubics, &Cubic::cubic)};

AMLM_LANES __m512i look_up(const Column& from, __m512i segment) {
  return _mm512_permutex2var_epi32(_mm512_load_si512(from.of), segment, _mm512_load_si512(from.of + 16));
}

// value / 2^shift, rounded to nearest even.
template <u32 shift>
AMLM_LANES __m512i even_32(__m512i value) {
  const __m512i odd = _mm512_and_epi32(_mm512_srli_epi32(value, shift), dwords(1));
  const __m512i half = _mm512_add_epi32(value, dwords((1u << (shift - 1)) - 1));
  return _mm512_srli_epi32(_mm512_add_epi32(half, odd), shift);
}

// Eight of the 16 lanes, as f64.
template <u32 half>
AMLM_LANES __m512d f64s(__m512i x) { return _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(x, half)); }

// x >= limit: to a multiple of 2^(bits + 1), else of 2^bits; to nearest even. x is below 2^(bits + 52).
template <u32 bits>
AMLM_LANES __m512d rounded(__m512d x, f64 limit) {
  const __mmask8 large = _mm512_cmp_pd_mask(x, _mm512_set1_pd(limit), _CMP_GE_OQ);
  constexpr f64 fine = 0x1.8p52 * f64(u64{1} << bits);
  const __m512d unit = _mm512_mask_blend_pd(large, _mm512_set1_pd(fine), _mm512_set1_pd(2 * fine));
  return _mm512_sub_pd(_mm512_add_pd(x, unit), unit);
}
// The square of `coordinate`, in units of 2^-bits, as a whole number.
template <u32 bits>
AMLM_LANES __m512d square_of(__m512d coordinate) {
  const __m512d scaled = _mm512_mul_pd(coordinate, _mm512_set1_pd(1.0 / f64(u64{1} << bits)));
  return _mm512_roundscale_pd(_mm512_mul_pd(scaled, coordinate), to_floor);
}
// A product kept to 24 significant bits, in its own unit: the plain code counts in units of 2^23.
AMLM_LANES __m512d product_24(__m512d a, __m512d b) { return rounded<23>(_mm512_mul_pd(a, b), 0x1p47); }

struct Terms { __m512i constant, linear, inner, coordinate, fraction; };

template <u32 half>
AMLM_LANES __m256i exp2_half(const Terms& t) {
  const __m512d product = _mm512_mul_pd(f64s<half>(t.linear), f64s<half>(t.fraction));
  const __m512d halves = _mm512_mul_pd(rounded<23>(product, 0x1p47), _mm512_set1_pd(0x1p-24));
  const __m512d linear = _mm512_roundscale_pd(halves, to_floor);
  const __m512d higher = product_24(f64s<half>(t.inner), square_of<12>(f64s<half>(t.coordinate)));
  const __m512d low = _mm512_mul_pd(_mm512_add_pd(f64s<half>(t.constant), linear), _mm512_set1_pd(0x1p-5));
  return _mm512_cvt_roundpd_epi32(_mm512_fmadd_pd(higher, _mm512_set1_pd(0x1p-36), low), to_even);
}

template <u32 half>
AMLM_LANES __m256i rcp_half(const Terms& t) {
  const __m512d product = _mm512_mul_pd(f64s<half>(t.linear), f64s<half>(t.fraction));
  const __mmask8 large = _mm512_cmp_pd_mask(product, _mm512_set1_pd(0x1p44), _CMP_GE_OQ);
  const __m512d up = _mm512_mul_pd(_mm512_add_pd(product, _mm512_set1_pd(0x17ffff)), _mm512_set1_pd(0x1p-21));
  const __m512d nearest = _mm512_roundscale_pd(_mm512_mul_pd(product, _mm512_set1_pd(0x1p-21)), to_even);
  const __m512d linear = _mm512_mask_mov_pd(_mm512_roundscale_pd(up, to_floor), large, nearest);
  const __m512d higher = product_24(f64s<half>(t.inner), square_of<10>(f64s<half>(t.coordinate)));
  const __m512d low = _mm512_fnmadd_pd(linear, _mm512_set1_pd(0x1p-5),
                                       _mm512_mul_pd(f64s<half>(t.constant), _mm512_set1_pd(0x1p-2)));
  return _mm512_cvt_roundpd_epi32(_mm512_fmadd_pd(higher, _mm512_set1_pd(0x1p-34), low), to_even);
}

AMLM_LANES __m512i joined(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }

// Lanes in `rare` are for the scalar function.
AMLM_LANES __m512i exp2_lanes(__m512i x, __mmask16& rare) {
  const __m512i magnitude = _mm512_and_epi32(x, dwords(0x7fffffff)), negative = _mm512_srai_epi32(x, 31);
  const __m512i limit = _mm512_mask_mov_epi32(dwords(0x43000000u - 0x33800000), _mm512_movepi32_mask(x),
                                              dwords(0x42fc0001u - 0x33800000));
  rare = _mm512_cmpge_epu32_mask(_mm512_sub_epi32(magnitude, dwords(0x33800000)), limit);
  const __m512i exponent = _mm512_sub_epi32(_mm512_srli_epi32(magnitude, 23), dwords(127));
  const __m512i significant = _mm512_or_epi32(_mm512_and_epi32(magnitude, dwords(0x7fffff)), dwords(0x800000));
  // Shifts by 32 or more, which negative counts are too, give 0.
  const __m512i phase = _mm512_or_epi32(_mm512_sllv_epi32(significant, _mm512_add_epi32(exponent, dwords(6))),
                                        _mm512_srlv_epi32(significant, _mm512_sub_epi32(dwords(u32(-6)), exponent)));
  const __m512i whole = _mm512_srlv_epi32(significant, _mm512_sub_epi32(dwords(23), exponent));
  const __m512i kept = _mm512_and_epi32(_mm512_xor_epi32(phase, negative), dwords(0x1fffffff));
  const __m512i segment = _mm512_srli_epi32(kept, 24), fraction = _mm512_and_epi32(kept, dwords(0xffffff));
  const __m512i coordinate = _mm512_srli_epi32(fraction, 6);
  const __m512i inner = even_32<7>(_mm512_add_epi32(_mm512_slli_epi32(look_up(exp2_columns[2], segment), 7),
                                                    _mm512_mullo_epi32(look_up(exp2_columns[3], segment), coordinate)));
  const Terms t{look_up(exp2_columns[0], segment), look_up(exp2_columns[1], segment), inner, coordinate, fraction};
  const __m512i base = _mm512_slli_epi32(_mm512_add_epi32(_mm512_xor_epi32(whole, negative), dwords(126)), 23);
  return _mm512_add_epi32(base, joined(exp2_half<0>(t), exp2_half<1>(t)));
}

AMLM_LANES __m512i rcp_lanes(__m512i x, __mmask16& rare) {
  const __m512i mantissa = _mm512_and_epi32(x, dwords(0x7fffff));
  const __m512i field = _mm512_and_epi32(_mm512_srli_epi32(x, 23), dwords(0xff));
  rare = _mm512_cmpge_epu32_mask(_mm512_sub_epi32(field, dwords(1)), dwords(252)) |
         _mm512_testn_epi32_mask(mantissa, mantissa);
  const __m512i segment = _mm512_srli_epi32(mantissa, 18);
  const __m512i fraction = _mm512_slli_epi32(_mm512_and_epi32(mantissa, dwords(0x3ffff)), 6);
  const __m512i near = _mm512_add_epi32(_mm512_srli_epi32(fraction, 4), dwords(1));
  const __m512i inner = _mm512_sub_epi32(_mm512_slli_epi32(look_up(rcp_columns[2], segment), 8),
                                         even_32<12>(_mm512_mullo_epi32(look_up(rcp_columns[3], segment), near)));
  const Terms t{look_up(rcp_columns[0], segment), look_up(rcp_columns[1], segment), inner,
                _mm512_srli_epi32(fraction, 7), fraction};
  const __m512i normal = _mm512_add_epi32(joined(rcp_half<0>(t), rcp_half<1>(t)), dwords(0x3e800000 + (127u << 23)));
  const __m512i result = _mm512_sub_epi32(normal, _mm512_slli_epi32(field, 23));
  return _mm512_or_epi32(_mm512_and_epi32(x, dwords(0x80000000)), result);
}

}  // namespace

AMLM_AVX512 void exp2_f32_wide(const u32* x, u32* out) {
  const __m512i from[2] = {_mm512_loadu_si512(x), _mm512_loadu_si512(x + 16)};
  __mmask16 low, high;
  _mm512_storeu_si512(out, exp2_lanes(from[0], low));
  _mm512_storeu_si512(out + 16, exp2_lanes(from[1], high));
  if ((low | high) == 0) return;
  alignas(64) u32 input[32];
  for (u32 i = 0; i < 2; i++) _mm512_store_si512(input + 16 * i, from[i]);
  for (u32 left = low | u32(high) << 16; left != 0; left &= left - 1)
    out[std::countr_zero(left)] = exp2_f32(input[std::countr_zero(left)]);
}

AMLM_AVX512 void rcp_f32_wide(const u32* x, u32* out) {
  const __m512i from[2] = {_mm512_loadu_si512(x), _mm512_loadu_si512(x + 16)};
  __mmask16 low, high;
  _mm512_storeu_si512(out, rcp_lanes(from[0], low));
  _mm512_storeu_si512(out + 16, rcp_lanes(from[1], high));
  if ((low | high) == 0) return;
  alignas(64) u32 input[32];
  for (u32 i = 0; i < 2; i++) _mm512_store_si512(input + 16 * i, from[i]);
  for (u32 left = low | u32(high) << 16; left != 0; left &= left - 1)
    out[std::countr_zero(left)] = rcp_f32(input[std::countr_zero(left)]);
}

}  // namespace amlm::isa::silicon

#endif
