// VOPD: two operations in one instruction. Both read the old registers, then both write.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/silicon_dot.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

f32 fmac(f32 a, f32 b, f32 c) { return fma(a, b, c); }
f32 mul(f32 a, f32 b) { return arith::mul(a, b); }
f32 add(f32 a, f32 b) { return arith::add(a, b); }
f32 sub(f32 a, f32 b) { return arith::sub(a, b); }
f32 subrev(f32 a, f32 b) { return arith::sub(b, a); }
f32 mul_dx9_zero(f32 a, f32 b) { return mul_dx9(a, b); }
u32 mov(u32 a) { return a; }
u32 cndmask(u32 a, u32 b, bool mask) { return mask ? b : a; }
f32 max(Env env, f32 a, f32 b) { return max_number(a, b, env.ieee()); }
f32 min(Env env, f32 a, f32 b) { return min_number(a, b, env.ieee()); }
u32 add_nc(u32 a, u32 b) { return a + b; }
u32 lshlrev(u32 a, u32 b) { return b << (a & 31); }
u32 bit_and(u32 a, u32 b) { return a & b; }

}  // namespace op

struct HalfOperands {
  const Operand& dst;
  const Operand* src;
};

// Computes one half into `result`, 32 lanes: a buffer, or the destination itself.
using Compute = void (*)(Wave&, const Step&, HalfOperands, u32* result);

template <auto F, Last last = Last::source>
AMLM_INLINE void compute_body(Wave& wave, const Step& step, HalfOperands operands, u32* result) {
  using S = Signature<decltype(F)>;
  constexpr u32 n = S::count;
  LaneBuffer buffers[n];
  Lanes lanes[n];
  [&]<u32... i>(std::integer_sequence<u32, i...>) {
    (fetch_plain<typename S::template Arg<i>>(
         wave, step, last == Last::destination && i == n - 1 ? operands.dst : operands.src[i], lanes[i], buffers[i]),
     ...);
  }(std::make_integer_sequence<u32, n>{});
  apply<F>(std::make_integer_sequence<u32, n>{}, wave, lanes, Target(result, nullptr));
}

template <auto F, Last last = Last::source>
void compute(Wave& wave, const Step& step, HalfOperands operands, u32* result) {
  compute_body<F, last>(wave, step, operands, result);
}
template <auto F, Last last = Last::source>
AMLM_AVX512 __attribute__((flatten)) void compute_wide(Wave& wave, const Step& step, HalfOperands operands,
                                                       u32* result) {
  compute_body<F, last>(wave, step, operands, result);
}
template <auto F, Last last = Last::source>
Compute best() { return has_avx512() ? compute_wide<F, last> : compute<F, last>; }

// Inline floats stand in both halves here, unlike in VOP2 (captured on gfx1100); bf16 ones are the upper half of the f32.
template <silicon::Factor factor>
void dot2acc(Wave& wave, const Step& step, HalfOperands operands, u32* result) {
  LaneBuffer buffers[2];
  const u32* factors[2];
  for (int k = 0; k < 2; k++) {
    const Operand& source = operands.src[k];
    factors[k] = buffers[k].low;
    if (source.is_vgpr()) {
      factors[k] = wave.vgpr(source.vgpr());
    } else {
      u32 value = wave.scalar(source.code, step.in);
      if (source.code >= 128 && source.code <= 248) {
        const u32 half = factor == silicon::Factor::f16 ? scalar_half(wave, source.code, step.in) & 0xffff : value >> 16;
        value = half | half << 16;
      }
      broadcast(buffers[k].low, value);
    }
  }
  silicon::dot2_f32(factor, factors[0], factors[1], wave.vgpr(operands.dst.vgpr()), result, wave.exec());
}

Compute compute_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::v_dual_fmac_f32: return best<op::fmac, Last::destination>();
    case Opcode::v_dual_fmaak_f32:
    case Opcode::v_dual_fmamk_f32: return best<op::fmac>();
    case Opcode::v_dual_mul_f32: return best<op::mul>();
    case Opcode::v_dual_add_f32: return best<op::add>();
    case Opcode::v_dual_sub_f32: return best<op::sub>();
    case Opcode::v_dual_subrev_f32: return best<op::subrev>();
    case Opcode::v_dual_mul_dx9_zero_f32: return best<op::mul_dx9_zero>();
    case Opcode::v_dual_mov_b32: return best<op::mov>();
    case Opcode::v_dual_cndmask_b32: return best<op::cndmask>();
    case Opcode::v_dual_max_f32: return best<op::max>();
    case Opcode::v_dual_min_f32: return best<op::min>();
    case Opcode::v_dual_dot2acc_f32_f16: return dot2acc<silicon::Factor::f16>;
    case Opcode::v_dual_dot2acc_f32_bf16: return dot2acc<silicon::Factor::bf16>;
    case Opcode::v_dual_add_nc_u32: return best<op::add_nc>();
    case Opcode::v_dual_lshlrev_b32: return best<op::lshlrev>();
    case Opcode::v_dual_and_b32: return best<op::bit_and>();
    default: return nullptr;
  }
}

// The same with the modes that the plain functions leave out: through the slow way of the equivalent single
// instruction, whose destination is put back before the other half runs.
Handler slow_of(Opcode opcode) {
  switch (opcode) {
    case Opcode::v_dual_fmac_f32: return vector_op<op::fmac, Last::destination>;
    case Opcode::v_dual_fmaak_f32:
    case Opcode::v_dual_fmamk_f32: return vector_op<op::fmac>;
    case Opcode::v_dual_mul_f32: return vector_op<op::mul>;
    case Opcode::v_dual_add_f32: return vector_op<op::add>;
    case Opcode::v_dual_sub_f32: return vector_op<op::sub>;
    case Opcode::v_dual_subrev_f32: return vector_op<op::subrev>;
    case Opcode::v_dual_mul_dx9_zero_f32: return vector_op<op::mul_dx9_zero>;
    case Opcode::v_dual_max_f32: return vector_op<op::max>;
    case Opcode::v_dual_min_f32: return vector_op<op::min>;
    default: return nullptr;   // no floating-point mode matters
  }
}

void half_result(Wave& wave, const Step& step, bool y, bool usual, u32* result) {
  const Instruction& in = step.in;
  const Opcode opcode = y ? in.y_opcode : in.opcode;
  const Operand& dst = y ? in.y_dst : in.dst;
  const Operand* src = y ? in.y_src.data() : in.src.data();
  const Handler slow = usual ? nullptr : slow_of(opcode);
  if (slow == nullptr) {
    const Step::Part part = step.parts[y];
    return (part != nullptr ? reinterpret_cast<Compute>(part) : compute_of(opcode))(wave, step, {dst, src}, result);
  }
  Step single = step;
  single.in.opcode = opcode;
  single.in.dst = dst;
  for (int k = 0; k < 3; k++) single.in.src[k] = src[k];
  u32* lanes = wave.vgpr(dst.vgpr());
  alignas(64) u32 old[half_lanes];
  std::memcpy(old, lanes, sizeof old);
  slow(wave, single);
  std::memcpy(result, lanes, sizeof old);
  std::memcpy(lanes, old, sizeof old);
}

void run(Wave& wave, const Step& step) {
  const bool usual = (wave.mode & mode_f32_fields) == mode_f32_usual;
  const u32 exec = wave.exec();
  u32 *x_to = wave.vgpr(step.in.dst.vgpr()), *y_to = wave.vgpr(step.in.y_dst.vgpr());
  if (usual && exec == ~0u && step.halves_apart) {
    half_result(wave, step, false, true, x_to);
    half_result(wave, step, true, true, y_to);
    return;
  }
  LaneBuffer x, y;
  half_result(wave, step, false, usual, x.low);
  half_result(wave, step, true, usual, y.low);
  write_lanes(x_to, x.low, exec);
  write_lanes(y_to, y.low, exec);
}

}  // namespace

Handler vopd_handler(const Instruction& in) {
  return compute_of(in.opcode) != nullptr && compute_of(in.y_opcode) != nullptr ? run : nullptr;
}

void vopd_parts(Step& step) {
  step.parts[0] = reinterpret_cast<Step::Part>(compute_of(step.in.opcode));
  step.parts[1] = reinterpret_cast<Step::Part>(compute_of(step.in.y_opcode));
  step.halves_apart = true;
  for (const Operand& source : step.in.y_src) step.halves_apart &= source.code != step.in.dst.code;
}

}  // namespace amlm::isa
