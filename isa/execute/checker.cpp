#include "isa/execute/checker.h"

#include <bit>
#include <fmt/format.h>

#include "isa/execute/group.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

std::string register_name(u16 code) {
  if (code >= code_vgpr0) return fmt::format("v{}", code - code_vgpr0);
  if (code < code_vcc_lo) return fmt::format("s{}", code);
  switch (code) {
    case code_vcc_lo: return "vcc_lo";
    case code_vcc_hi: return "vcc_hi";
    case code_m0: return "m0";
    case code_exec_lo: return "exec_lo";
    case code_exec_hi: return "exec_hi";
    default: return fmt::format("ttmp{}", code - 108);
  }
}

}  // namespace

void WaveChecker::begin(Uninitialised uninitialised) {
  may_read_uninitialised_ = uninitialised == Uninitialised::allow;
  vm_ = vs_ = ds_ = scalar_ = {};
  flights_.fill({});
  for (auto& half : vgpr_ready_) half.fill(0);
  sgpr_ready_ = {0, 1ull << (code_null - 64) | 1ull << (code_exec_lo - 64) | 1ull << (code_exec_hi - 64)};
  scc_ready_ = false;
  vector_invalidated_ = lds_sent_ = 0;
  last_valu_ = last_ = nullptr;
}

void WaveChecker::start_sgprs(u32 count) { sgpr_ready_[0] |= (1ull << count) - 1; }

void WaveChecker::start_v0(const Wave& wave) {
  for (u32 half = 0; half < 2; ++half) vgpr_ready_[half][0] = wave.sgpr[code_exec_lo + half];
}

u32 WaveChecker::count_of(const Wave& wave, const RegisterUse& use) const {
  if (wave.lanes == 32) return use.count;
  return use.mask ? 2 : use.matrix ? use.count / 2 : use.count;
}

void WaveChecker::wait_lgkm(u32 count) {
  // DS returns in order: with at most `count` left of everything, at most `count` DS are left. Scalar loads and
  // messages return in any order, so only 0 says that one of them is there.
  settle(ds_, count);
  if (count == 0) scalar_.done = scalar_.issued;
}

bool WaveChecker::check_flight(Wave& wave, const StepCheck& check, const RegisterUse& use, u32 count) {
  for (u32 i = 0; i < count; ++i) {
    const u16 code = u16(use.code + i);
    const InFlight& flight = flights_[code];
    if (!in_flight(flight)) [[likely]] continue;
    // Loads of one kind return in order, so a later one may take over the register of an earlier one.
    const bool only_vm = flight.ds <= ds_.done && flight.scalar <= scalar_.done;
    const bool only_ds = flight.vm <= vm_.done && flight.scalar <= scalar_.done;
    if (use.role == RegisterUse::write && ((check.issues == Issues::vmem_load && only_vm) ||
                                           (check.issues == Issues::lds && only_ds))) continue;
    const char* counter = flight.scalar > scalar_.done ? "lgkmcnt(0)"
                          : flight.vm > vm_.done ? flight.ds > ds_.done ? "vmcnt and lgkmcnt" : "vmcnt" : "lgkmcnt";
    wave.raise("pending-register",
               fmt::format("{} {}, into which {} at +{:#x} is still loading: no s_waitcnt {} between",
                           use.role == RegisterUse::write ? "overwrites" : "uses", register_name(code),
                           info(flight.step->in.opcode).name, flight.step->pc - wave.group->dispatch->code_va,
                           counter));
    return false;
  }
  return true;
}

bool WaveChecker::check_initialised(Wave& wave, const Step& step, const RegisterUse& use, u32 count) {
  for (u32 i = 0; i < count; ++i) {
    const u16 code = u16(use.code + i);
    if (code < code_vgpr0) {
      if (sgpr_ready(code)) continue;
      wave.raise("uninitialised-register", fmt::format("reads {}, which was never written", register_name(code)));
      return false;
    }
    for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
      u32 wanted = exec_before_[half];
      if (step.check->lanes == Lanes::all) wanted = ~0u;
      if (step.check->lanes == Lanes::one) {
        // v_readlane names its lane, v_readfirstlane takes the first active one, or lane 0
        const u64 exec = wave.lanes == 64 ? wave.exec64() : wave.sgpr[code_exec_lo];
        const u32 lane = step.in.src[1].present() ? wave.scalar(step.in.src[1].code, step.in) % wave.lanes
                         : exec ? u32(std::countr_zero(exec)) : 0;
        wanted = lane / half_lanes == half ? 1u << lane % half_lanes : 0;
      }
      const u32 missing = wanted & ~vgpr_ready_[half][code - code_vgpr0];
      if (!missing) continue;
      const u32 lane = u32(std::countr_zero(missing));
      wave.half = half;
      wave.raise("uninitialised-register", fmt::format("reads {}, which was never written in this lane",
                                                       register_name(code)), 0, lane);
      return false;
    }
  }
  return true;
}

bool WaveChecker::check_hazards(Wave& wave, const Step& step, const StepCheck& check) {
  if (check.broken_kind) {
    wave.raise(check.broken_kind, check.broken);
    return false;
  }
  if (check.is_wmma && last_valu_ && last_valu_->check->is_wmma) {
    const Operand& d = last_valu_->in.dst;
    const u32 d_count = wave.lanes == 64 ? d.count_dw / 2 : d.count_dw;
    for (u32 i = 0; i < 2; ++i) {
      const Operand& source = step.in.src[i];
      if (source.code + source.count_dw <= d.code || d.code + d_count <= source.code) continue;
      wave.raise("wmma-hazard", fmt::format("its {} overlaps the result of the WMMA before it: one v_nop or other VALU "
                                            "instruction must stand between", i ? "B" : "A"));
      return false;
    }
  }
  if (check.is_permlane && last_valu_ && last_valu_->check->is_cmpx) {
    wave.raise("permlane-hazard", "right after a v_cmpx: one v_nop or other VALU instruction must stand between");
    return false;
  }
  if (step.in.opcode == Opcode::s_sendmsg && (step.in.offset & 0xff) == 3 &&
      !(last_ && last_->in.opcode == Opcode::s_nop)) {
    wave.raise("dealloc-hazard", "s_sendmsg dealloc_vgprs needs an s_nop right before it");
    return false;
  }
  if (last_ && last_->in.opcode == Opcode::s_sendmsg && (last_->in.offset & 0xff) == 3 &&
      step.in.opcode != Opcode::s_endpgm) {
    wave.raise("dealloc-hazard", "after s_sendmsg dealloc_vgprs only s_endpgm may follow");
    return false;
  }
  return !check.is_wmma || check_matrix_halves(wave, step);
}

// A and B stand twice: lanes 0-15 and again in 16-31 (and in the upper half of a wave64).
bool WaveChecker::check_matrix_halves(Wave& wave, const Step& step) {
  for (u32 source = 0; source < 2; ++source) {
    const Operand& operand = step.in.src[source];
    for (u32 i = 0; i < operand.count_dw; ++i) {
      const LaneArray& first = wave.vgpr_base[0][operand.vgpr() + i];
      for (u32 lane = 16; lane < wave.lanes; ++lane) {
        if (wave.vgpr_base[lane / 32][operand.vgpr() + i][lane % 32] == first[lane % 16]) continue;
        wave.raise("wmma-halves", fmt::format("{} differs between lane {} and lane {} (v{}): both halves of the wave "
                                              "must hold the same matrix", source ? "B" : "A", lane % 16, lane,
                                              operand.vgpr() + i), 0, lane);
        return false;
      }
    }
  }
  return true;
}

bool WaveChecker::before(Wave& wave, const Step& step) {
  const StepCheck& check = *step.check;
  exec_before_ = {wave.sgpr[code_exec_lo], wave.sgpr[code_exec_hi]};
  const bool quiet = nothing_in_flight();
  for (u32 i = 0; i < check.count; ++i) {
    const RegisterUse& use = check.uses[i];
    const u32 count = count_of(wave, use);
    if (use.code >= code_vgpr0 && use.code - code_vgpr0 + count > wave.vgpr_count) {
      wave.raise("register-range", fmt::format("names v{}; the kernel has {} VGPRs", use.code - code_vgpr0 + count - 1,
                                               wave.vgpr_count));
      return false;
    }
    if (!quiet && !check_flight(wave, check, use, count)) return false;
    if (may_read_uninitialised_) continue;
    if (use.role == RegisterUse::read && !check_initialised(wave, step, use, count)) return false;
  }
  if ((check.special_reads & u8(Special::SCC)) && !scc_ready_ && !may_read_uninitialised_) {
    wave.raise("uninitialised-register", "reads SCC, which was never written");
    return false;
  }
  return check_hazards(wave, step, check);
}

void WaveChecker::copy_state(const Wave& wave, const RegisterUse& use) {
  if (use.copy_to == code_null) return;
  for (u32 i = 0; i < use.count; ++i) {
    const u16 from = u16(use.code + i), to = u16(use.copy_to + i);
    if (to < code_vgpr0) {
      const u64 bit = 1ull << to % 64;
      sgpr_ready_[to / 64] = sgpr_ready(from) ? sgpr_ready_[to / 64] | bit : sgpr_ready_[to / 64] & ~bit;
      continue;
    }
    for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
      const u32 lanes = exec_before_[half];
      const u32 ready = from >= code_vgpr0 ? vgpr_ready_[half][from - code_vgpr0] : sgpr_ready(from) ? ~0u : 0;
      u32& state = vgpr_ready_[half][to - code_vgpr0];
      state = (state & ~lanes) | (ready & lanes);
    }
  }
}

void WaveChecker::mark_written(Wave& wave, const Step& step, const StepCheck& check, const RegisterUse& use,
                               u32 count) {
  for (u32 i = 0; i < count; ++i) {
    const u16 code = u16(use.code + i);
    if (code < code_vgpr0) {
      sgpr_ready_[code / 64] |= 1ull << code % 64;
    } else if (step.in.opcode == Opcode::v_writelane_b32) {
      const u32 lane = wave.scalar(step.in.src[1].code, step.in) % wave.lanes;
      vgpr_ready_[lane / half_lanes][code - code_vgpr0] |= 1u << lane % half_lanes;
    } else {
      for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
        vgpr_ready_[half][code - code_vgpr0] |= check.lanes == Lanes::all ? ~0u : exec_before_[half];
    }
    InFlight& flight = flights_[code];
    switch (check.issues) {
      case Issues::vmem_load: flight = {vm_.issued, flight.ds, flight.scalar, &step}; break;
      case Issues::lds: flight = {flight.vm, ds_.issued, flight.scalar, &step}; break;
      case Issues::flat_load: flight = {vm_.issued, ds_.issued, flight.scalar, &step}; break;
      case Issues::scalar_load: case Issues::message: flight = {flight.vm, flight.ds, scalar_.issued, &step}; break;
      default: break;
    }
  }
}

void WaveChecker::issue(const StepCheck& check) {
  switch (check.issues) {
    case Issues::nothing: break;
    case Issues::vmem_load: ++vm_.issued; break;
    case Issues::vmem_store: ++vs_.issued; break;
    case Issues::lds: ++ds_.issued; break;
    case Issues::flat_load: ++vm_.issued; ++ds_.issued; break;
    case Issues::flat_store: ++vs_.issued; ++ds_.issued; break;
    case Issues::scalar_load: case Issues::message: ++scalar_.issued; break;
  }
}

bool WaveChecker::after(Wave& wave, const Step& step) {
  if (wave.faulted()) return false;
  const StepCheck& check = *step.check;
  issue(check);
  for (u32 i = 0; i < check.count; ++i) {
    const RegisterUse& use = check.uses[i];
    if (use.role == RegisterUse::write) mark_written(wave, step, check, use, count_of(wave, use));
  }
  for (u32 i = 0; i < check.count; ++i)
    if (check.uses[i].role == RegisterUse::copy) copy_state(wave, check.uses[i]);
  if (check.special_writes & u8(Special::SCC)) scc_ready_ = true;
  if (check.is_valu) last_valu_ = &step;
  last_ = &step;
  return true;
}

}  // namespace amlm::isa
