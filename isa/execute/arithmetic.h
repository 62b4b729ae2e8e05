// Scalar arithmetic that vector and scalar instructions share. Pure functions of values; vectorisable: no branches on
// data that if-conversion could not remove, no calls.
#pragma once

#include <bit>
#include <cmath>
#include <limits>

#include "isa/execute/lanes.h"

namespace amlm::isa::arith {

#define AMLM_INLINE inline __attribute__((always_inline))

AMLM_INLINE u32 bits(f32 x) { return std::bit_cast<u32>(x); }
AMLM_INLINE u64 bits(f64 x) { return std::bit_cast<u64>(x); }
AMLM_INLINE f32 as_f32(u32 x) { return std::bit_cast<f32>(x); }
AMLM_INLINE f64 as_f64(u64 x) { return std::bit_cast<f64>(x); }

AMLM_INLINE bool is_nan(f32 x) { return x != x; }
AMLM_INLINE bool is_nan(f64 x) { return x != x; }
AMLM_INLINE bool is_nan(Half x) { return x.value != x.value; }
// A NaN operand comes out quieted. (f16 NaN are quieted by widening already.)
AMLM_INLINE f32 quieted(f32 x) { return as_f32(bits(x) | 0x400000); }
AMLM_INLINE f64 quieted(f64 x) { return as_f64(bits(x) | u64{1} << 51); }

// The first NaN operand is the result, as on gfx1100 (rocjitsu, fp_mode.h and division.h). The host would choose by operand
// order of the instruction that the compiler picked.
template <class T>
AMLM_INLINE T with_nan(T result, T a, T b) {
  const T second = is_nan(b) ? quieted(b) : result;
  return is_nan(a) ? quieted(a) : second;
}
AMLM_INLINE f32 invalid(f32) { return as_f32(0xffc00000); }
AMLM_INLINE f64 invalid(f64) { return as_f64(0xfff8000000000000); }
// Of a fused multiply-add: an invalid product counts before a NaN addend.
template <class T>
AMLM_INLINE T with_nan(T result, T a, T b, T c) {
  const T addend = is_nan(a * b) ? invalid(T()) : quieted(c);
  const T third = is_nan(c) ? addend : result;
  const T second = is_nan(b) ? quieted(b) : third;
  return is_nan(a) ? quieted(a) : second;
}

AMLM_INLINE f32 add(f32 a, f32 b) { return with_nan(a + b, a, b); }
AMLM_INLINE f32 sub(f32 a, f32 b) { return with_nan(a - b, a, b); }
AMLM_INLINE f32 mul(f32 a, f32 b) { return with_nan(a * b, a, b); }
AMLM_INLINE f32 fma(f32 a, f32 b, f32 c) { return with_nan(__builtin_fmaf(a, b, c), a, b, c); }
AMLM_INLINE f64 add(f64 a, f64 b) { return with_nan(a + b, a, b); }
AMLM_INLINE f64 sub(f64 a, f64 b) { return with_nan(a - b, a, b); }
AMLM_INLINE f64 mul(f64 a, f64 b) { return with_nan(a * b, a, b); }
AMLM_INLINE f64 fma(f64 a, f64 b, f64 c) { return with_nan(__builtin_fma(a, b, c), a, b, c); }

// "DX9 zero": a product with a zero factor is +0, even of infinity or NaN.
AMLM_INLINE f32 mul_dx9(f32 a, f32 b) { return (a == 0) | (b == 0) ? 0.0f : mul(a, b); }
AMLM_INLINE f32 fma_dx9(f32 a, f32 b, f32 c) { return (a == 0) | (b == 0) ? add(0.0f, c) : fma(a, b, c); }

// f16: f32 has more than twice the bits, so rounding a sum or product twice changes nothing.
AMLM_INLINE Half add(Half a, Half b) { return {add(a.value, b.value)}; }
AMLM_INLINE Half sub(Half a, Half b) { return {sub(a.value, b.value)}; }
AMLM_INLINE Half mul(Half a, Half b) { return {mul(a.value, b.value)}; }

// An f64 cut to f32 with its last bit telling that something was cut off, so that a further rounding to f16 is right.
AMLM_INLINE f32 to_f32_odd(f64 x) {
  const u64 low = 0x1fffffff, b = bits(x);
  return f32(as_f64((b & ~low) | ((b & low) != 0 ? low + 1 : 0)));
}
// a + b with the last bit set when the sum is not exact: a further rounding then is as if it were the only one.
AMLM_INLINE f64 odd_sum(f64 a, f64 b) {
  const f64 sum = a + b, back = sum - a, error = (a - (sum - back)) + (b - back);
  const u64 sum_bits = bits(sum);
  const bool inexact = (error != 0) & (error == error), even = (sum_bits & 1) == 0;
  return as_f64(inexact & even ? sum_bits + ((error > 0) == (sum > 0) ? 1 : ~u64{0}) : sum_bits);
}
AMLM_INLINE f32 odd_sum(f32 a, f32 b) {
  const f32 sum = a + b, back = sum - a, error = (a - (sum - back)) + (b - back);
  const u32 sum_bits = bits(sum), away = (bits(error) ^ sum_bits) >> 31;   // 1: the error points toward zero
  const u32 moved = sum_bits + 1 - 2 * away;
  const u32 fixed = (sum_bits & 1) == 0 ? moved : sum_bits;
  const u32 magnitude = bits(error) & 0x7fffffff;
  return as_f32((magnitude - 1) < 0x7f800000 ? fixed : sum_bits);          // not for zero or NaN
}
// The product of two f16 is exact in f32, and the odd sum has two bits more than f16 needs.
AMLM_INLINE Half fma(Half a, Half b, Half c) {
  return {with_nan(odd_sum(a.value * b.value, c.value), a.value, b.value, c.value)};
}

AMLM_INLINE bool is_negative(f32 x) { return (bits(x) >> 31) != 0; }
AMLM_INLINE bool is_negative(f64 x) { return (bits(x) >> 63) != 0; }

// IEEE: a signaling NaN is quieted and wins. Otherwise a NaN loses; of two, the first counts. -0 is below +0.
// On integers, which order as floats do once negative ones are flipped.
template <class B, class I>
AMLM_INLINE I order_key(B x) {
  const I sign = I(x) >> (sizeof(B) * 8 - 1);
  return I(x ^ (B(sign) & (B(~B(0)) >> 1)));
}
template <class B>
AMLM_INLINE B choose_number(B picked, B a, B b, B infinity, B quiet, bool ieee) {
  const B all = B(~B(0)) >> 1;
  const bool a_nan = (a & all) > infinity, b_nan = (b & all) > infinity;
  B result = b_nan ? a : picked;
  result = a_nan ? b : result;
  result = a_nan & b_nan ? B(a | quiet) : result;
  const B priority = ieee ? quiet : B(0);   // a NaN without this bit signals, if that matters
  result = b_nan & ((~b & priority) != 0) ? B(b | quiet) : result;
  result = a_nan & ((~a & priority) != 0) ? B(a | quiet) : result;
  return result;
}
AMLM_INLINE f32 min_number(f32 x, f32 y, bool ieee) {
  const u32 a = bits(x), b = bits(y), picked = order_key<u32, i32>(a) < order_key<u32, i32>(b) ? a : b;
  return as_f32(choose_number<u32>(picked, a, b, 0x7f800000, 0x400000, ieee));
}
AMLM_INLINE f32 max_number(f32 x, f32 y, bool ieee) {
  const u32 a = bits(x), b = bits(y), picked = order_key<u32, i32>(a) > order_key<u32, i32>(b) ? a : b;
  return as_f32(choose_number<u32>(picked, a, b, 0x7f800000, 0x400000, ieee));
}
AMLM_INLINE f64 min_number(f64 x, f64 y, bool ieee) {
  const u64 a = bits(x), b = bits(y), picked = order_key<u64, i64>(a) < order_key<u64, i64>(b) ? a : b;
  return as_f64(choose_number<u64>(picked, a, b, 0x7ff0000000000000, u64{1} << 51, ieee));
}
AMLM_INLINE f64 max_number(f64 x, f64 y, bool ieee) {
  const u64 a = bits(x), b = bits(y), picked = order_key<u64, i64>(a) > order_key<u64, i64>(b) ? a : b;
  return as_f64(choose_number<u64>(picked, a, b, 0x7ff0000000000000, u64{1} << 51, ieee));
}
// f16 by its bits: widening would have quieted a signaling NaN.
AMLM_INLINE bool is_nan_f16(u16 x) { return (x & 0x7fff) > 0x7c00; }
AMLM_INLINE u16 min_f16(u16 a, u16 b, bool ieee) {
  const u16 picked = order_key<u16, i16>(a) < order_key<u16, i16>(b) ? a : b;
  return choose_number<u16>(picked, a, b, 0x7c00, 0x200, ieee);
}
AMLM_INLINE u16 max_f16(u16 a, u16 b, bool ieee) {
  const u16 picked = order_key<u16, i16>(a) > order_key<u16, i16>(b) ? a : b;
  return choose_number<u16>(picked, a, b, 0x7c00, 0x200, ieee);
}

AMLM_INLINE bool is_nan(F16Bits x) { return is_nan_f16(u16(x)); }
AMLM_INLINE F16Bits min_number(F16Bits a, F16Bits b, bool ieee) { return F16Bits(min_f16(u16(a), u16(b), ieee)); }
AMLM_INLINE F16Bits max_number(F16Bits a, F16Bits b, bool ieee) { return F16Bits(max_f16(u16(a), u16(b), ieee)); }

// ---- Conversions -------------------------------------------------------------------------------------------------

// Toward zero, saturated, NaN gives 0.
AMLM_INLINE i32 to_i32(f32 x) {
  const f32 inside = x >= 0x1p31f ? 0.0f : x <= -0x1p31f ? 0.0f : is_nan(x) ? 0.0f : x;
  return x >= 0x1p31f ? std::numeric_limits<i32>::max() : x <= -0x1p31f ? std::numeric_limits<i32>::min() : i32(inside);
}
AMLM_INLINE u32 to_u32(f32 x) {
  const f32 inside = x > 0 && x < 0x1p32f ? x : 0.0f;
  return x >= 0x1p32f ? ~0u : u32(i64(inside));
}
AMLM_INLINE i32 to_i32(f64 x) {
  const f64 inside = x >= 0x1p31 ? 0.0 : x <= -0x1p31 ? 0.0 : is_nan(x) ? 0.0 : x;
  return x >= 0x1p31 ? std::numeric_limits<i32>::max() : x <= -0x1p31 ? std::numeric_limits<i32>::min() : i32(inside);
}
AMLM_INLINE u32 to_u32(f64 x) {
  const f64 inside = x > 0 && x < 0x1p32 ? x : 0.0;
  return x >= 0x1p32 ? ~0u : u32(i64(inside));
}
AMLM_INLINE i16 to_i16(f32 x) {
  const i32 value = to_i32(x);
  return i16(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}
AMLM_INLINE u16 to_u16(f32 x) {
  const i32 value = to_i32(x);
  return u16(value > 65535 ? 65535 : value < 0 ? 0 : value);
}
AMLM_INLINE f32 to_f32(u32 x) { return f32(x); }
AMLM_INLINE f32 to_f32(i32 x) { return f32(x); }

// Round to nearest even whatever the host's rounding is.
AMLM_INLINE f32 rndne(f32 x) { return __builtin_roundevenf(x); }
AMLM_INLINE f64 rndne(f64 x) { return __builtin_roundeven(x); }

// An f32 to f16 toward zero; finite values stay finite. Bits.
AMLM_INLINE u32 to_f16_toward_zero(f32 x) {
  const u32 b = bits(x), sign = b >> 16 & 0x8000, magnitude = b & 0x7fffffff;
  const i32 exponent = i32(magnitude >> 23) - 127;
  const u32 significand = (magnitude & 0x7fffff) | 0x800000;
  const i32 drop = -1 - exponent;                 // of a subnormal result: 14 - 15 + ... places below bit 23
  const u32 subnormal = drop > 23 ? 0 : significand >> (drop < 0 ? 0 : drop);
  const u32 normal = u32((exponent + 15) << 10) | (magnitude >> 13 & 0x3ff);
  u32 result = exponent < -14 ? subnormal : normal;
  result = exponent > 15 ? 0x7bff : result;
  result = magnitude == 0x7f800000 ? 0x7c00 : result;
  result = magnitude > 0x7f800000 ? 0x7e00 | (magnitude >> 13 & 0x1ff) : result;
  return sign | result;
}

// ---- Bits ----------------------------------------------------------------------------------------------------------

AMLM_INLINE u32 bit_field_u32(u32 value, u32 offset, u32 width) {
  return width == 0 ? 0 : value >> (offset & 31) & (width >= 32 ? ~0u : (1u << (width & 31)) - 1);
}
// Sign-extended. What lies above bit 31 is the sign.
AMLM_INLINE i32 bit_field_i32(i32 value, u32 offset, u32 width) {
  const i32 shifted = value >> (offset & 31);
  const u32 up = (32 - width) & 31;
  return width == 0 ? 0 : width >= 32 ? shifted : i32(u32(shifted) << up) >> up;
}
AMLM_INLINE u32 reverse(u32 x) {
  x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
  x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(x);
}
AMLM_INLINE i32 leading_zeros(u32 x) { return x == 0 ? -1 : std::countl_zero(x); }
AMLM_INLINE i32 trailing_zeros(u32 x) { return x == 0 ? -1 : std::countr_zero(x); }
// Leading bits equal to the sign bit; -1 when all are.
AMLM_INLINE i32 leading_signs(i32 x) {
  const u32 y = u32(x < 0 ? ~x : x);
  return y == 0 ? -1 : std::countl_zero(y);
}
AMLM_INLINE i32 leading_signs(i64 x) {
  const u64 y = u64(x < 0 ? ~x : x);
  return y == 0 ? -1 : std::countl_zero(y);
}

template <class T>
AMLM_INLINE T clamp_to(i64 x) {
  constexpr i64 low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return T(x < low ? low : x > high ? high : x);
}
template <class T>
AMLM_INLINE T least(T a, T b) { return a < b ? a : b; }
template <class T>
AMLM_INLINE T greatest(T a, T b) { return a > b ? a : b; }
template <class T>
AMLM_INLINE T middle(T a, T b, T c) { return greatest(least(a, b), least(greatest(a, b), c)); }

// 24-bit factors.
AMLM_INLINE i32 signed_24(u32 x) { return i32(x << 8) >> 8; }
AMLM_INLINE u32 unsigned_24(u32 x) { return x & 0xffffff; }

// ---- frexp, ldexp ---------------------------------------------------------------------------------------------------

f32 ldexp(f32 x, i32 exponent);
f64 ldexp(f64 x, i32 exponent);
i32 frexp_exponent(f32 x);
i32 frexp_exponent(f64 x);
f32 frexp_mantissa(f32 x);
f64 frexp_mantissa(f64 x);

}  // namespace amlm::isa::arith
