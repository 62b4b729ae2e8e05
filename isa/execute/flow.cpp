// Program control: branches, waits, barriers, messages and hints.
#include <chrono>
#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/execute/program.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

void nothing(Wave&, const Step&) {}

void end(Wave& wave, const Step&) {
  wave.ended = true;
  wave.stop = true;
}

// A workgroup of one wave does not wait.
void barrier(Wave& wave, const Step&) {
  if (wave.group->waves.size() == 1) return;
  wave.at_barrier = true;
  wave.stop = true;
}

void trap(Wave& wave, const Step& step) {
  wave.raise("trap", fmt::format("s_trap {}", step.in.offset & 0xff));
}

void code_end(Wave& wave, const Step&) {
  wave.raise("code-end", "the wave ran past the end of its code");
}

void branch(Wave& wave, const Step& step) { wave.pc += u64(i64(step.in.offset) * 4); }

bool vcc_is_zero(const Wave& wave) {
  return wave.sgpr[code_vcc_lo] == 0 && (wave.lanes == 32 || wave.sgpr[code_vcc_hi] == 0);
}
bool exec_is_zero(const Wave& wave) {
  return wave.sgpr[code_exec_lo] == 0 && (wave.lanes == 32 || wave.sgpr[code_exec_hi] == 0);
}

void branch_scc0(Wave& wave, const Step& step) { if (!wave.scc) branch(wave, step); }
void branch_scc1(Wave& wave, const Step& step) { if (wave.scc) branch(wave, step); }
void branch_vccz(Wave& wave, const Step& step) { if (vcc_is_zero(wave)) branch(wave, step); }
void branch_vccnz(Wave& wave, const Step& step) { if (!vcc_is_zero(wave)) branch(wave, step); }
void branch_execz(Wave& wave, const Step& step) { if (exec_is_zero(wave)) branch(wave, step); }
void branch_execnz(Wave& wave, const Step& step) { if (!exec_is_zero(wave)) branch(wave, step); }

void getpc(Wave& wave, const Step& step) { wave.set_scalar64(step.in.dst.code, wave.pc); }
void setpc(Wave& wave, const Step& step) { wave.pc = wave.scalar64(step.in.src[0].code, step.in) & ~3ull; }
void swappc(Wave& wave, const Step& step) {
  const u64 target = wave.scalar64(step.in.src[0].code, step.in) & ~3ull;
  wave.set_scalar64(step.in.dst.code, wave.pc);
  wave.pc = target;
}
void call(Wave& wave, const Step& step) {
  wave.set_scalar64(step.in.dst.code, wave.pc);
  branch(wave, step);
}

// SIMM16 = {VM[15:10], LGKM[9:4], 0, EXP[2:0]} (isa.md 4.7)
void waitcnt(Wave& wave, const Step& step) {
  if (!wave.checker) return;
  wave.checker->wait_vm(u32(step.in.offset) >> 10 & 0x3f);
  wave.checker->wait_lgkm(u32(step.in.offset) >> 4 & 0x3f);
}

void wait_idle(Wave& wave, const Step&) {
  if (!wave.checker) return;
  wave.checker->wait_vm(0);
  wave.checker->wait_vs(0);
  wave.checker->wait_lgkm(0);
}

// s_waitcnt_xxcnt: at most SGPR + SIMM16 left
u32 left_of(const Wave& wave, const Instruction& in) {
  return (wave.scalar(in.src[0].code, in) + u32(in.offset)) & 0x3f;
}
void waitcnt_vscnt(Wave& wave, const Step& step) {
  if (wave.checker) wave.checker->wait_vs(left_of(wave, step.in));
}
void waitcnt_vmcnt(Wave& wave, const Step& step) {
  if (wave.checker) wave.checker->wait_vm(left_of(wave, step.in));
}
void waitcnt_lgkmcnt(Wave& wave, const Step& step) {
  if (wave.checker) wave.checker->wait_lgkm(left_of(wave, step.in));
}

// VM_VSRC (bits 4:2) of 0: vector memory and LDS instructions have read their sources. In CU mode a workgroup's LDS
// operations then come in that order, which is all that a barrier needs (ACO relies on it); in WGP mode there are
// two queues.
void waitcnt_depctr(Wave& wave, const Step& step) {
  constexpr u32 wgp_mode = 1u << 29;
  const bool sources_read = (u32(step.in.offset) >> 2 & 7) == 0;
  if (wave.checker && sources_read && !(wave.group->dispatch->rsrc1 & wgp_mode)) wave.checker->wait_lds_sent();
}

constexpr u32 message_dealloc_vgprs = 3, message_get_realtime = 0x83;

void sendmsg(Wave& wave, const Step& step) {
  const u32 message = u32(step.in.offset) & 0xff;
  if (message != message_dealloc_vgprs) wave.raise("message", fmt::format("s_sendmsg {} is not modelled", message));
}

// REALTIME counts at 100 MHz.
void sendmsg_rtn(Wave& wave, const Step& step) {
  const u32 message = u32(step.in.offset) & 0xff;
  if (message != message_get_realtime) {
    wave.raise("message", fmt::format("s_sendmsg_rtn {} is not modelled", message));
    return;
  }
  using namespace std::chrono;
  const u64 ticks = u64(duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count()) / 10;
  if (step.in.dst.count_dw == 2) wave.set_scalar64(step.in.dst.code, ticks);
  else wave.set_scalar(step.in.dst.code, u32(ticks));
}

// A loop that runs twice over a wave64, for the low and the high 32 lanes (guide, S_SUBVECTOR_LOOP_*): the register keeps
// the half of EXEC that is off.
void subvector_begin(Wave& wave, const Step& step) {
  u32 &low = wave.sgpr[code_exec_lo], &high = wave.sgpr[code_exec_hi];
  if (low == 0 && high == 0) return branch(wave, step);
  if (low == 0) return wave.set_scalar(step.in.dst.code, low);    // the high pass alone
  wave.set_scalar(step.in.dst.code, high);
  high = 0;
}

void subvector_end(Wave& wave, const Step& step) {
  u32 &low = wave.sgpr[code_exec_lo], &high = wave.sgpr[code_exec_hi];
  const u32 kept = wave.sgpr[step.in.dst.code];
  if (high != 0) {
    low = kept;
  } else if (kept != 0) {
    high = kept;
    wave.set_scalar(step.in.dst.code, low);
    low = 0;
    branch(wave, step);
  }
}

void round_mode(Wave& wave, const Step& step) { wave.mode = (wave.mode & ~0xfu) | (u32(step.in.offset) & 0xf); }
void denorm_mode(Wave& wave, const Step& step) {
  wave.mode = (wave.mode & ~0xf0u) | (u32(step.in.offset) & 0xf) << 4;
}

}  // namespace

bool leaves_line(const Instruction& in) {
  using enum Opcode;
  const Flow flow = flow_of(in);
  return !flow.falls_through || flow.has_target || in.opcode == s_barrier || in.opcode == s_getpc_b64 ||
         in.opcode == s_swappc_b64;
}

bool is_idle(const Step& step) {
  for (const Handler handler : {nothing, waitcnt, wait_idle, waitcnt_vscnt, waitcnt_vmcnt, waitcnt_lgkmcnt, waitcnt_depctr})
    if (step.handler == handler) return true;
  return false;
}

Handler flow_handler_for(const Instruction& in) {
  using enum Opcode;
  switch (in.opcode) {
    case s_nop: case s_sleep: case s_set_inst_prefetch_distance: case s_clause: case s_delay_alu:
    case s_setprio: case s_wakeup: case s_incperflevel: case s_decperflevel: case s_icache_inv: case s_version:
    case s_waitcnt_expcnt: case s_singleuse_vdst: return nothing;
    // No thread trace runs, no debugger sets its flags, and address translation is not cached.
    case s_ttracedata: case s_ttracedata_imm: case s_cbranch_cdbgsys: case s_cbranch_cdbguser:
    case s_cbranch_cdbgsys_or_user: case s_cbranch_cdbgsys_and_user: return nothing;
    case s_subvector_loop_begin: return subvector_begin;
    case s_subvector_loop_end: return subvector_end;
    case s_endpgm: return end;
    case s_barrier: return barrier;
    case s_trap: return trap;
    case s_code_end: return code_end;
    case s_branch: return branch;
    case s_cbranch_scc0: return branch_scc0;
    case s_cbranch_scc1: return branch_scc1;
    case s_cbranch_vccz: return branch_vccz;
    case s_cbranch_vccnz: return branch_vccnz;
    case s_cbranch_execz: return branch_execz;
    case s_cbranch_execnz: return branch_execnz;
    case s_getpc_b64: return getpc;
    case s_setpc_b64: return setpc;
    case s_swappc_b64: return swappc;
    case s_call_b64: return call;
    case s_waitcnt: return waitcnt;
    case s_wait_idle: return wait_idle;
    case s_waitcnt_depctr: return waitcnt_depctr;
    case s_waitcnt_vscnt: return waitcnt_vscnt;
    case s_waitcnt_vmcnt: return waitcnt_vmcnt;
    case s_waitcnt_lgkmcnt: return waitcnt_lgkmcnt;
    case s_sendmsg: return sendmsg;
    case s_sendmsg_rtn_b32: case s_sendmsg_rtn_b64: return sendmsg_rtn;
    case s_round_mode: return round_mode;
    case s_denorm_mode: return denorm_mode;
    default: return nullptr;
  }
}

Flow flow_of(const Instruction& in) {
  using enum Opcode;
  switch (in.opcode) {
    case s_branch: return {.falls_through = false, .has_target = true};
    case s_cbranch_scc0: case s_cbranch_scc1: case s_cbranch_vccz: case s_cbranch_vccnz: case s_cbranch_execz:
    case s_cbranch_execnz: case s_call_b64: case s_subvector_loop_begin: case s_subvector_loop_end:
      return {.falls_through = true, .has_target = true};
    case s_endpgm: case s_setpc_b64: case s_code_end: return {.falls_through = false};
    // What follows a call is reached from the callee's return: decoded then. Most calls do return here, though.
    default: return {};
  }
}

}  // namespace amlm::isa
