// VOP3 instructions of graphics and of range reduction: cube maps, 2/pi.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"

namespace amlm::isa {
namespace {

using namespace arith;

// The axis with the largest magnitude: Z before Y before X, compared with subnormals as zeros; NaN is no axis.
struct Major {
  bool z, y, negative;
  f32 value, magnitude;
};
f32 flushed_magnitude(f32 x) {
  const u32 magnitude = bits(x) & 0x7fffffff;
  return as_f32(magnitude < 0x00800000 ? 0 : magnitude);
}
Major major_of(f32 x, f32 y, f32 z) {
  const f32 a = flushed_magnitude(x), b = flushed_magnitude(y), c = flushed_magnitude(z);
  Major major{.z = c >= a && c >= b, .y = b >= a, .negative = false, .value = x, .magnitude = a};
  if (major.z) major.value = z, major.magnitude = c;
  else if (major.y) major.value = y, major.magnitude = b;
  major.negative = is_negative(major.value) && major.magnitude > 0;
  return major;
}
f32 negated(f32 x) { return as_f32(bits(x) ^ 0x80000000); }
f32 cube_result(Env env, f32 x) { return env.ieee() && is_nan(x) ? quieted(x) : x; }

// The bits of 2/pi behind the point: gfx1201 has 1184 of them, zeros follow (ERRATA.md, trig-preop).
constexpr u32 two_over_pi[] = {
    0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
    0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5, 0x2ebb4484,
    0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff, 0xde05980f,
    0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7, 0xebe5f17b,
    0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046,
};
constexpr u32 two_over_pi_bits = 32 * std::size(two_over_pi);

u64 bits_of_two_over_pi(u32 first, u32 count) {
  u64 value = 0;
  for (u32 at = first; at < first + count; ++at)
    value = value << 1 | (at < two_over_pi_bits ? two_over_pi[at / 32] >> (31 - at % 32) & 1 : 0);
  return value;
}

namespace op {

f32 v_cubeid_f32(f32 x, f32 y, f32 z) {
  const Major major = major_of(x, y, z);
  return (major.z ? 4.0f : major.y ? 2.0f : 0.0f) + (major.negative ? 1.0f : 0.0f);
}
f32 v_cubesc_f32(Env env, f32 x, f32 y, f32 z) {
  const Major major = major_of(x, y, z);
  if (major.z) return cube_result(env, major.negative ? negated(x) : x);
  return cube_result(env, major.y ? x : major.negative ? z : negated(z));
}
f32 v_cubetc_f32(Env env, f32 x, f32 y, f32 z) {
  const Major major = major_of(x, y, z);
  if (major.z || !major.y) return cube_result(env, negated(y));
  return cube_result(env, major.negative ? negated(z) : z);
}
// Twice the major axis. A zero is +0, but -0 where MODE rounds down.
f32 v_cubema_f32(Env env, f32 x, f32 y, f32 z) {
  const Major major = major_of(x, y, z);
  if (is_nan(major.value)) return cube_result(env, major.value);
  if (major.magnitude == 0) return (env.mode & 3) == 2 && is_negative(major.value) ? -0.0f : 0.0f;
  return major.value * 2.0f;
}

// Multiply for lighting: a zero factor gives 0, as the guide's words say and its code does not.
f32 v_mullit_f32(f32 a, f32 b, f32 c) {
  const f32 lowest = -std::numeric_limits<f32>::max();
  return (b == lowest) | (b < lowest) | is_nan(b) | !(c > 0) ? lowest : mul_dx9(a, b);
}

// 53 bits of 2/pi for the exponent of `a` and the segment `b`, scaled to where they stand; for huge `a` by 2^128 more.
f64 v_trig_preop_f64(f64 a, u32 b) {
  const u32 exponent = u32(bits(a) >> 52) & 2047, first = 53 * (b & 31) + (exponent > 1077 ? exponent - 1077 : 0);
  u64 significand = bits_of_two_over_pi(first, 53);
  if (significand == 0) return 0.0;
  const i32 scale = (exponent >= 1968 ? 128 : 0) - 53 - i32(first), top = 63 - std::countl_zero(significand);
  if (top + scale < -1022) {     // subnormal: cut, not rounded
    const i32 drop = -1074 - scale;
    return as_f64(drop <= 0 ? significand << -drop : drop < 64 ? significand >> drop : 0);
  }
  significand <<= 52 - top;
  return as_f64(u64(top + scale + 1023) << 52 | (significand & ((u64{1} << 52) - 1)));
}

}  // namespace op

#define BIND(name) {Opcode::name, vector_op<op::name>}
constexpr Binding bindings[] = {BIND(v_cubeid_f32), BIND(v_cubesc_f32), BIND(v_cubetc_f32), BIND(v_cubema_f32),
                                BIND(v_trig_preop_f64), BIND(v_mullit_f32)};
#undef BIND

}  // namespace

std::span<const Binding> vop3_special_bindings() { return bindings; }

}  // namespace amlm::isa
