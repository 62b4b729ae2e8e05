// VOP1: moves, conversions, rounding, transcendentals, bit counts.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/silicon_trans.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

u32 v_mov_b32(u32 a) { return a; }
u16 v_mov_b16(u16 a) { return a; }
u32 v_not_b32(u32 a) { return ~a; }
u16 v_not_b16(u16 a) { return u16(~a); }
u32 v_bfrev_b32(u32 a) { return reverse(a); }
i32 v_clz_i32_u32(u32 a) { return leading_zeros(a); }
i32 v_ctz_i32_b32(u32 a) { return trailing_zeros(a); }
i32 v_cls_i32(i32 a) { return leading_signs(a); }

i32 v_cvt_i32_f64(f64 a) { return to_i32(a); }
u32 v_cvt_u32_f64(f64 a) { return to_u32(a); }
f64 v_cvt_f64_i32(i32 a) { return f64(a); }
f64 v_cvt_f64_u32(u32 a) { return f64(a); }
f32 v_cvt_f32_i32(i32 a) { return f32(a); }
f32 v_cvt_f32_u32(u32 a) { return f32(a); }
u32 v_cvt_u32_f32(f32 a) { return to_u32(a); }
i32 v_cvt_i32_f32(f32 a) { return to_i32(a); }
Half v_cvt_f16_f32(f32 a) { return {a}; }
f32 v_cvt_f32_f16(Half a) { return a.value; }
i32 v_cvt_nearest_i32_f32(f32 a) { return to_i32(std::floor(f64(a) + 0.5)); }
i32 v_cvt_floor_i32_f32(f32 a) { return to_i32(std::floor(a)); }
f32 v_cvt_off_f32_i4(i32 a) { return f32(i32(u32(a) << 28) >> 28) * 0x1p-4f; }
f32 v_cvt_f32_f64(f64 a) { return f32(a); }
f64 v_cvt_f64_f32(f32 a) { return f64(a); }
f32 v_cvt_f32_ubyte0(u32 a) { return f32(a & 0xff); }
f32 v_cvt_f32_ubyte1(u32 a) { return f32(a >> 8 & 0xff); }
f32 v_cvt_f32_ubyte2(u32 a) { return f32(a >> 16 & 0xff); }
f32 v_cvt_f32_ubyte3(u32 a) { return f32(a >> 24); }
Half v_cvt_f16_u16(u16 a) { return {f32(a)}; }
Half v_cvt_f16_i16(i16 a) { return {f32(a)}; }
u16 v_cvt_u16_f16(Half a) { return to_u16(a.value); }
i16 v_cvt_i16_f16(Half a) { return to_i16(a.value); }
i32 v_cvt_i32_i16(i16 a) { return a; }
u32 v_cvt_u32_u16(u16 a) { return a; }

f32 v_trunc_f32(f32 a) { return std::trunc(a); }
f32 v_ceil_f32(f32 a) { return std::ceil(a); }
f32 v_floor_f32(f32 a) { return std::floor(a); }
f32 v_rndne_f32(f32 a) { return rndne(a); }
f64 v_trunc_f64(f64 a) { return std::trunc(a); }
f64 v_ceil_f64(f64 a) { return std::ceil(a); }
f64 v_floor_f64(f64 a) { return std::floor(a); }
f64 v_rndne_f64(f64 a) { return rndne(a); }
Half v_trunc_f16(Half a) { return {std::trunc(a.value)}; }
Half v_ceil_f16(Half a) { return {std::ceil(a.value)}; }
Half v_floor_f16(Half a) { return {std::floor(a.value)}; }
Half v_rndne_f16(Half a) { return {rndne(a.value)}; }
// Always below one: LLVM folds min(x - floor(x), 1 - ulp) into it.
f32 v_fract_f32(f32 a) {
  const f32 fraction = a - std::floor(a);
  return fraction >= 1.0f ? 0x1.fffffep-1f : fraction;
}
f64 v_fract_f64(f64 a) {
  const f64 fraction = a - std::floor(a);
  return fraction >= 1.0 ? 0x1.fffffffffffffp-1 : fraction;
}
Half v_fract_f16(Half a) {
  const f32 fraction = a.value - std::floor(a.value);
  return {fraction > 0x1.ffcp-1f ? 0x1.ffcp-1f : fraction};
}
i32 v_frexp_exp_i32_f32(f32 a) { return frexp_exponent(a); }
i32 v_frexp_exp_i32_f64(f64 a) { return frexp_exponent(a); }
i16 v_frexp_exp_i16_f16(Half a) { return i16(frexp_exponent(a.value)); }
f32 v_frexp_mant_f32(f32 a) { return frexp_mantissa(a); }
f64 v_frexp_mant_f64(f64 a) { return frexp_mantissa(a); }
Half v_frexp_mant_f16(Half a) { return {frexp_mantissa(a.value)}; }

f32 v_exp_f32(f32 a) { return as_f32(silicon::exp2_f32(bits(a))); }
f32 v_log_f32(f32 a) { return as_f32(silicon::log2_f32(bits(a))); }
f32 v_rcp_f32(f32 a) { return as_f32(silicon::rcp_f32(bits(a))); }
f32 v_rsq_f32(f32 a) { return as_f32(silicon::rsq_f32(bits(a))); }
f32 v_sqrt_f32(f32 a) { return as_f32(silicon::sqrt_f32(bits(a))); }
f32 v_sin_f32(Env env, f32 a) { return as_f32(silicon::sin_f32(bits(a), env.mode >> 4 & 3)); }
f32 v_cos_f32(Env env, f32 a) { return as_f32(silicon::cos_f32(bits(a), env.mode >> 4 & 3)); }
f64 v_rcp_f64(f64 a) { return as_f64(silicon::rcp_f64(bits(a))); }
f64 v_rsq_f64(f64 a) { return as_f64(silicon::rsq_f64(bits(a))); }
f64 v_sqrt_f64(f64 a) { return as_f64(silicon::sqrt_f64(bits(a))); }
// f16: the f32 result rounded once. f16 subnormals are ordinary f32 numbers.
Half v_exp_f16(Half a) { return {v_exp_f32(a.value)}; }
Half v_log_f16(Half a) { return {v_log_f32(a.value)}; }
Half v_rcp_f16(Half a) { return {v_rcp_f32(a.value)}; }
Half v_rsq_f16(Half a) { return {v_rsq_f32(a.value)}; }
Half v_sqrt_f16(Half a) { return {v_sqrt_f32(a.value)}; }
Half v_sin_f16(Half a) { return {as_f32(silicon::sin_f32(bits(a.value), 3))}; }
Half v_cos_f16(Half a) { return {as_f32(silicon::cos_f32(bits(a.value), 3))}; }

u16 v_sat_pk_u8_i16(u32 a) {
  const i32 low = i16(a), high = i16(a >> 16);
  const u32 first = u32(low < 0 ? 0 : low > 255 ? 255 : low), second = u32(high < 0 ? 0 : high > 255 ? 255 : high);
  return u16(first | second << 8);
}

}  // namespace op

void v_nop(Wave&, const Step&) {}

// Transcendentals ignore MODE, so that a plain one needs no look at it.
template <auto F, void (*lanes)(const u32*, u32*)>
void whole_vector(Wave& wave, const Step& step) {
  if (!step.plain) return vector_op<F>(wave, step);
  Lanes source;
  LaneBuffer buffer, result;
  fetch_plain<f32>(wave, step, step.in.src[0], source, buffer);
  if (wave.exec() == ~0u) return lanes(source.low, wave.vgpr(step.in.dst.vgpr()));
  lanes(source.low, result.low);
  write_lanes(wave.vgpr(step.in.dst.vgpr()), result.low, wave.exec());
}

#define BIND(name) {Opcode::name, vector_op<op::name>}
#define WIDE(name) {Opcode::name, vector_op<op::name>, vector_wide<op::name>}
constexpr Binding bindings[] = {
    {Opcode::v_nop, v_nop}, {Opcode::v_pipeflush, v_nop},
    WIDE(v_mov_b32), BIND(v_mov_b16), WIDE(v_not_b32), BIND(v_not_b16), BIND(v_bfrev_b32), BIND(v_clz_i32_u32),
    BIND(v_ctz_i32_b32), BIND(v_cls_i32), BIND(v_cvt_i32_f64), BIND(v_cvt_u32_f64), BIND(v_cvt_f64_i32),
    BIND(v_cvt_f64_u32), WIDE(v_cvt_f32_i32), WIDE(v_cvt_f32_u32), WIDE(v_cvt_u32_f32), WIDE(v_cvt_i32_f32),
    BIND(v_cvt_f16_f32), BIND(v_cvt_f32_f16), BIND(v_cvt_nearest_i32_f32), BIND(v_cvt_floor_i32_f32),
    BIND(v_cvt_off_f32_i4), BIND(v_cvt_f32_f64), BIND(v_cvt_f64_f32), WIDE(v_cvt_f32_ubyte0), WIDE(v_cvt_f32_ubyte1),
    WIDE(v_cvt_f32_ubyte2), WIDE(v_cvt_f32_ubyte3), BIND(v_cvt_f16_u16), BIND(v_cvt_f16_i16), BIND(v_cvt_u16_f16),
    BIND(v_cvt_i16_f16), BIND(v_cvt_i32_i16), BIND(v_cvt_u32_u16), WIDE(v_trunc_f32), BIND(v_ceil_f32),
    WIDE(v_floor_f32), WIDE(v_rndne_f32), BIND(v_trunc_f64), BIND(v_ceil_f64), BIND(v_floor_f64), BIND(v_rndne_f64),
    BIND(v_trunc_f16), BIND(v_ceil_f16), BIND(v_floor_f16), BIND(v_rndne_f16), BIND(v_fract_f32), BIND(v_fract_f64),
    BIND(v_fract_f16), BIND(v_frexp_exp_i32_f32), BIND(v_frexp_exp_i32_f64), BIND(v_frexp_exp_i16_f16),
    BIND(v_frexp_mant_f32), BIND(v_frexp_mant_f64), BIND(v_frexp_mant_f16), BIND(v_log_f32),
    {Opcode::v_exp_f32, whole_vector<op::v_exp_f32, silicon::exp2_f32>},
    {Opcode::v_rcp_f32, whole_vector<op::v_rcp_f32, silicon::rcp_f32>},
    {Opcode::v_rcp_iflag_f32, whole_vector<op::v_rcp_f32, silicon::rcp_f32>},
    {Opcode::v_rsq_f32, whole_vector<op::v_rsq_f32, silicon::rsq_f32>}, BIND(v_sqrt_f32),
    BIND(v_sin_f32), BIND(v_cos_f32), BIND(v_rcp_f64), BIND(v_rsq_f64), BIND(v_sqrt_f64), BIND(v_exp_f16),
    BIND(v_log_f16), BIND(v_rcp_f16), BIND(v_rsq_f16), BIND(v_sqrt_f16), BIND(v_sin_f16), BIND(v_cos_f16),
    BIND(v_sat_pk_u8_i16),
};
#undef BIND
#undef WIDE

}  // namespace

std::span<const Binding> vop1_bindings() { return bindings; }

}  // namespace amlm::isa
