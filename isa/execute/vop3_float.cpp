// VOP3 floating point: fused multiply-add, three-operand minimum and maximum, division steps, f64.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/silicon_dot.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

f32 v_fma_dx9_zero_f32(f32 a, f32 b, f32 c) { return fma_dx9(a, b, c); }
f32 v_fma_f32(f32 a, f32 b, f32 c) { return fma(a, b, c); }
f64 v_fma_f64(f64 a, f64 b, f64 c) { return fma(a, b, c); }
Half v_fma_f16(Half a, Half b, Half c) { return fma(a, b, c); }
f64 v_add_f64(f64 a, f64 b) { return add(a, b); }
f64 v_mul_f64(f64 a, f64 b) { return mul(a, b); }
f64 v_min_f64(Env env, f64 a, f64 b) { return min_number(a, b, env.ieee()); }
f64 v_max_f64(Env env, f64 a, f64 b) { return max_number(a, b, env.ieee()); }

f32 v_min3_f32(Env env, f32 a, f32 b, f32 c) { return min_number(min_number(a, b, env.ieee()), c, env.ieee()); }
f32 v_max3_f32(Env env, f32 a, f32 b, f32 c) { return max_number(max_number(a, b, env.ieee()), c, env.ieee()); }
f32 v_maxmin_f32(Env env, f32 a, f32 b, f32 c) { return min_number(max_number(a, b, env.ieee()), c, env.ieee()); }
f32 v_minmax_f32(Env env, f32 a, f32 b, f32 c) { return max_number(min_number(a, b, env.ieee()), c, env.ieee()); }
// The middle one; with a NaN among them, the least.
f32 v_med3_f32(Env env, f32 a, f32 b, f32 c) {
  const bool ieee = env.ieee();
  const f32 low = min_number(a, b, ieee), high = max_number(a, b, ieee);
  return is_nan(a) | is_nan(b) | is_nan(c) ? min_number(low, c, ieee) : max_number(low, min_number(high, c, ieee), ieee);
}
u16 v_min3_f16(Env env, u16 a, u16 b, u16 c) { return min_f16(min_f16(a, b, env.ieee()), c, env.ieee()); }
u16 v_max3_f16(Env env, u16 a, u16 b, u16 c) { return max_f16(max_f16(a, b, env.ieee()), c, env.ieee()); }
u16 v_maxmin_f16(Env env, u16 a, u16 b, u16 c) { return min_f16(max_f16(a, b, env.ieee()), c, env.ieee()); }
u16 v_minmax_f16(Env env, u16 a, u16 b, u16 c) { return max_f16(min_f16(a, b, env.ieee()), c, env.ieee()); }
u16 v_med3_f16(Env env, u16 a, u16 b, u16 c) {
  const bool ieee = env.ieee();
  const u16 low = min_f16(a, b, ieee), high = max_f16(a, b, ieee);
  return is_nan_f16(a) | is_nan_f16(b) | is_nan_f16(c) ? min_f16(low, c, ieee) : max_f16(low, min_f16(high, c, ieee), ieee);
}

f32 v_ldexp_f32(f32 a, i32 b) { return arith::ldexp(a, b); }
f64 v_ldexp_f64(f64 a, i32 b) { return arith::ldexp(a, b); }

u32 v_cvt_pk_i16_f32(f32 a, f32 b) { return u32(u16(to_i16(a))) | u32(u16(to_i16(b))) << 16; }
u32 v_cvt_pk_u16_f32(f32 a, f32 b) { return u32(to_u16(a)) | u32(to_u16(b)) << 16; }

u16 v_dot2_f16_f16(Env env, u32 a, u32 b, u16 c) {
  return silicon::dot2_packed(silicon::Factor::f16, a, b, c, (env.mode >> 23 & 1) != 0);
}
u16 v_dot2_bf16_bf16(Env env, u32 a, u32 b, u16 c) {
  return silicon::dot2_packed(silicon::Factor::bf16, a, b, c, (env.mode >> 23 & 1) != 0);
}

// ---- Division: v_div_scale, v_rcp, fused steps, v_div_fmas, v_div_fixup ---------------------------------------------
// a is scaled if it is the denominator b or the numerator c and that helps; the flag asks v_div_fmas to scale back.

template <class T>
struct Division;
template <>
struct Division<f32> {
  static constexpr i32 near_overflow = 96, tiny_numerator = 23, scale = 64, bias = 127, underflow = -150, top = 255;
  static i32 exponent(f32 x) { return i32(bits(x) >> 23 & 0xff); }
  static f32 nan() { return as_f32(0xffc00000); }
  static bool subnormal(f32 x) { return x != 0 && exponent(x) == 0; }
  // Quotients beyond f32 are still there in f64.
  static bool reciprocal_subnormal(f32 x) { return small(1.0 / f64(x)); }
  static bool quotient_subnormal(f32 n, f32 d) { return small(f64(n) / f64(d)); }
  static bool small(f64 x) { return x != 0 && std::fabs(x) < 0x1p-126; }
};
template <>
struct Division<f64> {
  static constexpr i32 near_overflow = 768, tiny_numerator = 53, scale = 128, bias = 1023, underflow = -1075, top = 2047;
  static i32 exponent(f64 x) { return i32(bits(x) >> 52 & 0x7ff); }
  static f64 nan() { return as_f64(0xfff8000000000000); }
  static bool subnormal(f64 x) { return x != 0 && exponent(x) == 0; }
  static bool reciprocal_subnormal(f64 x) { return small(1.0L / static_cast<long double>(x)); }
  static bool quotient_subnormal(f64 n, f64 d) { return small(static_cast<long double>(n) / d); }
  static bool small(long double x) { return x != 0 && __builtin_fabsl(x) < 0x1p-1022L; }
};

template <class T>
With<T> div_scale(T a, T b, T c) {
  using F = Division<T>;
  const bool is_denominator = a == b, is_numerator = a == c;
  if (b == 0 || c == 0) return {F::nan(), false};
  if (F::exponent(c) - F::exponent(b) >= F::near_overflow)
    return {is_denominator ? arith::ldexp(a, F::scale) : a, true};
  if (F::subnormal(b)) return {arith::ldexp(a, F::scale), false};
  const bool reciprocal = F::reciprocal_subnormal(b), quotient = F::quotient_subnormal(c, b);
  // Down: a denominator this large has no room above (the guide's pseudo-code says up; full-range division then fails).
  if (reciprocal && quotient) return {is_denominator ? arith::ldexp(a, -F::scale) : a, true};
  if (reciprocal) return {arith::ldexp(a, -F::scale), false};
  if (quotient) return {is_numerator ? arith::ldexp(a, F::scale) : a, true};
  if (F::exponent(c) <= F::tiny_numerator) return {arith::ldexp(a, F::scale), false};
  return {a, false};
}
With<f32> v_div_scale_f32(f32 a, f32 b, f32 c) { return div_scale(a, b, c); }
With<f64> v_div_scale_f64(f64 a, f64 b, f64 c) { return div_scale(a, b, c); }

// The scaled result is rounded once: a subnormal quotient would otherwise be rounded twice.
f32 scaled_fma(f32 a, f32 b, f32 c, i32 by) {
  const f64 product = f64(a) * f64(b);                       // exact
  f64 sum = product + f64(c);
  const f64 part = sum - product;
  const f64 lost = (product - (sum - part)) + (f64(c) - part);
  // To odd: what was lost decides the later rounding to f32 if nothing else does.
  if (lost != 0 && std::isfinite(sum) && !(std::bit_cast<u64>(sum) & 1))
    sum = std::bit_cast<f64>(std::bit_cast<u64>(sum) + ((lost > 0) == (sum > 0) ? 1 : -1));
  return f32(std::ldexp(sum, by));
}
f64 scaled_fma(f64 a, f64 b, f64 c, i32 by) {
  using Wide = __float128;                                   // 113 bits hold the product of two f64
  const Wide factor = by < 0 ? Wide(1) / Wide(std::ldexp(1.0, -by)) : Wide(std::ldexp(1.0, by));
  return f64((Wide(a) * Wide(b) + Wide(c)) * factor);
}

template <class T>
T div_fmas(Env env, T a, T b, T c) {
  if (!env.vcc_bit()) return fma(a, b, c);
  return scaled_fma(a, b, c, Division<T>::exponent(c) > Division<T>::bias ? Division<T>::scale : -Division<T>::scale);
}
f32 v_div_fmas_f32(Env env, f32 a, f32 b, f32 c) { return div_fmas(env, a, b, c); }
f64 v_div_fmas_f64(Env env, f64 a, f64 b, f64 c) { return div_fmas(env, a, b, c); }

// a: quotient; b: denominator; c: numerator. Puts in what the iteration cannot find.
template <class T>
T div_fixup(T a, T b, T c) {
  using F = Division<T>;
  const bool negative = is_negative(b) != is_negative(c);
  const T infinity = std::numeric_limits<T>::infinity();
  const T sign = negative ? T(-1) : T(1);
  if (is_nan(c)) return quieted(c);
  if (is_nan(b)) return quieted(b);
  if ((b == 0 && c == 0) || (std::isinf(b) && std::isinf(c))) return F::nan();
  if (b == 0 || std::isinf(c)) return sign * infinity;
  if (std::isinf(b) || c == 0) return sign * T(0);
  if (F::exponent(c) - F::exponent(b) < F::underflow) return sign * T(0);
  // The iteration on a quotient far past the largest number ends in inf - inf.
  if (is_nan(a)) return sign * infinity;
  return std::copysign(a, sign);
}
f32 v_div_fixup_f32(f32 a, f32 b, f32 c) { return div_fixup(a, b, c); }
f64 v_div_fixup_f64(f64 a, f64 b, f64 c) { return div_fixup(a, b, c); }
Half v_div_fixup_f16(Half a, Half b, Half c) {
  const bool negative = is_negative(b.value) != is_negative(c.value);
  const f32 sign = negative ? -1.0f : 1.0f;
  if (is_nan(c)) return c;
  if (is_nan(b)) return b;
  if ((b.value == 0 && c.value == 0) || (std::isinf(b.value) && std::isinf(c.value))) return {as_f32(0xffc00000)};
  if (b.value == 0 || std::isinf(c.value)) return {sign * std::numeric_limits<f32>::infinity()};
  if (std::isinf(b.value) || c.value == 0) return {sign * 0.0f};
  return {std::copysign(a.value, sign)};
}

}  // namespace op

#define BIND(name) {Opcode::name, vector_op<op::name>}
constexpr Binding bindings[] = {
    BIND(v_fma_dx9_zero_f32), BIND(v_fma_f32), BIND(v_fma_f64), BIND(v_fma_f16), BIND(v_add_f64), BIND(v_mul_f64),
    BIND(v_min_f64), BIND(v_max_f64), BIND(v_min3_f32), BIND(v_max3_f32), BIND(v_maxmin_f32), BIND(v_minmax_f32),
    BIND(v_med3_f32), BIND(v_min3_f16), BIND(v_max3_f16), BIND(v_maxmin_f16), BIND(v_minmax_f16), BIND(v_med3_f16),
    BIND(v_ldexp_f32), BIND(v_ldexp_f64), BIND(v_cvt_pk_i16_f32), BIND(v_cvt_pk_u16_f32), BIND(v_dot2_f16_f16),
    BIND(v_dot2_bf16_bf16), BIND(v_div_scale_f32), BIND(v_div_scale_f64), BIND(v_div_fmas_f32), BIND(v_div_fmas_f64),
    BIND(v_div_fixup_f32), BIND(v_div_fixup_f64), BIND(v_div_fixup_f16),
};
#undef BIND

}  // namespace

std::span<const Binding> vop3_float_bindings() { return bindings; }

}  // namespace amlm::isa
