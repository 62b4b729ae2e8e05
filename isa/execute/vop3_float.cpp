// VOP3 floating point: fused multiply-add, three-operand minimum and maximum, division steps, f64.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/lanes_wide.h"
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
F16Bits v_min3_f16(Env env, F16Bits a, F16Bits b, F16Bits c) {
  return min_number(min_number(a, b, env.ieee()), c, env.ieee());
}
F16Bits v_max3_f16(Env env, F16Bits a, F16Bits b, F16Bits c) {
  return max_number(max_number(a, b, env.ieee()), c, env.ieee());
}
F16Bits v_maxmin_f16(Env env, F16Bits a, F16Bits b, F16Bits c) {
  return min_number(max_number(a, b, env.ieee()), c, env.ieee());
}
F16Bits v_minmax_f16(Env env, F16Bits a, F16Bits b, F16Bits c) {
  return max_number(min_number(a, b, env.ieee()), c, env.ieee());
}
F16Bits v_med3_f16(Env env, F16Bits a, F16Bits b, F16Bits c) {
  const bool ieee = env.ieee();
  const F16Bits low = min_number(a, b, ieee), high = max_number(a, b, ieee);
  return is_nan(a) | is_nan(b) | is_nan(c) ? min_number(low, c, ieee) : max_number(low, min_number(high, c, ieee), ieee);
}

f32 v_ldexp_f32(f32 a, i32 b) { return arith::ldexp(a, b); }
f64 v_ldexp_f64(f64 a, i32 b) { return arith::ldexp(a, b); }

u32 v_cvt_pk_i16_f32(f32 a, f32 b) { return u32(u16(to_i16(a))) | u32(u16(to_i16(b))) << 16; }
u32 v_cvt_pk_u16_f32(f32 a, f32 b) { return u32(to_u16(a)) | u32(to_u16(b)) << 16; }

// Normalised integers: scaled, rounded once to nearest even, saturated; NaN gives 0 (captured on gfx1201, rocjitsu).
u16 signed_norm(f64 x) {
  const f64 scaled = rndne(x * 32767.0), value = scaled > 32767 ? 32767 : scaled < -32767 ? -32767 : scaled;
  return u16(i16(is_nan(x) ? 0.0 : value));
}
u16 unsigned_norm(f64 x) {
  const f64 scaled = rndne(x * 65535.0), value = scaled > 65535 ? 65535 : scaled > 0 ? scaled : 0;
  return u16(i32(value));
}
u32 v_cvt_pk_norm_i16_f32(f32 a, f32 b) { return signed_norm(a) | u32(signed_norm(b)) << 16; }
u32 v_cvt_pk_norm_u16_f32(f32 a, f32 b) { return unsigned_norm(a) | u32(unsigned_norm(b)) << 16; }
u32 v_cvt_pk_norm_i16_f16(Half a, Half b) { return signed_norm(a.value) | u32(signed_norm(b.value)) << 16; }
u32 v_cvt_pk_norm_u16_f16(Half a, Half b) { return unsigned_norm(a.value) | u32(unsigned_norm(b.value)) << 16; }
u16 v_cvt_norm_i16_f16(Half a) { return signed_norm(a.value); }
u16 v_cvt_norm_u16_f16(Half a) { return unsigned_norm(a.value); }
// One byte of c replaced; rounded as MODE says.
u32 v_cvt_pk_u8_f32(f32 a, u32 b, u32 c) {
  const f32 rounded = __builtin_nearbyintf(a);
  const u32 byte = rounded > 255 ? 255 : rounded > 0 ? u32(rounded) : 0, shift = 8 * (b & 3);
  return (c & ~(0xffu << shift)) | byte << shift;
}

u16 v_dot2_f16_f16(Env env, u32 a, u32 b, u16 c) {
  return silicon::dot2_packed(silicon::Factor::f16, a, b, c, (env.mode >> 23 & 1) != 0);
}
u16 v_dot2_bf16_bf16(Env env, u32 a, u32 b, u16 c) {
  return silicon::dot2_packed(silicon::Factor::bf16, a, b, c, (env.mode >> 23 & 1) != 0);
}

// ---- Division: v_div_scale, v_rcp, fused steps, v_div_fmas, v_div_fixup ---------------------------------------------
// The rules for scaling are those checked on gfx1100 and gfx1201 (rocjitsu, division.h): the guide's do not reproduce them.

template <class T>
struct Division;
template <>
struct Division<f32> {
  static constexpr i32 near_limit = 96, scale = 64, bias = 127, fraction_bits = 23, tiny_numerator = 24;
  static i32 exponent(f32 x) { return i32(bits(x) >> 23 & 0xff); }
};
template <>
struct Division<f64> {
  static constexpr i32 near_limit = 768, scale = 128, bias = 1023, fraction_bits = 52, tiny_numerator = 53;
  static i32 exponent(f64 x) { return i32(bits(x) >> 52 & 0x7ff); }
};

// a is the denominator b or the numerator c, scaled if that helps; the flag asks v_div_fmas to scale back.
template <class T>
With<T> div_scale(T a, T b, T c) {
  using D = Division<T>;
  const bool is_denominator = bits(a) == bits(b);
  const i32 denominator = D::exponent(b), numerator = D::exponent(c), apart = numerator - denominator;
  i32 adjust = 0;
  bool scale_back = false;
  if (apart >= D::near_limit) {
    adjust = is_denominator ? D::scale : 0;
    scale_back = true;
  } else if (denominator == 0) {
    adjust = D::scale;
  } else if (denominator >= 2 * D::bias - 1) {
    scale_back = apart <= -D::near_limit;
    adjust = scale_back && !is_denominator ? 0 : -D::scale;
  } else if (apart <= -D::near_limit) {
    adjust = is_denominator ? 0 : D::scale;
    scale_back = true;
  } else if (numerator <= D::tiny_numerator) {
    adjust = D::scale;
  }
  if (b == 0 || c == 0) return {invalid(T()), scale_back};
  return {arith::ldexp(a, adjust), scale_back};
}
With<f32> v_div_scale_f32(f32 a, f32 b, f32 c) { return div_scale(a, b, c); }
With<f64> v_div_scale_f64(f64 a, f64 b, f64 c) { return div_scale(a, b, c); }

// The scaling is fused with the one rounding: through a format wide enough for the sum.
f32 v_div_fmas_f32(Env env, f32 a, f32 b, f32 c) {
  const f32 plain = fma(a, b, c);
  if (!env.vcc_bit() || is_nan(plain) || std::isinf(a) || std::isinf(b) || std::isinf(c)) return plain;
  const f64 wide = odd_sum(f64(a) * f64(b), f64(c));
  return f32(std::ldexp(wide, Division<f32>::exponent(c) > Division<f32>::bias ? 64 : -64));
}
f64 v_div_fmas_f64(Env env, f64 a, f64 b, f64 c) {
  const f64 plain = fma(a, b, c);
  if (!env.vcc_bit() || is_nan(plain) || std::isinf(a) || std::isinf(b) || std::isinf(c)) return plain;
  const __float128 factor = Division<f64>::exponent(c) > Division<f64>::bias ? 0x1p128 : 0x1p-128;
  return f64((static_cast<__float128>(a) * b + c) * factor);
}

// a: quotient; b: denominator; c: numerator. Puts in what the iteration cannot find.
template <class T>
T div_fixup(T a, T b, T c) {
  using D = Division<T>;
  const T infinity = std::numeric_limits<T>::infinity();
  const T sign = is_negative(b) != is_negative(c) ? T(-1) : T(1);
  if (is_nan(c)) return quieted(c);
  if (is_nan(b)) return quieted(b);
  if ((b == 0 && c == 0) || (std::isinf(b) && std::isinf(c))) return invalid(T());
  if (b == 0 || std::isinf(c)) return sign * infinity;
  if (std::isinf(b) || c == 0) return sign * T(0);
  if (D::exponent(c) - D::exponent(b) < -(D::bias + D::fraction_bits)) return sign * T(0);
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
#define WIDE(name) {Opcode::name, vector_op<op::name>, vector_wide<op::name>}
#if defined(__x86_64__)
#define EXTREME(name, extreme) {Opcode::name, vector_op<op::name>, extreme_wide<Extreme::extreme, 3, vector_op<op::name>>}
#else
#define EXTREME(name, extreme) BIND(name)
#endif
constexpr Binding bindings[] = {
    BIND(v_fma_dx9_zero_f32), WIDE(v_fma_f32), BIND(v_fma_f64), BIND(v_fma_f16), BIND(v_add_f64), BIND(v_mul_f64),
    BIND(v_min_f64), BIND(v_max_f64), EXTREME(v_min3_f32, minimum),
    EXTREME(v_max3_f32, maximum), WIDE(v_maxmin_f32), WIDE(v_minmax_f32),
    WIDE(v_med3_f32), BIND(v_min3_f16), BIND(v_max3_f16), BIND(v_maxmin_f16), BIND(v_minmax_f16), BIND(v_med3_f16),
    BIND(v_ldexp_f32), BIND(v_ldexp_f64), BIND(v_cvt_pk_i16_f32), BIND(v_cvt_pk_u16_f32), BIND(v_dot2_f16_f16),
    BIND(v_cvt_pk_norm_i16_f32), BIND(v_cvt_pk_norm_u16_f32), BIND(v_cvt_pk_norm_i16_f16),
    BIND(v_cvt_pk_norm_u16_f16), BIND(v_cvt_norm_i16_f16), BIND(v_cvt_norm_u16_f16), BIND(v_cvt_pk_u8_f32),
    BIND(v_dot2_bf16_bf16), BIND(v_div_scale_f32), BIND(v_div_scale_f64), BIND(v_div_fmas_f32), BIND(v_div_fmas_f64),
    BIND(v_div_fixup_f32), BIND(v_div_fixup_f64), BIND(v_div_fixup_f16),
};
#undef BIND
#undef WIDE
#undef EXTREME

}  // namespace

std::span<const Binding> vop3_float_bindings() { return bindings; }

}  // namespace amlm::isa
