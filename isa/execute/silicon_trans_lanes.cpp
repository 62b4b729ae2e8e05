// exp2, rcp and rsq of 32 lanes: the arithmetic of silicon_trans.cpp as loops that vectorise. The rare cases (zeros,
// infinities, NaN, results outside f32) are left to the scalar functions.
#include <bit>
#include <cstring>

#include "isa/execute/host_vectors.h"
#include "isa/execute/silicon_coefficients.h"
#include "isa/execute/silicon_trans.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define AMLM_CLONES __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define AMLM_CLONES
#endif

namespace amlm::isa::silicon {
namespace {

constexpr int lanes = 32;

// The four coefficients of each lane's segment.
struct alignas(64) Segments {
  u32 constant[lanes], linear[lanes], quadratic[lanes], cubic[lanes];
};
inline void look_up(const Cubic* table, const u32* index, Segments& out) {
  for (int i = 0; i < lanes; i++) {
    const Cubic& c = table[index[i]];
    out.constant[i] = u32(c.constant);
    out.linear[i] = u32(c.linear);
    out.quadratic[i] = u32(c.quadratic);
    out.cubic[i] = u32(c.cubic);
  }
}

inline __attribute__((always_inline)) u64 even(u64 value, int shift) {
  const u64 half = (u64{1} << (shift - 1)) - 1;
  return (value + half + (value >> shift & 1)) >> shift;
}
inline __attribute__((always_inline)) u32 even_32(u32 value, int shift) {
  const u32 half = (1u << (shift - 1)) - 1;
  return (value + half + (value >> shift & 1)) >> shift;
}
// A product kept to 24 significant bits.
inline __attribute__((always_inline)) u64 product_24(u64 product) {
  const u64 high = even(product, 24) * 2, low = even(product, 23);
  return product >> 47 != 0 ? high : low;
}

void exp2_polynomial(const Segments& c, const u32* fraction, u32* significand) {
  for (int i = 0; i < lanes; i++) {
    const u32 f = fraction[i], coordinate = f >> 6;
    const u64 product = u64(c.linear[i]) * f;
    const u64 linear = product >> 47 != 0 ? even(product, 24) : even(product, 23) >> 1;
    const u64 square = u64(coordinate) * coordinate >> 12;
    const u32 inner = even_32((c.quadratic[i] << 7) + c.cubic[i] * coordinate, 7);
    const u64 sum = ((c.constant[i] + linear) << 8) + product_24(u64(inner) * u32(square));
    significand[i] = u32(even(sum, 13));
  }
}

// Second and third order of rcp and rsq.
inline __attribute__((always_inline)) u64 higher(u32 quadratic, u32 cubic, u32 f, int quadratic_shift, int cubic_shift) {
  const u32 top = f >> 7, square = u32(u64(top) * top >> 10);
  const u32 inner = (quadratic << quadratic_shift) - even_32(cubic * ((f >> 4) + 1), cubic_shift);
  return product_24(u64(inner) * square);
}

void rcp_polynomial(const Segments& c, const u32* fraction, u32* significand) {
  for (int i = 0; i < lanes; i++) {
    const u32 f = fraction[i];
    const u64 product = u64(c.linear[i]) * f;
    const u64 linear = product >> 44 != 0 ? even(product, 21) : (product + 0x17ffff) >> 21;
    const u64 sum = u64(c.constant[i]) * 512 - linear * 64 + higher(c.quadratic[i], c.cubic[i], f, 8, 12);
    significand[i] = u32(even(sum, 11));
  }
}

AMLM_CLONES void rsq_polynomial(const Segments& c, const u32* fraction, const u32* linear_fraction, u32* significand) {
  for (int i = 0; i < lanes; i++) {
    const u64 product = u64(c.linear[i]) * linear_fraction[i];
    const u64 linear = (product + (product >> 43 != 0 ? 0x17ffff : 0x1bffff)) >> 21;
    const u64 sum = u64(c.constant[i]) * 1024 - linear * 128 + higher(c.quadratic[i], c.cubic[i], fraction[i], 9, 11);
    significand[i] = u32(even(sum, 12));
  }
}

void exp2_f32_plain(const u32* x, u32* out) {
  alignas(64) u32 index[lanes], fraction[lanes], base[lanes], significand[lanes], rare[lanes];
  u32 any = 0;
  for (int i = 0; i < lanes; i++) {
    const u32 magnitude = x[i] & 0x7fffffff, negative = 0u - (x[i] >> 31);
    const i32 exponent = i32(magnitude >> 23) - 127;
    // Ordinary: from 2^-24 up, below 128 or down to -126.
    rare[i] = u32(magnitude - 0x33800000 >= (negative != 0 ? 0x42fc0001u : 0x43000000u) - 0x33800000);
    const u32 significant = (magnitude & 0x7fffff) | 0x800000;
    const u32 left = u32(exponent + 6), right = u32(-6 - exponent);
    const u32 phase = exponent >= -6 ? significant << (left & 31) : significant >> (right & 31);
    const u32 whole = exponent >= 0 ? significant >> ((23 - exponent) & 31) : 0;
    const u32 kept = (phase ^ negative) & 0x1fffffff;
    index[i] = kept >> 24;
    fraction[i] = kept & 0xffffff;
    base[i] = ((whole ^ negative) + 126) << 23;
    any |= rare[i];
  }
  Segments c;
  look_up(exp2_cubics, index, c);
  exp2_polynomial(c, fraction, significand);
  alignas(64) u32 result[lanes];
  for (int i = 0; i < lanes; i++) result[i] = base[i] + significand[i];
  if (any != 0)
    for (int i = 0; i < lanes; i++)
      if (rare[i] != 0) result[i] = exp2_f32(x[i]);
  std::memcpy(out, result, sizeof result);
}

void rcp_f32_plain(const u32* x, u32* out) {
  alignas(64) u32 index[lanes], fraction[lanes], significand[lanes], rare[lanes], result[lanes];
  u32 any = 0;
  for (int i = 0; i < lanes; i++) {
    const u32 mantissa = x[i] & 0x7fffff, field = x[i] >> 23 & 0xff;
    index[i] = mantissa >> 18;
    fraction[i] = (mantissa & 0x3ffff) << 6;
    rare[i] = u32((field - 1 >= 252) | (mantissa == 0));
    any |= rare[i];
  }
  Segments c;
  look_up(rcp_cubics, index, c);
  rcp_polynomial(c, fraction, significand);
  for (int i = 0; i < lanes; i++) {
    const u32 normal = 0x3e800000 + significand[i], field = x[i] >> 23 & 0xff;
    result[i] = (x[i] & 0x80000000) | (normal + (127u << 23) - (field << 23));
  }
  if (any != 0)
    for (int i = 0; i < lanes; i++)
      if (rare[i] != 0) result[i] = rcp_f32(x[i]);
  std::memcpy(out, result, sizeof result);
}

#if defined(__x86_64__)
const auto exp2_of_lanes = has_avx512() ? exp2_f32_wide : exp2_f32_plain;
const auto rcp_of_lanes = has_avx512() ? rcp_f32_wide : rcp_f32_plain;
#else
constexpr auto exp2_of_lanes = exp2_f32_plain, rcp_of_lanes = rcp_f32_plain;
#endif

}  // namespace

void exp2_f32(const u32* x, u32* out) { exp2_of_lanes(x, out); }
void rcp_f32(const u32* x, u32* out) { rcp_of_lanes(x, out); }

void rsq_f32(const u32* x, u32* out) {
  alignas(64) u32 index[lanes], fraction[lanes], linear[lanes], significand[lanes], rare[lanes], result[lanes];
  u32 any = 0;
  for (int i = 0; i < lanes; i++) {
    const u32 mantissa = x[i] & 0x7fffff, parity = ~(x[i] >> 23) & 1;   // of the exponent without its bias of 127
    index[i] = parity << 5 | mantissa >> 18;
    fraction[i] = (mantissa & 0x3ffff) << 6;
    linear[i] = mantissa >> 18 == 31 ? fraction[i] & ~0x30u : fraction[i];
    rare[i] = u32((x[i] - 0x00800000 >= 0x7f000000) | (mantissa == 0));
    any |= rare[i];
  }
  Segments c;
  look_up(rsq_cubics, index, c);
  rsq_polynomial(c, fraction, linear, significand);
  for (int i = 0; i < lanes; i++) {
    const i32 exponent = i32(x[i] >> 23) - 127;
    result[i] = 0x3e800000 + significand[i] - (u32(exponent >> 1) << 23);
  }
  if (any != 0)
    for (int i = 0; i < lanes; i++)
      if (rare[i] != 0) result[i] = rsq_f32(x[i]);
  std::memcpy(out, result, sizeof result);
}

}  // namespace amlm::isa::silicon
