// Scalar floating point (RDNA3.5 only): the same results as the vector instructions. 16-bit forms read the low half and
// write zero to the high one.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/scalar.h"

namespace amlm::isa {
namespace {

using namespace arith;

namespace op {

f32 ceil(f32 a) { return std::ceil(a); }
f32 floor(f32 a) { return std::floor(a); }
f32 trunc(f32 a) { return std::trunc(a); }
f32 round_even(f32 a) { return rndne(a); }
f32 from_i32(i32 a) { return f32(a); }
f32 from_u32(u32 a) { return f32(a); }
i32 into_i32(f32 a) { return to_i32(a); }
u32 into_u32(f32 a) { return to_u32(a); }
f32 add_f32(f32 a, f32 b) { return add(a, b); }
f32 sub_f32(f32 a, f32 b) { return sub(a, b); }
f32 mul_f32(f32 a, f32 b) { return mul(a, b); }
f32 min_f32(State& s, f32 a, f32 b) { return min_number(a, b, s.ieee()); }
f32 max_f32(State& s, f32 a, f32 b) { return max_number(a, b, s.ieee()); }
f32 fma_f32(f32 a, f32 b, f32 c) { return fma(a, b, c); }
u32 cvt_pk_rtz(f32 a, f32 b) { return to_f16_toward_zero(a) | to_f16_toward_zero(b) << 16; }

// 16 bits through the lane conversions, which know how to round.
f32 wide(u16 a) {
  alignas(64) u32 lanes[half_lanes] = {a};
  widen_halves(lanes, lanes);
  return as_f32(lanes[0]);
}
u16 narrow(f32 a) {
  alignas(64) u32 lanes[half_lanes] = {bits(a)};
  narrow_halves(lanes, lanes);
  return u16(lanes[0]);
}
u16 cvt_f16_f32(f32 a) { return narrow(a); }
f32 cvt_f32_f16(u16 a) { return wide(a); }
f32 cvt_hi_f32_f16(State& s, u32 a) {
  const u32 half = a >> 16, kept = (s.mode() & 0x40) != 0 || (half & 0x7c00) != 0 ? half : half & 0x8000;
  return wide(u16(kept));
}
u16 ceil_f16(u16 a) { return narrow(std::ceil(wide(a))); }
u16 floor_f16(u16 a) { return narrow(std::floor(wide(a))); }
u16 trunc_f16(u16 a) { return narrow(std::trunc(wide(a))); }
u16 rndne_f16(u16 a) { return narrow(rndne(wide(a))); }
u16 add_f16(u16 a, u16 b) { return narrow(add(wide(a), wide(b))); }
u16 sub_f16(u16 a, u16 b) { return narrow(sub(wide(a), wide(b))); }
u16 mul_f16(u16 a, u16 b) { return narrow(mul(wide(a), wide(b))); }
u16 fma_f16(u16 a, u16 b, u16 c) { return narrow(fma(Half{wide(a)}, Half{wide(b)}, Half{wide(c)}).value); }
u16 min16(State& s, u16 a, u16 b) { return min_f16(a, b, s.ieee()); }
u16 max16(State& s, u16 a, u16 b) { return max_f16(a, b, s.ieee()); }

enum class Relation : u8 { lt, eq, le, gt, lg, ge, o, u, nge, nlg, ngt, nle, neq, nlt };
template <Relation relation>
bool holds(f32 a, f32 b) {
  switch (relation) {
    case Relation::lt: return a < b;
    case Relation::eq: return a == b;
    case Relation::le: return a <= b;
    case Relation::gt: return a > b;
    case Relation::lg: return a < b || a > b;
    case Relation::ge: return a >= b;
    case Relation::o: return !is_nan(a) && !is_nan(b);
    case Relation::u: return is_nan(a) || is_nan(b);
    case Relation::nge: return !(a >= b);
    case Relation::nlg: return !(a < b || a > b);
    case Relation::ngt: return !(a > b);
    case Relation::nle: return !(a <= b);
    case Relation::neq: return !(a == b);
    case Relation::nlt: return !(a < b);
  }
  return false;
}
template <Relation relation>
bool holds_f16(u16 a, u16 b) { return holds<relation>(wide(a), wide(b)); }

}  // namespace op

// f16 is the only use of 16 bits here.
template <class T>
T flushed(T value, u32 keep_f32, u32 keep_f16, u32 mode) {
  if constexpr (std::is_same_v<T, f32>) {
    if ((mode & keep_f32) == 0 && (bits(value) & 0x7f800000) == 0) return as_f32(bits(value) & 0x80000000);
  } else if constexpr (std::is_same_v<T, u16>) {
    if ((mode & keep_f16) == 0 && (value & 0x7c00) == 0) return u16(value & 0x8000);
  }
  return value;
}

// Not inlined: arithmetic must not move across the change of the host's rounding.
template <auto F, class... A>
[[gnu::noinline]] auto apart(State& state, A... a) {
  if constexpr (ScalarSignature<decltype(F)>::has_state) return F(state, a...);
  else return F(a...);
}

// In any MODE: denormals flushed, or rounded otherwise, as the vector instructions do.
template <auto F, Last last>
void in_any_mode(Wave& wave, const Step& step) {
  using S = ScalarSignature<decltype(F)>;
  using R = typename S::Result;
  constexpr u32 n = std::tuple_size_v<typename S::Arguments>;
  constexpr bool is_f32 = std::is_same_v<R, f32>, is_f16 = std::is_same_v<R, u16>;
  const Instruction& in = step.in;
  State state{wave, wave.scc};
  const R result = [&]<u32... i>(std::integer_sequence<u32, i...>) {
    const auto argument = [&]<u32 k>() {
      const Operand& operand = last == Last::destination && k == n - 1 ? in.dst : in.src[k];
      return flushed(read_scalar<std::tuple_element_t<k, typename S::Arguments>>(wave, operand, in), 0x10, 0x40, wave.mode);
    };
    const auto arguments = std::tuple{argument.template operator()<i>()...};
    const HostRounding rounding(is_f32 ? wave.mode & 3 : is_f16 ? wave.mode >> 2 & 3 : 0);
    return apart<F>(state, std::get<i>(arguments)...);
  }(std::make_integer_sequence<u32, n>{});
  if constexpr (std::is_same_v<R, bool>) wave.scc = result;
  else if constexpr (is_f16) wave.set_scalar(in.dst.code, flushed(result, 0x20, 0x80, wave.mode));
  else wave.set_scalar(in.dst.code, std::bit_cast<u32>(flushed(result, 0x20, 0x80, wave.mode)));
}

template <auto F, Last last = Last::source>
void float_op(Wave& wave, const Step& step) {
  constexpr u32 fields = mode_f32_fields | mode_f16_f64_fields, usual = mode_f32_usual | mode_f16_f64_usual;
  if ((wave.mode & fields) == usual) return scalar_op<F, last>(wave, step);
  in_any_mode<F, last>(wave, step);
}

#define BIND(name, ...) {Opcode::name, float_op<__VA_ARGS__>}
#define COMPARE(name) BIND(s_cmp_##name##_f32, op::holds<op::Relation::name>), \
                      BIND(s_cmp_##name##_f16, op::holds_f16<op::Relation::name>)
constexpr Binding bindings[] = {
    BIND(s_ceil_f32, op::ceil), BIND(s_floor_f32, op::floor), BIND(s_trunc_f32, op::trunc),
    BIND(s_rndne_f32, op::round_even), BIND(s_cvt_f32_i32, op::from_i32), BIND(s_cvt_f32_u32, op::from_u32),
    BIND(s_cvt_i32_f32, op::into_i32), BIND(s_cvt_u32_f32, op::into_u32), BIND(s_cvt_f16_f32, op::cvt_f16_f32),
    BIND(s_cvt_f32_f16, op::cvt_f32_f16), BIND(s_cvt_hi_f32_f16, op::cvt_hi_f32_f16), BIND(s_ceil_f16, op::ceil_f16),
    BIND(s_floor_f16, op::floor_f16), BIND(s_trunc_f16, op::trunc_f16), BIND(s_rndne_f16, op::rndne_f16),
    BIND(s_add_f32, op::add_f32), BIND(s_sub_f32, op::sub_f32), BIND(s_min_f32, op::min_f32),
    BIND(s_max_f32, op::max_f32), BIND(s_mul_f32, op::mul_f32), BIND(s_fmaak_f32, op::fma_f32),
    BIND(s_fmamk_f32, op::fma_f32), BIND(s_fmac_f32, op::fma_f32, Last::destination),
    BIND(s_cvt_pk_rtz_f16_f32, op::cvt_pk_rtz), BIND(s_add_f16, op::add_f16), BIND(s_sub_f16, op::sub_f16),
    BIND(s_min_f16, op::min16), BIND(s_max_f16, op::max16), BIND(s_mul_f16, op::mul_f16),
    BIND(s_fmac_f16, op::fma_f16, Last::destination),
    COMPARE(lt), COMPARE(eq), COMPARE(le), COMPARE(gt), COMPARE(lg), COMPARE(ge), COMPARE(o), COMPARE(u), COMPARE(nge),
    COMPARE(nlg), COMPARE(ngt), COMPARE(nle), COMPARE(neq), COMPARE(nlt),
};
#undef BIND
#undef COMPARE

}  // namespace

std::span<const Binding> salu_float_bindings() { return bindings; }

}  // namespace amlm::isa
