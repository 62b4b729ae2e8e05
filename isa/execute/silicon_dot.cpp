#include "isa/execute/silicon_dot.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "isa/execute/host_vectors.h"
#include "isa/execute/silicon_wmma.h"

// Several copies of a function, the best for the host's CPU picked when the program starts. All give the same bits:
// integers, and one int-to-float conversion that is rounded to nearest even.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define AMLM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define AMLM_CLONES
#endif

namespace amlm::isa::silicon {
namespace {

constexpr u32 factor_nan = 0xffc00a3d;    // a NaN among the factors
constexpr u32 invalid_nan = 0xffc00000;   // infinity times zero, or infinities of both signs
constexpr i32 no_exponent = -4096;        // of a zero: far below every other

// ---- The whole step, any operand, one at a time ---------------------------------------------------------------

struct Parts {
  u32 significand;
  i32 exponent;       // value = significand * 2^(exponent - fraction bits)
  bool negative, infinite, nan;
};

Parts parts_of(Factor factor, u32 half) {
  const u32 magnitude = half & 0x7fff;
  const int fraction_bits = factor == Factor::f16 ? 10 : 7;
  const u32 infinity = factor == Factor::f16 ? 0x7c00 : 0x7f80;
  const i32 bias = factor == Factor::f16 ? 15 : 127;
  const u32 field = magnitude >> fraction_bits;
  u32 significand = magnitude & ((1u << fraction_bits) - 1);
  if (field != 0) significand |= 1u << fraction_bits;
  else if (factor == Factor::bf16) significand = 0;   // bf16 subnormals count as zero
  return {.significand = significand,
          .exponent = std::max<i32>(i32(field), 1) - bias,
          .negative = (half & 0x8000) != 0,
          .infinite = magnitude == infinity,
          .nan = magnitude > infinity};
}

// What is left to do once nothing is infinite or NaN.
struct Sum {
  i32 units;       // signed, in the accumulator's sign frame
  i32 grid;        // weight of a unit: 2^grid
  bool frame_negative;
  bool all_zero;
};

struct Special {
  bool found;
  u32 bits;
};

Special special_result(const Parts (&a)[2], const Parts (&b)[2], u32 c) {
  bool plus = false, minus = false;
  for (int k = 0; k < 2; k++)
    if (a[k].nan || b[k].nan) return {true, factor_nan};
  for (int k = 0; k < 2; k++) {
    if ((a[k].infinite && b[k].significand == 0) || (b[k].infinite && a[k].significand == 0)) return {true, invalid_nan};
    if (a[k].infinite || b[k].infinite) (a[k].negative != b[k].negative ? minus : plus) = true;
  }
  if (plus && minus) return {true, invalid_nan};
  if ((c & 0x7fffffff) > 0x7f800000) return {true, c | 0x400000};
  plus |= c == 0x7f800000;
  minus |= c == 0xff800000;
  if (plus && minus) return {true, invalid_nan};
  if (plus || minus) return {true, minus ? 0xff800000 : 0x7f800000};
  return {false, 0};
}

u32 shifted(u32 value, i32 right) { return right >= 32 ? 0 : value >> right; }

// `accumulator_floor`: packed f16 results align a small accumulator as if its exponent were -14.
Sum sum_of(Factor factor, const Parts (&a)[2], const Parts (&b)[2], u32 c, bool accumulator_floor) {
  const int product_shift = factor == Factor::f16 ? 4 : 10;   // so that a product's last bit is 2^(exponent - 24)
  const u32 c_field = c >> 23 & 0xff;
  const u32 c_significand = c_field == 0 ? 0 : (c & 0x7fffff) | 0x800000;
  const i32 c_exponent = c_field == 0 ? no_exponent : i32(c_field) - 127;
  // The grid is top - 24: the largest exponent sum of a non-zero product, or the accumulator's exponent less two. (The
  // leading bit of a product is at most its exponent sum plus one, so its own "- 26" rule never decides.)
  i32 top = (accumulator_floor ? std::max(c_exponent, -14) : c_exponent) - 2;
  u32 product[2];
  i32 exponent[2];
  for (int k = 0; k < 2; k++) {
    product[k] = a[k].significand * b[k].significand;
    exponent[k] = product[k] == 0 ? 2 * no_exponent : a[k].exponent + b[k].exponent;
    top = std::max(top, exponent[k]);
  }
  const bool frame = (c >> 31) != 0;
  i32 units = i32(shifted(c_significand << 3, top - (c_exponent - 2)));
  for (int k = 0; k < 2; k++) {
    const i32 magnitude = i32(shifted(product[k] << product_shift, top - exponent[k]));
    const bool opposite = (a[k].negative != b[k].negative) != frame;
    units += opposite ? ~magnitude : magnitude;   // the complement without its +1
  }
  return {units, top - 24, frame, (product[0] | product[1] | c_significand) == 0};
}

u32 pack_f32(const Sum& sum) {
  if (sum.units == 0 || sum.all_zero) return 0;
  const bool negative = (sum.units < 0) != sum.frame_negative;
  const u32 magnitude = u32(std::abs(sum.units));
  // The conversion rounds to 24 bits; the exponent is checked after that rounding.
  const u32 rounded = std::bit_cast<u32>(f32(i32(magnitude)));
  const i32 field = i32(rounded >> 23) + sum.grid;
  const u32 sign = u32(negative) << 31;
  if (field <= 0) return 0;
  if (field >= 255) return sign | 0x7f800000;
  return sign | u32(field) << 23 | (rounded & 0x7fffff);
}

// Round an integer to nearest even, straight to f16: going through f32 would round twice.
u16 pack_f16(const Sum& sum, bool overflow_to_max) {
  if (sum.units == 0 || sum.all_zero) return 0;
  const u32 sign = ((sum.units < 0) != sum.frame_negative) ? 0x8000 : 0;
  const u64 magnitude = u64(std::abs(sum.units));
  const i32 lead = i32(std::bit_width(magnitude)) - 1 + sum.grid;
  const i32 unit = std::max(lead, -14) - 10;        // exponent of the result's last bit
  const i32 drop = unit - sum.grid;
  u64 significand;
  if (drop <= 0) {
    significand = magnitude << -drop;
  } else if (drop > 40) {
    significand = 0;
  } else {
    const u64 rest = magnitude & ((u64{1} << drop) - 1), half = u64{1} << (drop - 1);
    significand = magnitude >> drop;
    if (rest > half || (rest == half && (significand & 1))) significand++;
  }
  if (significand == 0) return 0;
  // A subnormal that rounds up to 2^-14 and a carry into the next binade both come out of the addition.
  const u32 bits = lead < -14 ? u32(significand) : (u32(lead + 14) << 10) + u32(significand);
  if (bits >= 0x7c00) return u16(sign | (overflow_to_max ? 0x7bff : 0x7c00));
  return u16(sign | bits);
}

u32 widen(Factor factor, u16 half) {
  if (factor == Factor::bf16) return u32(half) << 16;
  const u32 sign = u32(half & 0x8000) << 16, field = half >> 10 & 31, fraction = half & 0x3ff;
  if (field == 31) return sign | 0x7f800000 | fraction << 13;
  if (field != 0) return sign | (field + 112) << 23 | fraction << 13;
  return sign | std::bit_cast<u32>(f32(fraction) * 0x1p-24f);
}

// ---- The step for numbers only, as loops that vectorise --------------------------------------------------------

// A factor taken apart. A zero has the exponent no_exponent; infinities and NaN are found before and go the long way.
struct Split {
  i32 significand, exponent, sign;   // sign: 0 or -1
};

inline __attribute__((always_inline)) Split split_f16(u32 half) {
  const i32 magnitude = half & 0x7fff, field = magnitude >> 10;
  const i32 significand = (magnitude & 0x3ff) | (field > 0 ? 0x400 : 0);
  const i32 exponent = (field > 1 ? field : 1) - 15;
  return {significand, magnitude == 0 ? no_exponent : exponent, -i32(half >> 15 & 1)};
}

inline __attribute__((always_inline)) Split split_bf16(u32 half) {
  const i32 field = half >> 7 & 0xff;
  return {field == 0 ? 0 : i32(half & 0x7f) | 0x80, field == 0 ? no_exponent : field - 127, -i32(half >> 15 & 1)};
}

template <Factor factor>
inline __attribute__((always_inline)) Split split(u32 half) {
  if constexpr (factor == Factor::f16) return split_f16(half);
  else return split_bf16(half);
}

// The left factors carry the shift that puts a product on 2^(exponent - 24).
template <Factor factor>
constexpr int product_shift = factor == Factor::f16 ? 4 : 10;

// `overflow` gathers a sign bit when a result leaves f32: the caller then takes the long way.
inline __attribute__((always_inline)) u32 step(const Split& a0, const Split& b0, const Split& a1, const Split& b1, u32 c,
                                               i32& overflow) {
  const i32 p0 = a0.significand * b0.significand, p1 = a1.significand * b1.significand;
  const i32 e0 = a0.exponent + b0.exponent, e1 = a1.exponent + b1.exponent;
  const i32 c_field = i32(c >> 23 & 0xff);
  const i32 c_significand = c_field == 0 ? 0 : i32((c & 0x7fffff) << 3 | 0x4000000);
  const i32 e2 = c_field == 0 ? no_exponent : c_field - 129;
  const i32 c_sign = i32(c) >> 31;
  const i32 top = std::max(std::max(e0, e1), e2);
  const i32 m0 = p0 >> std::min(top - e0, 31), m1 = p1 >> std::min(top - e1, 31);
  const i32 m2 = c_significand >> std::min(top - e2, 31);
  const i32 units = m2 + (m0 ^ a0.sign ^ b0.sign ^ c_sign) + (m1 ^ a1.sign ^ b1.sign ^ c_sign);
  const i32 negative = units >> 31;
  const i32 magnitude = (units ^ negative) - negative;
  const i32 rounded = std::bit_cast<i32>(f32(magnitude));
  const i32 field = (rounded >> 23) + top - 24;
  overflow |= 254 - field;
  const u32 bits = u32(rounded) + (u32(top - 24) << 23);
  const u32 sign = u32(c_sign ^ negative) & 0x80000000;
  return (field <= 0) | (magnitude == 0) ? 0 : sign | bits;
}

template <Factor factor>
inline __attribute__((always_inline)) bool all_finite(const u32* a) {
  const u32 infinity = factor == Factor::f16 ? 0x7c00 : 0x7f80;
  u32 special = 0;
  for (int lane = 0; lane < 32; lane++) {
    const u32 low = a[lane] & 0x7fff, high = a[lane] >> 16 & 0x7fff;
    special |= u32(low >= infinity) | u32(high >= infinity);
  }
  return special == 0;
}

inline __attribute__((always_inline)) bool all_finite_f32(const u32* c) {
  u32 special = 0;
  for (int lane = 0; lane < 32; lane++) special |= u32((c[lane] & 0x7f800000) == 0x7f800000);
  return special == 0;
}

// The lanes whose result is not what the short way gives: infinities, NaN, overflow.
template <Factor factor>
inline __attribute__((always_inline)) u32 dot2_lanes(const u32* a, const u32* b, const u32* c, u32* out) {
  const u32 infinity = factor == Factor::f16 ? 0x7c00 : 0x7f80;
  alignas(64) u32 special[32];
  for (int lane = 0; lane < 32; lane++) {
    const u32 x = a[lane], y = b[lane], z = c[lane];
    Split a0 = split<factor>(x & 0xffff), a1 = split<factor>(x >> 16);
    a0.significand <<= product_shift<factor>;
    a1.significand <<= product_shift<factor>;
    i32 overflow = 0;
    const u32 result = step(a0, split<factor>(y & 0xffff), a1, split<factor>(y >> 16), z, overflow);
    const bool factors = ((x & 0x7fff) >= infinity) | ((x >> 16 & 0x7fff) >= infinity) | ((y & 0x7fff) >= infinity) |
                         ((y >> 16 & 0x7fff) >= infinity);
    special[lane] = u32(factors | ((z & 0x7f800000) == 0x7f800000) | (overflow < 0)) << lane;
    out[lane] = result;
  }
  u32 lanes = 0;
  for (int lane = 0; lane < 32; lane++) lanes |= special[lane];
  return lanes;
}

AMLM_CLONES u32 dot2_lanes_f16(const u32* a, const u32* b, const u32* c, u32* out) {
  return dot2_lanes<Factor::f16>(a, b, c, out);
}
AMLM_CLONES u32 dot2_lanes_bf16(const u32* a, const u32* b, const u32* c, u32* out) {
  return dot2_lanes<Factor::bf16>(a, b, c, out);
}

// One operand of a WMMA taken apart: [k][lane].
struct SplitMatrix {
  alignas(64) i32 significand[16][32];
  alignas(64) i32 exponent[16][32];
  alignas(64) i32 sign[16][32];
  Split at(int k, int lane) const { return {significand[k][lane], exponent[k][lane], sign[k][lane]}; }
};

template <Factor factor>
inline __attribute__((always_inline)) void split_matrix(Matrix m, SplitMatrix& out, int shift) {
  for (int v = 0; v < 8; v++)
    for (int lane = 0; lane < 32; lane++) {
      const Split low = split<factor>(m[v][lane] & 0xffff), high = split<factor>(m[v][lane] >> 16);
      out.significand[2 * v][lane] = low.significand << shift;
      out.exponent[2 * v][lane] = low.exponent;
      out.sign[2 * v][lane] = low.sign;
      out.significand[2 * v + 1][lane] = high.significand << shift;
      out.exponent[2 * v + 1][lane] = high.exponent;
      out.sign[2 * v + 1][lane] = high.sign;
    }
}

template <Factor factor>
inline __attribute__((always_inline)) bool wmma_lanes(Matrix a, Matrix b, Matrix c, u32* const* d) {
  for (int v = 0; v < 8; v++)
    if (!all_finite<factor>(a[v]) || !all_finite<factor>(b[v]) || !all_finite_f32(c[v])) return false;
  SplitMatrix left, right;
  split_matrix<factor>(a, left, product_shift<factor>);
  split_matrix<factor>(b, right, 0);
  alignas(64) u32 result[8][32];
  i32 overflow = 0;
  for (int v = 0; v < 8; v++) {
    const int even = 2 * v, odd = 2 * v + 1 + 16;   // the lanes that hold A's rows 2v and 2v + 1
    // Both rows in one loop: two independent chains hide each other's latency.
    for (int j = 0; j < 16; j++) {
      u32 low = c[v][j], high = c[v][16 + j];
#pragma GCC unroll 8
      for (int k = 0; k < 16; k += 2) {
        low = step(left.at(k, even), right.at(k, j), left.at(k + 1, even), right.at(k + 1, j), low, overflow);
        high = step(left.at(k, odd), right.at(k, 16 + j), left.at(k + 1, odd), right.at(k + 1, 16 + j), high, overflow);
      }
      result[v][j] = low;
      result[v][16 + j] = high;
    }
  }
  if (overflow < 0) return false;
  for (int v = 0; v < 8; v++) std::memcpy(d[v], result[v], sizeof result[v]);
  return true;
}

AMLM_CLONES bool wmma_lanes_f16(Matrix a, Matrix b, Matrix c, u32* const* d) {
  return wmma_lanes<Factor::f16>(a, b, c, d);
}
AMLM_CLONES bool wmma_lanes_bf16(Matrix a, Matrix b, Matrix c, u32* const* d) {
  return wmma_lanes<Factor::bf16>(a, b, c, d);
}

}  // namespace

u32 dot2_f32(Factor factor, u32 a, u32 b, u32 c) {
  const Parts left[2] = {parts_of(factor, a & 0xffff), parts_of(factor, a >> 16)};
  const Parts right[2] = {parts_of(factor, b & 0xffff), parts_of(factor, b >> 16)};
  if (const Special special = special_result(left, right, c); special.found) return special.bits;
  return pack_f32(sum_of(factor, left, right, c, false));
}

void dot2_f32(Factor factor, const u32* a, const u32* b, const u32* c, u32* out, u32 lanes) {
  alignas(64) u32 result[32];
  u32 special = factor == Factor::bf16 ? dot2_lanes_bf16(a, b, c, result)
                : has_avx512()         ? dot2_f16_avx512(a, b, c, result)
                                       : dot2_lanes_f16(a, b, c, result);
  for (special &= lanes; special != 0; special &= special - 1) {
    const int lane = std::countr_zero(special);
    result[lane] = dot2_f32(factor, a[lane], b[lane], c[lane]);
  }
  std::memcpy(out, result, sizeof result);
}

u16 dot2_packed(Factor factor, u32 a, u32 b, u16 c, bool overflow_to_max) {
  const Parts left[2] = {parts_of(factor, a & 0xffff), parts_of(factor, a >> 16)};
  const Parts right[2] = {parts_of(factor, b & 0xffff), parts_of(factor, b >> 16)};
  const u32 wide = widen(factor, c);
  if (const Special special = special_result(left, right, wide); special.found) {
    if (special.bits == factor_nan) return factor == Factor::bf16 ? 0xfffd : 0xfe3d;
    if (factor == Factor::bf16) return u16(special.bits >> 16);
    return u16((special.bits >> 16 & 0x8000) | 0x7c00 | (special.bits >> 13 & 0x3ff));
  }
  if (factor == Factor::bf16) return u16(pack_f32(sum_of(factor, left, right, wide, false)) >> 16);
  return pack_f16(sum_of(factor, left, right, wide, true), overflow_to_max);
}

void wmma_f32(Factor factor, Matrix a, Matrix b, Matrix c, u32* const* d) {
  if (factor == Factor::bf16 ? wmma_lanes_bf16(a, b, c, d) : wmma_lanes_f16(a, b, c, d)) return;
  u32 result[8][32];
  for (int v = 0; v < 8; v++)
    for (int lane = 0; lane < 32; lane++) {
      const int odd = lane >> 4, row = 2 * v + odd + 16 * odd;
      u32 sum = c[v][lane];
      for (int k = 0; k < 8; k++) sum = dot2_f32(factor, a[k][row], b[k][lane], sum);
      result[v][lane] = sum;
    }
  for (int v = 0; v < 8; v++) std::memcpy(d[v], result[v], sizeof result[v]);
}

}  // namespace amlm::isa::silicon
