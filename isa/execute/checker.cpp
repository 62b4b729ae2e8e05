#include "isa/execute/checker.h"

#include <bit>
#include <fmt/format.h>

#include "isa/execute/group.h"
#include "isa/tables.h"

namespace amlm::isa {

void WaveChecker::begin(const Wave& wave) {
  vm_ = vs_ = ds_ = scalar_ = {};
  flights_.fill({});
  poison_.begin(wave.vgpr_count, wave.lanes / half_lanes);
  vector_invalidated_ = lds_sent_ = 0;
  last_valu_ = last_ = nullptr;
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

// A register that steers must be defined; for others `poisoned` says that they are not.
bool WaveChecker::check_defined(Wave& wave, const StepCheck& check, const RegisterUse& use, u32 count, bool& poisoned) {
  for (u32 i = 0; i < count; ++i) {
    const u16 code = u16(use.code + i);
    u32 origin = 0, lane = 0;
    if (code < code_vgpr0) {
      const Poison& poison = poison_.sgpr(code);
      if (!poison.bits) [[likely]] continue;
      origin = poison.origin;
    } else {
      const u32 vgpr = code - code_vgpr0;
      for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
        const u32 lanes = poison_.vgpr_lanes(half, vgpr) & (check.any_lane ? ~0u : exec_before_[half]);
        if (!lanes) [[likely]] continue;
        lane = u32(std::countr_zero(lanes)) + half * half_lanes;
        origin = poison_.vgpr(half, vgpr, lane % half_lanes).origin;
        break;
      }
      if (!origin) continue;
    }
    if (use.role == RegisterUse::data) data_poisoned_ = true;
    else poisoned = true;
    if (use.role != RegisterUse::steer) return true;
    const bool address = check.passes == Passes::load;
    raise_poison(wave, origin, fmt::format("{} {}", address ? "takes an address from" : "is steered by",
                                           register_name(code)), lane);
    return false;
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
        const u32 poisoned = poison_.vgpr_lanes(0, operand.vgpr() + i) >> lane % 16 |
                             poison_.vgpr_lanes(lane / 32, operand.vgpr() + i) >> lane % 32;
        if (poisoned & 1) continue;               // that row or column has no defined value anyway
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
  bool poisoned = false;
  data_poisoned_ = false;
  for (u32 i = 0; i < check.count; ++i) {
    const RegisterUse& use = check.uses[i];
    const u32 count = count_of(wave, use);
    if (use.code >= code_vgpr0 && use.code - code_vgpr0 + count > wave.vgpr_count) {
      wave.raise("register-range", fmt::format("names v{}; the kernel has {} VGPRs", use.code - code_vgpr0 + count - 1,
                                               wave.vgpr_count));
      return false;
    }
    if (!quiet && !check_flight(wave, check, use, count)) return false;
    if (use.role == RegisterUse::write && !check.keeps_part) continue;
    if (!check_defined(wave, check, use, count, poisoned)) return false;
  }
  if (!check_hazards(wave, step, check)) return false;
  poisoned |= check.always_passes || (check.reads_scc && poison_.scc().bits);
  if (check.passes == Passes::load) {
    loaded_lanes_ = {};
    if (poisoned && check.memory.checks_range) load_from_anywhere(wave, step);
    return true;
  }
  if (poisoned) return poison_.pass(wave, step, check.passes);
  mark_defined(wave, check);
  return true;
}

void WaveChecker::mark_defined(const Wave& wave, const StepCheck& check) {
  for (u32 i = 0; i < check.count; ++i) {
    const RegisterUse& use = check.uses[i];
    if (use.role != RegisterUse::write) continue;
    const u32 count = count_of(wave, use);
    for (u32 n = 0; n < count; ++n) {
      const u16 code = u16(use.code + n);
      if (code < code_vgpr0) {
        poison_.define_sgpr(code);
        continue;
      }
      for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
        poison_.define_vgpr(half, code - code_vgpr0, check.is_wmma ? ~0u : exec_before_[half]);
    }
  }
  if (check.special_writes & u8(Special::SCC)) poison_.define_scc();
}

void WaveChecker::mark_in_flight(const Step& step, const StepCheck& check, const RegisterUse& use, u32 count) {
  for (u32 i = 0; i < count; ++i) {
    const u16 code = u16(use.code + i);
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
  if (check.issues != Issues::nothing) {
    issue(check);
    for (u32 i = 0; i < check.count; ++i) {
      const RegisterUse& use = check.uses[i];
      if (use.role == RegisterUse::write) mark_in_flight(step, check, use, count_of(wave, use));
    }
  }
  if (check.passes == Passes::load) take_loaded(wave, step);
  if (check.is_valu) last_valu_ = &step;
  last_ = &step;
  return true;
}

}  // namespace amlm::isa
