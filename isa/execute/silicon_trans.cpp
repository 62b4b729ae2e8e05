#include "isa/execute/silicon_trans.h"

#include <algorithm>
#include <bit>

#include "isa/execute/silicon_coefficients.h"

namespace amlm::isa::silicon {
namespace {

using u128 = unsigned __int128;

constexpr u32 quiet = 0x00400000, infinity = 0x7f800000, invalid = 0xffc00000, smallest_normal = 0x00800000;

// value / 2^shift, to nearest even.
constexpr i64 round_even(i64 value, int shift) {
  const i64 whole = value >> shift, rest = value - (whole << shift), half = i64{1} << (shift - 1);
  return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

// A product kept to 24 significant bits: the rounding moves up one place when it reaches 2^47.
constexpr i64 round_product(i64 product) {
  return product >= (i64{1} << 47) ? round_even(product, 24) * 2 : round_even(product, 23);
}

// Second and third order of rcp, rsq and sqrt for a 24-bit offset `f` into the segment.
constexpr i64 higher_order(const Cubic& c, i64 f, int quadratic_shift, int cubic_shift) {
  const i64 top = f >> 7, square = (top * top) >> 10;
  const i64 inner = (i64{c.quadratic} << quadratic_shift) - round_even(c.cubic * ((f >> 4) + 1), cubic_shift);
  return round_product(inner * square);
}

// 1 / (1 + m / 2^29), in units of 2^-35. `half`: what each constant carries below f32's reach, for f64.
constexpr i64 rcp_fixed(i64 m, i64 half) {
  const Cubic& c = rcp_cubics[m >> 24];
  const i64 f = m & 0xffffff, product = c.linear * f;
  const i64 linear = product >= (i64{1} << 44) ? round_even(product, 21) : (product + 0x17ffff) >> 21;
  return i64{c.constant} * 512 + half - linear * 64 + higher_order(c, f, 8, 12);
}

// 1 / sqrt((1 + m / 2^29) * 2^parity), in units of 2^-36.
constexpr i64 rsq_fixed(u32 parity, i64 m, i64 half) {
  const i64 segment = m >> 24, f = m & 0xffffff;
  const Cubic& c = rsq_cubics[parity * 32 + segment];
  const i64 product = c.linear * (segment == 31 ? f & ~i64{0x30} : f);   // two offset bits do not reach the last segment
  const i64 linear = (product + (product >= (i64{1} << 43) ? 0x17ffff : 0x1bffff)) >> 21;
  return i64{c.constant} * 1024 + half - linear * 128 + higher_order(c, f, 9, 11);
}

// sqrt((1 + m / 2^28) * 2^parity), in units of 2^-35.
constexpr i64 sqrt_fixed(u32 parity, i64 m, i64 half) {
  const Cubic& c = sqrt_cubics[parity * 16 + (m >> 24)];
  const i64 f = m & 0xffffff, product = c.linear * f;
  const i64 linear = product >= (i64{1} << 45) ? round_even(product, 22) : (product + (1 << 20)) >> 22;
  return (i64{c.constant} << 10) + half + linear * 128 - higher_order(c, f, 8, 11);
}

// A fixed-point magnitude with `fraction` fraction bits as f32, truncated or rounded away from zero.
u32 fixed_to_f32(bool negative, u64 magnitude, int fraction, bool away) {
  const int lead = int(std::bit_width(magnitude)) - 1;
  int exponent = lead - fraction;
  u64 significand;
  if (lead > 23) {
    const int drop = lead - 23;
    significand = magnitude >> drop;
    if (away && (significand << drop) != magnitude && ++significand == 1 << 24) {
      significand >>= 1;
      exponent++;
    }
  } else {
    significand = magnitude << (23 - lead);
  }
  return u32(negative) << 31 | u32(exponent + 127) << 23 | (u32(significand) & 0x7fffff);
}

// Values with 26 significant bits lose the last.
constexpr i64 keep_25_bits(i64 value) { return value >= (i64{1} << 25) ? value & ~i64{1} : value; }

u32 log2_near_one(bool below, u32 distance) {
  int scale = 0;
  while (scale < 16 && distance << scale < 1u << 14) scale += 4;
  const i64 scaled = i64{distance} << scale;
  const LogCubic& c = below ? log2_below_one[distance >> 17]
                            : log2_above_one[distance < 1u << 16 ? 0 : distance < 1u << 17 ? 1 : 2];
  const i64 linear = ((c.linear * scaled) >> 15) << 3;
  const i64 square = (scaled * scaled) >> (12 + scale);
  const i64 cubic = i64{c.cubic} * distance + c.bias;
  i64 value = c.constant + linear;
  if (below) value += keep_25_bits(((c.quadratic + (cubic >> 22)) * square) >> 23);
  else value -= keep_25_bits(((c.quadratic - (cubic >> 23)) * square) >> 22);
  return fixed_to_f32(below, u64(value), (below ? 37 : 36) + scale, true);
}

// ---- sine and cosine ---------------------------------------------------------------------------------------------

// Below 1.5 * 2^-12 the sine is x times an f32 constant near 2 pi.
u32 small_sine(u32 x, u32 denormals) {
  const u32 field = x >> 23 & 0xff;
  const u64 significand = (x & 0x7fffff) | (field != 0 ? 0x800000 : 0);
  const u64 product = significand * 0xc90fd5;
  const int lead = int(std::bit_width(product)) - 1;
  int exponent = (field != 0 ? int(field) - 127 : -126) - 44 + lead;
  const u32 sign = x & 0x80000000;
  if (exponent < -126) {
    const u32 bits = u32(round_even(i64(product), 21));
    return sign | (bits < smallest_normal && (denormals & 2) == 0 ? 0 : bits);
  }
  u32 rounded = lead >= 24 ? u32(round_even(i64(product), lead - 23)) : u32(product << (23 - lead));
  if (rounded == 1 << 24) {
    rounded >>= 1;
    exponent++;
  }
  return sign | u32(exponent + 127) << 23 | (rounded & 0x7fffff);
}

// The linear coordinate rounded, without leaving its block of 2^20.
u32 linear_coordinate(u32 fraction, int shift, bool reflected) {
  const u32 value = fraction - u32(reflected), block = value >> (20 + shift);
  const u32 rounded = (value + (1u << (shift - 1))) >> shift;
  return std::min(rounded, ((block + 1) << 20) - 1) << shift;
}

// The first two sixteenths of the sine keep more bits of the products.
u32 fine_sine(const Cubic& c, u32 index, u32 fraction, bool reflected, u128 quadratic_product) {
  const int width = int(std::bit_width(fraction));
  const int normalization = index != 0 ? 0 : 4 * (width < 24 ? (24 - width) / 4 : 0);
  const int offset = index != 0 ? 0 : 4 * (width < 25 ? (25 - width) / 4 : 0);
  u64 coordinate = index != 0 ? linear_coordinate(fraction, 2, reflected) : u64{fraction} << offset;
  if (index == 0 && reflected && (coordinate & 0xfffff) == 0) coordinate--;
  const int linear_bits = index != 0 ? 30 : 32 + normalization, quadratic_bits = 34 + normalization;
  const i64 linear = i64((u64(u32(c.linear)) * coordinate) >> (50 + offset - linear_bits));
  const int shift = 84 - quadratic_bits;
  const u128 whole = quadratic_product >> shift, rest = quadratic_product - (whole << shift), half = u128{1} << (shift - 1);
  const i64 quadratic = i64(whole) + (rest > half || (rest == half && (whole & 1) != 0));
  const i64 sum = (i64{c.constant} << (quadratic_bits - 26)) + (linear << (quadratic_bits - linear_bits)) - quadratic;
  return sum == 0 ? 0 : fixed_to_f32(false, u64(sum), quadratic_bits, false);
}

u32 coarse_trig(const Cubic& c, u32 fraction, bool reflected, u128 quadratic_product) {
  const i64 product = i64{c.linear} * linear_coordinate(fraction, 4, reflected);
  const i64 absolute = product < 0 ? -product : product;
  const int bits = absolute >= (i64{1} << 45) ? 28 : 29;
  const i64 linear = round_even(absolute, 50 - bits) * (product < 0 ? -1 : 1) * (bits == 28 ? 2 : 1);
  const u128 bias = u128{1} << 50;
  const i64 quadratic =
      quadratic_product <= bias ? 0 : i64((quadratic_product - bias + (u128{1} << 56) - 1) >> 56);
  const i64 sum = i64{c.constant} * 8 + linear - quadratic * 2;
  return sum == 0 ? 0 : fixed_to_f32(false, u64(sum), 29, false);
}

u32 trig(u32 x, bool cosine, u32 denormals) {
  const u32 magnitude = x & 0x7fffffff;
  if (magnitude > infinity) return x | quiet;
  if (magnitude == infinity) return invalid;
  if (magnitude == 0 || (magnitude < smallest_normal && (denormals & 1) == 0))
    return cosine ? 0x3f800000 : x & 0x80000000;
  if (!cosine && magnitude < 0x39c00000) return small_sine(x, denormals);
  const int exponent = int(magnitude >> 23) - 127;
  if (exponent >= 23) return cosine ? 0x3f800000 : 0;   // whole turns
  const u64 significand = (magnitude & 0x7fffff) | 0x800000;
  const int shift = exponent + 8;                       // the phase has 31 fraction bits
  const u32 phase =
      shift >= 0 ? u32((significand << shift) & 0x7fffffff) : -shift >= 64 ? 0 : u32(significand >> -shift);
  const u32 quadrant = phase >> 29, in_quadrant = phase & 0x1fffffff;
  const bool reflected = in_quadrant >= 0x10000000;
  const u32 reduced = reflected ? 0x20000000 - in_quadrant : in_quadrant;
  const u32 table = u32(cosine) ^ (quadrant & 1) ^ u32(reflected);
  const u32 index = (reduced - u32(reflected)) >> 24, fraction = reduced - (index << 24);
  const Cubic& c = trig_cubics[table][index];
  u32 result;
  if (table == 1 && reduced < 46592) {
    result = 0x3f800000;
  } else if (table == 0 && reduced == 0) {
    result = 0;
  } else {
    const u64 square = (fraction - u32(reflected)) >> 7;
    const u64 inner = u64(-i64{c.quadratic} * (i64{1} << 24) - i64{c.cubic} * fraction);
    const u128 product = u128{inner} * square * square;
    result = table == 0 && index < 2 ? fine_sine(c, index, fraction, reflected, product)
                                     : coarse_trig(c, fraction, reflected, product);
  }
  if (result == 0) return 0;
  const bool negative = ((quadrant >> 1) != 0) ^ (cosine && (quadrant & 1) != 0) ^ (!cosine && (x >> 31) != 0);
  return result | u32(negative) << 31;
}

// ---- f64 -----------------------------------------------------------------------------------------------------------

constexpr u64 infinity_64 = 0x7ff0000000000000, sign_64 = u64{1} << 63, fraction_64 = (u64{1} << 52) - 1,
              quiet_64 = u64{1} << 51, invalid_64 = 0xfff8000000000000;

// (2^52 + fraction) * 2^(exponent - 52), which the callers make exact.
u64 encode_64(int exponent, u64 fraction) {
  if (exponent > 1023) return infinity_64;
  if (exponent >= -1022) return u64(exponent + 1023) << 52 | fraction;
  return ((u64{1} << 52) | fraction) >> (-1022 - exponent);
}
u64 below_power(int exponent) { return exponent > 1023 ? infinity_64 : encode_64(exponent, 0) - 1; }

struct Normal {
  int exponent;
  u64 fraction;
};
Normal normalised(u64 magnitude) {
  int exponent = int(magnitude >> 52) - 1023;
  u64 fraction = magnitude & fraction_64;
  if (exponent == -1023) {
    const int shift = std::countl_zero(fraction) - 11;
    fraction = (fraction << shift) & fraction_64;
    exponent = -1022 - shift;
  }
  return {exponent, fraction};
}

}  // namespace

u32 exp2_f32(u32 x) {
  const u32 magnitude = x & 0x7fffffff;
  const bool negative = (x >> 31) != 0;
  if (magnitude > infinity) return x | quiet;
  if (magnitude < 0x33800000) return 0x3f800000;             // below 2^-24
  if (!negative && magnitude >= 0x43000000) return infinity; // from 128 on
  if (negative && magnitude > 0x42fc0000) return 0;          // below -126
  const int shift = int(magnitude >> 23) - 127 + 6;          // 29 fraction bits
  const i64 significand = (magnitude & 0x7fffff) | 0x800000;
  const i64 absolute = shift >= 0 ? significand << shift : significand >> -shift;
  const i64 phase = negative ? ~absolute : absolute;         // one's complement: whole numbers miss by a hair
  const Cubic& c = exp2_cubics[phase >> 24 & 31];
  const i64 f = phase & 0xffffff, product = c.linear * f;
  const i64 linear = product >= (i64{1} << 47) ? round_even(product, 24) : round_even(product, 23) >> 1;
  const i64 coordinate = f >> 6, square = (coordinate * coordinate) >> 12;
  const i64 inner = round_even((i64{c.quadratic} << 7) + c.cubic * coordinate, 7);
  const i64 sum = ((c.constant + linear) << 8) + round_product(inner * square);
  return u32(((phase >> 29) + 126) * 0x800000 + round_even(sum, 13));
}

u32 log2_f32(u32 x) {
  const u32 magnitude = x & 0x7fffffff;
  if (magnitude > infinity) return x | quiet;
  if (magnitude < smallest_normal) return 0xff800000;
  if ((x >> 31) != 0) return invalid;
  if (magnitude == infinity) return infinity;
  const i64 exponent = i64(x >> 23) - 127;
  const u32 mantissa = x & 0x7fffff;
  if (exponent == 0 && mantissa < 1u << 18) return mantissa == 0 ? 0 : log2_near_one(false, mantissa);
  if (exponent == -1 && mantissa > 0x7c0000) return log2_near_one(true, 0x800000 - mantissa);
  const LogCubic& c = log2_cubics[mantissa >> 17 == 3 ? 32 : mantissa >> 18];
  const i64 d = mantissa & 0x3ffff, square = (d * d) >> 12;
  const i64 inner = c.quadratic - ((c.cubic * d + c.bias) >> 23);
  const i64 linear = ((c.linear * d) >> 16) << 6;
  const i64 sum = (exponent << 36) + (i64{c.constant} << 6) + linear - keep_25_bits((inner * square) >> 22);
  return fixed_to_f32(sum < 0, u64(sum < 0 ? -sum : sum), 36, sum < 0);   // toward minus infinity
}

u32 rcp_f32(u32 x) {
  const u32 sign = x & 0x80000000, magnitude = x & 0x7fffffff, mantissa = x & 0x7fffff;
  if (magnitude > infinity) return x | quiet;
  if (magnitude < smallest_normal) return sign | infinity;
  if (magnitude == infinity) return sign;
  // A value in [1, 2) has its reciprocal's significand, and the exponent field of one half or one.
  const u32 normal = mantissa == 0 ? 0x3f800000 : 0x3e800000 + u32(round_even(rcp_fixed(i64{mantissa} << 6, 0), 11));
  const i32 field = i32(normal >> 23) + 127 - i32(magnitude >> 23);
  if (field <= 0) return sign;
  if (field >= 255) return sign | infinity;
  return sign | u32(field) << 23 | (normal & 0x7fffff);
}

u32 rsq_f32(u32 x) {
  const u32 sign = x & 0x80000000, magnitude = x & 0x7fffffff, mantissa = x & 0x7fffff;
  if (magnitude > infinity) return x | quiet;
  if (magnitude < smallest_normal) return sign | infinity;
  if (sign != 0) return invalid;
  if (magnitude == infinity) return 0;
  const i32 exponent = i32(magnitude >> 23) - 127;
  const u32 parity = u32(exponent) & 1;
  const u32 normal = mantissa == 0 && parity == 0
                         ? 0x3f800000
                         : 0x3e800000 + u32(round_even(rsq_fixed(parity, i64{mantissa} << 6, 0), 12));
  return normal - (u32((exponent - i32(parity)) / 2) << 23);
}

u32 sqrt_f32(u32 x) {
  const u32 sign = x & 0x80000000, magnitude = x & 0x7fffffff;
  if (magnitude > infinity) return x | quiet;
  if (magnitude < smallest_normal) return sign;
  if (sign != 0) return invalid;
  if (magnitude == infinity) return infinity;
  const i32 exponent = i32(magnitude >> 23) - 127;
  const u32 parity = u32(exponent) & 1;
  const u32 significand = u32(round_even(sqrt_fixed(parity, i64{x & 0x7fffff} << 5, 0), 12));
  return u32((exponent - i32(parity)) / 2 + 127) << 23 | (significand & 0x7fffff);
}

u32 sin_f32(u32 x, u32 denormals) { return trig(x, false, denormals); }
u32 cos_f32(u32 x, u32 denormals) { return trig(x, true, denormals); }

u64 rcp_f64(u64 x) {
  const u64 sign = x & sign_64, magnitude = x & ~sign_64;
  if (magnitude > infinity_64) return x | quiet_64;
  if (magnitude == 0) return sign | infinity_64;
  if (magnitude == infinity_64) return sign;
  const Normal n = normalised(magnitude);
  const i64 m = i64(n.fraction >> 23);
  if (n.fraction == 0) return sign | encode_64(-n.exponent, 0);
  if (n.fraction == fraction_64)   // all ones: the value above the power of two
    return sign | (-n.exponent - 1 >= -1022 ? encode_64(-n.exponent - 1, 1) : encode_64(-n.exponent - 1, 0) + 1);
  if (m == 0) return sign | below_power(-n.exponent);
  const u64 y = u64(rcp_fixed(m, m >> 24 != 0 ? 256 : 0));
  return sign | encode_64(-n.exponent - 1, (y - (u64{1} << 34)) << 18);
}

u64 rsq_f64(u64 x) {
  const u64 sign = x & sign_64, magnitude = x & ~sign_64;
  if (magnitude > infinity_64) return x | quiet_64;
  if (magnitude == 0) return sign | infinity_64;
  if (sign != 0) return invalid_64;
  if (magnitude == infinity_64) return 0;
  const Normal n = normalised(magnitude);
  const u32 parity = u32(n.exponent) & 1;
  const int half = (n.exponent - int(parity)) / 2;
  const i64 m = i64(n.fraction >> 23);
  if (parity == 0 && n.fraction == 0) return encode_64(-half, 0);
  if (parity == 0 && m == 0) return below_power(-half);
  const u64 y = u64(rsq_fixed(parity, m, m >> 24 != 0 ? 512 : 0));
  return encode_64(-half - 1, (y - (u64{1} << 35)) << 17);
}

u64 sqrt_f64(u64 x) {
  const u64 sign = x & sign_64, magnitude = x & ~sign_64;
  if (magnitude > infinity_64) return x | quiet_64;
  if (magnitude == 0) return x;
  if (sign != 0) return invalid_64;
  if (magnitude == infinity_64) return infinity_64;
  const Normal n = normalised(magnitude);
  const u32 parity = u32(n.exponent) & 1;
  const i64 m = i64(n.fraction >> 24);
  const u64 y = u64(sqrt_fixed(parity, m, m >> 24 != 15 ? 512 : 0));
  return encode_64((n.exponent - int(parity)) / 2, (y - (u64{1} << 35)) << 17);
}

}  // namespace amlm::isa::silicon
