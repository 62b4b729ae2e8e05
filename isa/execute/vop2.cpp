// VOP2: two sources; and the halves of VOPD, which are the same operations.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/lanes_wide.h"
#include "isa/execute/silicon_dot.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

u32 v_cndmask_b32(u32 a, u32 b, bool mask) { return mask ? b : a; }
f32 v_add_f32(f32 a, f32 b) { return add(a, b); }
f32 v_sub_f32(f32 a, f32 b) { return sub(a, b); }
f32 v_subrev_f32(f32 a, f32 b) { return sub(b, a); }
f32 v_mul_f32(f32 a, f32 b) { return mul(a, b); }
f32 v_mul_dx9_zero_f32(f32 a, f32 b) { return mul_dx9(a, b); }
f32 v_fmac_dx9_zero_f32(f32 a, f32 b, f32 c) { return fma_dx9(a, b, c); }
f32 v_fmac_f32(f32 a, f32 b, f32 c) { return fma(a, b, c); }
f32 v_min_f32(Env env, f32 a, f32 b) { return min_number(a, b, env.ieee()); }
f32 v_max_f32(Env env, f32 a, f32 b) { return max_number(a, b, env.ieee()); }

i32 v_mul_i32_i24(u32 a, u32 b) { return i32(i64(signed_24(a)) * signed_24(b)); }
i32 v_mul_hi_i32_i24(u32 a, u32 b) { return i32(i64(signed_24(a)) * signed_24(b) >> 32); }
u32 v_mul_u32_u24(u32 a, u32 b) { return u32(u64(unsigned_24(a)) * unsigned_24(b)); }
u32 v_mul_hi_u32_u24(u32 a, u32 b) { return u32(u64(unsigned_24(a)) * unsigned_24(b) >> 32); }
i32 sat_mul_i32_i24(u32 a, u32 b) { return clamp_to<i32>(i64(signed_24(a)) * signed_24(b)); }
u32 sat_mul_u32_u24(u32 a, u32 b) { return clamp_to<u32>(i64(unsigned_24(a)) * unsigned_24(b)); }
i32 v_min_i32(i32 a, i32 b) { return least(a, b); }
i32 v_max_i32(i32 a, i32 b) { return greatest(a, b); }
u32 v_min_u32(u32 a, u32 b) { return least(a, b); }
u32 v_max_u32(u32 a, u32 b) { return greatest(a, b); }
u32 v_lshlrev_b32(u32 a, u32 b) { return b << (a & 31); }
u32 v_lshrrev_b32(u32 a, u32 b) { return b >> (a & 31); }
i32 v_ashrrev_i32(u32 a, i32 b) { return b >> (a & 31); }
u32 v_and_b32(u32 a, u32 b) { return a & b; }
u32 v_or_b32(u32 a, u32 b) { return a | b; }
u32 v_xor_b32(u32 a, u32 b) { return a ^ b; }
u32 v_xnor_b32(u32 a, u32 b) { return ~(a ^ b); }
u32 v_add_nc_u32(u32 a, u32 b) { return a + b; }
u32 v_sub_nc_u32(u32 a, u32 b) { return a - b; }
u32 v_subrev_nc_u32(u32 a, u32 b) { return b - a; }
u32 sat_add_nc_u32(u32 a, u32 b) { return clamp_to<u32>(i64(a) + b); }
u32 sat_sub_nc_u32(u32 a, u32 b) { return clamp_to<u32>(i64(a) - b); }
u32 sat_subrev_nc_u32(u32 a, u32 b) { return clamp_to<u32>(i64(b) - a); }
With<u32> sat_add_co_ci_u32(u32 a, u32 b, bool c) {
  const u64 sum = u64(a) + b + c;
  return {clamp_to<u32>(i64(sum)), sum >> 32 != 0};
}
With<u32> sat_sub_co_ci_u32(u32 a, u32 b, bool c) { return {clamp_to<u32>(i64(a) - b - c), u64(b) + c > a}; }
With<u32> sat_subrev_co_ci_u32(u32 a, u32 b, bool c) { return sat_sub_co_ci_u32(b, a, c); }
With<u32> v_add_co_ci_u32(u32 a, u32 b, bool c) {
  const u64 sum = u64(a) + b + c;
  return {u32(sum), sum >> 32 != 0};
}
With<u32> v_sub_co_ci_u32(u32 a, u32 b, bool c) { return {a - b - c, u64(b) + c > a}; }
With<u32> v_subrev_co_ci_u32(u32 a, u32 b, bool c) { return v_sub_co_ci_u32(b, a, c); }

u32 v_cvt_pk_rtz_f16_f32(f32 a, f32 b) { return to_f16_toward_zero(a) | to_f16_toward_zero(b) << 16; }

Half v_add_f16(Half a, Half b) { return add(a, b); }
Half v_sub_f16(Half a, Half b) { return sub(a, b); }
Half v_subrev_f16(Half a, Half b) { return sub(b, a); }
Half v_mul_f16(Half a, Half b) { return mul(a, b); }
Half v_fmac_f16(Half a, Half b, Half c) { return fma(a, b, c); }
Half v_fmamk_f16(Half a, Half k, Half c) { return fma(a, k, c); }
F16Bits v_max_f16(Env env, F16Bits a, F16Bits b) { return max_number(a, b, env.ieee()); }
F16Bits v_min_f16(Env env, F16Bits a, F16Bits b) { return min_number(a, b, env.ieee()); }
Half v_ldexp_f16(Half a, i16 b) { return {arith::ldexp(a.value, b)}; }

}  // namespace op

// Whole vectors at once.
void v_cvt_pk_rtz_f16_f32(Wave& wave, const Step& step) {
  if (!step.plain || (wave.mode & mode_f32_fields) != mode_f32_usual)
    return vector_op<op::v_cvt_pk_rtz_f16_f32>(wave, step);
  Lanes a, b;
  LaneBuffer a_buffer, b_buffer, low, high;
  fetch_plain<f32>(wave, step, step.in.src[0], a, a_buffer);
  fetch_plain<f32>(wave, step, step.in.src[1], b, b_buffer);
  narrow_halves_toward_zero(a.low, low.low);
  narrow_halves_toward_zero(b.low, high.low);
  for (u32 i = 0; i < half_lanes; i++) low.low[i] |= high.low[i] << 16;
  write_lanes(wave.vgpr(step.in.dst.vgpr()), low.low, wave.exec());
}

void v_dot2acc_f32_f16(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  LaneBuffer a, b;
  u32* d = wave.vgpr(in.dst.vgpr());
  const u32* left = in.src[0].is_vgpr() ? wave.vgpr(in.src[0].vgpr()) : a.low;
  const u32* right = in.src[1].is_vgpr() ? wave.vgpr(in.src[1].vgpr()) : b.low;
  // An inline float stands in the low half only (captured on gfx1100).
  if (left == a.low) broadcast(a.low, scalar_half(wave, in.src[0].code, in));
  if (right == b.low) broadcast(b.low, scalar_half(wave, in.src[1].code, in));
  u32 write = wave.exec();
  if (!step.plain) {
    if (!dpp_lanes(wave, in, left, a.low, write)) return;
    left = a.low;
  }
  alignas(64) u32 result[half_lanes];
  silicon::dot2_f32(silicon::Factor::f16, left, right, d, result, wave.exec());
  write_lanes(d, result, write);
}

#define BIND(name) {Opcode::name, vector_op<op::name>}
#define WIDE(name) {Opcode::name, vector_op<op::name>, vector_wide<op::name>}
#if defined(__x86_64__)
#define EXTREME(name, extreme) {Opcode::name, vector_op<op::name>, extreme_wide<Extreme::extreme, 2, vector_op<op::name>>}
#else
#define EXTREME(name, extreme) BIND(name)
#endif
#define SATURATING(name) {Opcode::v_##name, vector_op<op::v_##name, Last::source, op::sat_##name>, \
                          vector_wide<op::v_##name, Last::source, op::sat_##name>}
#define ACCUMULATE(name) {Opcode::name, vector_op<op::name, Last::destination>, vector_wide<op::name, Last::destination>}
constexpr Binding bindings[] = {
    WIDE(v_cndmask_b32), WIDE(v_add_f32), WIDE(v_sub_f32), WIDE(v_subrev_f32), WIDE(v_mul_f32),
    BIND(v_mul_dx9_zero_f32), ACCUMULATE(v_fmac_dx9_zero_f32), ACCUMULATE(v_fmac_f32),
    {Opcode::v_fmamk_f32, vector_op<op::v_fmac_f32>, vector_wide<op::v_fmac_f32>},
    {Opcode::v_fmaak_f32, vector_op<op::v_fmac_f32>, vector_wide<op::v_fmac_f32>},
    EXTREME(v_min_f32, minimum), EXTREME(v_max_f32, maximum),
    SATURATING(mul_i32_i24), BIND(v_mul_hi_i32_i24), SATURATING(mul_u32_u24),
    BIND(v_mul_hi_u32_u24), WIDE(v_min_i32), WIDE(v_max_i32), WIDE(v_min_u32), WIDE(v_max_u32), WIDE(v_lshlrev_b32),
    WIDE(v_lshrrev_b32), WIDE(v_ashrrev_i32), WIDE(v_and_b32), WIDE(v_or_b32), WIDE(v_xor_b32), BIND(v_xnor_b32),
    SATURATING(add_nc_u32), SATURATING(sub_nc_u32), SATURATING(subrev_nc_u32), SATURATING(add_co_ci_u32),
    SATURATING(sub_co_ci_u32), SATURATING(subrev_co_ci_u32),
    {Opcode::v_cvt_pk_rtz_f16_f32, v_cvt_pk_rtz_f16_f32}, BIND(v_add_f16), BIND(v_sub_f16),
    BIND(v_subrev_f16), BIND(v_mul_f16), ACCUMULATE(v_fmac_f16), {Opcode::v_fmamk_f16, vector_op<op::v_fmamk_f16>},
    {Opcode::v_fmaak_f16, vector_op<op::v_fmamk_f16>}, BIND(v_max_f16), BIND(v_min_f16), BIND(v_ldexp_f16),
    {Opcode::v_dot2acc_f32_f16, v_dot2acc_f32_f16},
};
#undef BIND
#undef WIDE
#undef EXTREME
#undef SATURATING
#undef ACCUMULATE

}  // namespace

std::span<const Binding> vop2_bindings() { return bindings; }

}  // namespace amlm::isa
