#include "isa/execute/poison.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

#include "isa/execute/group.h"
#include "isa/execute/lanes.h"
#include "isa/tables.h"

namespace amlm::isa {

std::string register_name(u16 code) {
  if (code >= code_vgpr0) return fmt::format("v{}", code - code_vgpr0);
  if (code < code_vcc_lo) return fmt::format("s{}", code);
  switch (code) {
    case code_vcc_lo: return "vcc_lo";
    case code_vcc_hi: return "vcc_hi";
    case code_m0: return "m0";
    case code_exec_lo: return "exec_lo";
    case code_exec_hi: return "exec_hi";
    case code_scc: return "SCC";
    default: return fmt::format("ttmp{}", code - 108);
  }
}

Origins::Origin Origins::describe(u32 id, const Dispatch& dispatch) const {
  id &= ~out_of_scratch;
  if (id < first_load) {
    const u16 code = u16(id - 1);
    return {"uninitialised-register", nullptr,
            fmt::format("comes from {}, which was never written{}", register_name(code),
                        code >= code_vgpr0 ? " in this lane" : ""), 0};
  }
  Origin origin = origins_[id - first_load];
  origin.what = fmt::format("comes from the {} at +{:#x}, which {}", info(origin.step->in.opcode).name,
                            origin.step->pc - dispatch.code_va, origin.what);
  return origin;
}

void raise_poison(Wave& wave, u32 origin, const std::string& use, u32 lane) {
  const auto from = wave.group->origins->describe(origin, *wave.group->dispatch);
  wave.raise(from.kind, fmt::format("{}, whose value {}", use, from.what), from.address, lane);
}

void PoisonState::begin(u32 vgpr_count, u32 halves) {
  for (u32 half = 0; half < 2; ++half)
    for (u32 n = 0; n < vgprs; ++n) {
      const bool there = n < vgpr_count && half < halves;
      if (!there && !lanes_[half][n]) continue;
      lanes_[half][n] = there ? ~0u : 0;
      bits_[half][n].fill(there ? ~0u : 0);
      origin_[half][n].fill(there ? Origins::uninitialised_register(u16(code_vgpr0 + n)) : 0);
    }
  for (u16 code = 0; code < 128; ++code) sgpr_[code] = {~0u, Origins::uninitialised_register(code)};
  for (const u16 code : {code_null, code_exec_lo, code_exec_hi}) sgpr_[code] = {};
  scc_ = {1, Origins::uninitialised_register(code_scc)};
  scratch_.clear();
}

void PoisonState::define_v0(const Wave& wave) {
  for (u32 half = 0; half < 2; ++half) define_vgpr(half, 0, wave.sgpr[code_exec_lo + half]);
}

void PoisonState::begin_scratch(u64 bytes) { scratch_.assign(bytes / 4, Poison{~0u, 0}); }

void PoisonState::clear_lanes(u32 half, u32 vgpr, u32 lanes) {
  for (u32 left = lanes & lanes_[half][vgpr]; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    bits_[half][vgpr][lane] = origin_[half][vgpr][lane] = 0;
  }
  lanes_[half][vgpr] &= ~lanes;
}

void PoisonState::note_lanes(u32 half, u32 vgpr) {
  u32 lanes = 0;
  for (u32 i = 0; i < half_lanes; ++i) lanes |= u32(bits_[half][vgpr][i] != 0) << i;
  lanes_[half][vgpr] = lanes;
}

void PoisonState::set_vgpr(u32 half, u32 vgpr, u32 lane, Poison poison) {
  bits_[half][vgpr][lane] = poison.bits;
  origin_[half][vgpr][lane] = poison.bits ? poison.origin : 0;
  lanes_[half][vgpr] = (lanes_[half][vgpr] & ~(1u << lane)) | u32(poison.bits != 0) << lane;
}

Poison PoisonState::scalar_source(u16 code) const {
  return code < 128 ? sgpr_[code] : code == code_scc ? scc_ : Poison{};
}

bool PoisonState::pass(Wave& wave, const Step& step, Passes passes) {
  switch (passes) {
    case Passes::nothing: case Passes::load: return true;
    case Passes::lanes: return pass_lanes(wave, step);
    case Passes::dual: return pass_dual(wave, step);
    case Passes::moves: pass_moves(wave, step); return true;
    case Passes::exchange: pass_exchange(wave, step); return true;
    case Passes::write_lane: pass_write_lane(wave, step); return true;
    case Passes::from_lanes: pass_from_lanes(wave, step); return true;
    case Passes::to_lanes: pass_to_lanes(wave, step); return true;
    case Passes::matrix: pass_matrix(wave, step); return true;
    case Passes::scalar: return pass_scalar(wave, step);
    case Passes::branch_scc: case Passes::branch_vcc: return check_branch(wave, passes);
  }
  return true;
}

bool PoisonState::refuse_exec(Wave& wave, u32 origin) {
  raise_poison(wave, origin, "decides with this which lanes are active", 0);
  return false;
}

bool PoisonState::check_branch(Wave& wave, Passes passes) {
  if (passes == Passes::branch_scc) {
    if (!scc_.bits) return true;
    raise_poison(wave, scc_.origin, "branches on SCC", 0);
    return false;
  }
  u32 origin = 0;
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
    const Poison& vcc = sgpr_[code_vcc_lo + half];
    if (wave.sgpr[code_vcc_lo + half] & ~vcc.bits) return true;   // surely not zero
    if (vcc.bits) origin = vcc.origin;
  }
  if (!origin) return true;
  raise_poison(wave, origin, "branches on VCC", 0);
  return false;
}

namespace {

u64 wide_value(const Wave& wave, const Operand& operand, const Instruction& in) {
  if (operand.code == code_literal) return in.literal;
  if (operand.count_dw == 2) return scalar_wide(wave, operand.code, in, Kind::unsigned_integer);
  return wave.scalar(operand.code, in);
}

}  // namespace

bool PoisonState::pass_scalar(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const OpInfo& op = info(in.opcode);
  LaneOperands sources;
  u32 origin = scc_.bits && op.effects.reads_special(Special::SCC) ? scc_.origin : 0;
  const auto add = [&](const Operand& operand) {
    const u32 i = sources.count++;
    sources.value[i] = wide_value(wave, operand, in);
    for (u32 word = 0; word < (operand.code < 128 ? operand.count_dw : 1u); ++word) {
      const Poison poison = scalar_source(u16(operand.code + word));
      sources.poison[i] |= u64(poison.bits) << 32 * word;
      if (poison.bits && !origin) origin = poison.origin;
    }
  };
  for (const Operand& operand : in.src)
    if (operand.present()) add(operand);
  if (op.reads_dst) add(in.dst);
  if (op.effects.reads_special(Special::EXEC)) return pass_exec(wave, step, sources, origin);
  const ScalarPoison result = poison_of_scalar(in, sources, scc_.bits != 0, wave.scc);
  if (op.effects.writes_special(Special::SCC)) scc_ = {result.scc, result.scc ? origin : 0};
  for (u32 word = 0; word < in.dst.count_dw; ++word) {
    const u16 code = u16(in.dst.code + word);
    const u32 bits = u32(result.bits >> 32 * word);
    if (bits && (code == code_exec_lo || code == code_exec_hi)) return refuse_exec(wave, origin);
    set_sgpr(code, {bits, bits ? origin : 0});
  }
  return true;
}

// saveexec, wrexec. EXEC itself is always defined; a poisoned bit that the other side decides does no harm.
bool PoisonState::pass_exec(Wave& wave, const Step& step, const LaneOperands& sources, u32 origin) {
  using enum Opcode;
  const u64 exec = wave.exec64(), poison = sources.poison[0];
  u64 decides = poison;
  switch (step.in.opcode) {
    case s_and_saveexec_b32: case s_and_saveexec_b64: case s_nand_saveexec_b32: case s_nand_saveexec_b64:
    case s_and_not0_saveexec_b32: case s_and_not0_saveexec_b64: case s_and_not0_wrexec_b32: case s_and_not0_wrexec_b64:
    case s_or_not1_saveexec_b32: case s_or_not1_saveexec_b64: decides &= exec; break;
    case s_or_saveexec_b32: case s_or_saveexec_b64: case s_nor_saveexec_b32: case s_nor_saveexec_b64:
    case s_or_not0_saveexec_b32: case s_or_not0_saveexec_b64: case s_and_not1_saveexec_b32: case s_and_not1_saveexec_b64:
    case s_and_not1_wrexec_b32: case s_and_not1_wrexec_b64: decides &= ~exec; break;
    case s_subvector_loop_begin: decides = 0; break;       // writes its register first
    default: break;
  }
  if (step.in.src[0].count_dw == 1) decides &= 0xffffffff;
  if (decides) return refuse_exec(wave, origin);
  for (u32 word = 0; word < step.in.dst.count_dw; ++word) set_sgpr(u16(step.in.dst.code + word), {});
  if (info(step.in.opcode).effects.writes_special(Special::SCC)) scc_ = {};
  return true;
}

void PoisonState::pass_write_lane(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 lane = wave.scalar(in.src[1].code, in) & (wave.lanes - 1);
  set_vgpr(lane / half_lanes, in.dst.vgpr(), lane % half_lanes, scalar_source(in.src[0].code));
}

void PoisonState::pass_exchange(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 a = in.dst.vgpr(), b = in.src[0].vgpr();
  const u32 a_shift = in.opsel & 8 ? 16 : 0, b_shift = in.opsel & 1 ? 16 : 0;
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
    for (u32 left = wave.sgpr[code_exec_lo + half]; left; left &= left - 1) {
      const u32 lane = u32(std::countr_zero(left));
      const Poison pa = vgpr(half, a, lane), pb = vgpr(half, b, lane);
      const u32 first = pa.bits >> a_shift & 0xffff, second = pb.bits >> b_shift & 0xffff;
      const u32 origin = pa.bits ? pa.origin : pb.origin;
      set_vgpr(half, a, lane, {(pa.bits & ~(0xffffu << a_shift)) | second << a_shift, origin});
      if (a == b) continue;
      set_vgpr(half, b, lane, {(pb.bits & ~(0xffffu << b_shift)) | first << b_shift, origin});
    }
}

// s_movrel*: the same on the SGPRs' states, M0 kept.
void PoisonState::pass_scalar_moves(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  std::array<Wave, 2> ghosts{wave, wave};        // bits, origins
  for (Wave& ghost : ghosts) ghost.checker = nullptr;
  for (u16 code = 0; code < code_m0; ++code) {
    ghosts[0].sgpr[code] = sgpr_[code].bits;
    ghosts[1].sgpr[code] = sgpr_[code].origin;
  }
  for (Wave& ghost : ghosts) step.handler(ghost, step);
  const bool constant = in.src[0].code >= 128;   // has no state
  for (u16 code = 0; code < code_m0; ++code) {
    const bool moved = ghosts[0].sgpr[code] != sgpr_[code].bits || ghosts[1].sgpr[code] != sgpr_[code].origin;
    if (moved) sgpr_[code] = constant ? Poison{} : Poison{ghosts[0].sgpr[code], ghosts[1].sgpr[code]};
  }
}

// The handler does to the state what it does to the values: once to the bits, once to the origins.
void PoisonState::pass_moves(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (in.format == Format::sop1) return pass_scalar_moves(wave, step);
  const bool relative = info(in.opcode).effects.reads_special(Special::M0);
  u32 result_origin = 0, result_bits = 0;
  for (auto* state : {&bits_, &origin_}) {
    Wave ghost = wave;
    ghost.checker = nullptr;
    for (u32 half = 0; half < 2; ++half) ghost.vgpr_base[half] = (*state)[half].data();
    if (relative && !in.src[0].is_vgpr()) {
      const Poison source = scalar_source(in.src[0].code);
      const u32 value = state == &bits_ ? source.bits : source.origin;
      const u32 to = in.dst.vgpr() + ghost.sgpr[code_m0];
      for (u32 half = 0; half < wave.lanes / half_lanes && to < wave.vgpr_count; ++half)
        for (u32 lane = 0; lane < half_lanes; ++lane)
          if (wave.sgpr[code_exec_lo + half] >> lane & 1) (*state)[half][to][lane] = value;
    } else {
      const u32 halves = step.whole_wave || !step.vector ? 1 : wave.lanes / half_lanes;
      for (ghost.half = 0; ghost.half < halves; ++ghost.half) step.handler(ghost, step);
    }
    if (in.dst.present() && !in.dst.is_vgpr()) {
      (state == &bits_ ? result_bits : result_origin) = ghost.sgpr[in.dst.code];
    }
  }
  if (in.dst.present() && !in.dst.is_vgpr()) set_sgpr(in.dst.code, {result_bits, result_bits ? result_origin : 0});
  const u32 first = relative ? 0 : in.dst.is_vgpr() ? in.dst.vgpr() : 0, last = relative ? wave.vgpr_count : first + 1;
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
    for (u32 n = first; n < last; ++n) note_lanes(half, n);
    if (in.src[0].is_vgpr()) note_lanes(half, in.src[0].vgpr());
  }
}

// Lane i reads the source of lane address / 4: isa/execute/lds.cpp.
void PoisonState::pass_from_lanes(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 address = in.src[0].vgpr(), source = in.src[1].vgpr();
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
    const u32 exec = wave.sgpr[code_exec_lo + half];
    std::array<Poison, half_lanes> result;
    for (u32 lane = 0; lane < half_lanes; ++lane) {
      const Poison steering = vgpr(half, address, lane);
      const u32 from = (wave.vgpr_base[half][address][lane] + u32(in.offset)) / 4 % half_lanes;
      if (steering.bits & 0x7c) result[lane] = {~0u, steering.origin};
      else if (exec >> from & 1) result[lane] = vgpr(half, source, from);
    }
    for (u32 lane = 0; lane < half_lanes; ++lane)
      if (exec >> lane & 1) set_vgpr(half, in.dst.vgpr(), lane, result[lane]);
  }
}

void PoisonState::pass_to_lanes(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 address = in.src[0].vgpr(), source = in.src[1].vgpr();
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
    const u32 exec = wave.sgpr[code_exec_lo + half];
    std::array<Poison, half_lanes> result;
    Poison anywhere;
    for (u32 left = exec; left; left &= left - 1) {
      const u32 lane = u32(std::countr_zero(left));
      const Poison steering = vgpr(half, address, lane);
      if (steering.bits & 0x7c) anywhere = {~0u, steering.origin};
      result[(wave.vgpr_base[half][address][lane] + u32(in.offset)) / 4 % half_lanes] = vgpr(half, source, lane);
    }
    for (u32 lane = 0; lane < half_lanes; ++lane)
      if (exec >> lane & 1) set_vgpr(half, in.dst.vgpr(), lane, anywhere.bits ? anywhere : result[lane]);
  }
}

// D[row][column] needs row of A, column of B and its own element of C. Places: isa/execute/wmma.cpp.
void PoisonState::pass_matrix(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const auto factor = [&](const Operand& operand) {
    std::array<u32, 16> origin{};   // by row or column
    for (u32 v = 0; v < operand.count_dw; ++v)
      for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
        for (u32 left = lanes_[half][operand.vgpr() + v]; left; left &= left - 1) {
          const u32 lane = u32(std::countr_zero(left));
          origin[lane % 16] = origin_[half][operand.vgpr() + v][lane];
        }
    return origin;
  };
  const auto rows = factor(in.src[0]), columns = factor(in.src[1]);
  const OpInfo& op = info(in.opcode);
  const u32 part = !op.reads_dst ? ~0u : in.opsel & 4 ? 0xffff0000u : 0xffffu;   // 16-bit results keep the other half
  std::array<std::array<Poison, half_lanes>, 8> result;
  const auto place = [&](u32 v, u32 lane) {
    if (wave.lanes == 32) return std::array<u32, 3>{0, v, lane};
    const u32 row = 2 * v + lane / 16, at = 16 * (row % 4) + lane % 16;
    return std::array<u32, 3>{at >> 5, row / 4, at & 31};
  };
  for (u32 v = 0; v < 8; ++v)
    for (u32 lane = 0; lane < half_lanes; ++lane) {
      const u32 row = 2 * v + lane / 16, column = lane % 16;
      const auto [half, n, at] = place(v, lane);
      Poison c = in.src[2].is_vgpr() ? vgpr(half, in.src[2].vgpr() + n, at) : scalar_source(in.src[2].code);
      const u32 origin = rows[row] ? rows[row] : columns[column] ? columns[column] : c.bits & part ? c.origin : 0;
      const Poison kept = part == ~0u ? Poison{} : vgpr(half, in.dst.vgpr() + n, at);
      result[v][lane] = {(origin ? part : 0) | (kept.bits & ~part), origin ? origin : kept.origin};
    }
  for (u32 v = 0; v < 8; ++v)
    for (u32 lane = 0; lane < half_lanes; ++lane) {
      const auto [half, n, at] = place(v, lane);
      set_vgpr(half, in.dst.vgpr() + n, at, result[v][lane]);
    }
}

}  // namespace amlm::isa
