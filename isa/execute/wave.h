// The state of one wave and how instructions act on it. Internal to isa/.
//
// An instruction is decoded once per code address into a Step: the Instruction, its handler, and what the run loop and
// the strict checker need to know. The loop advances pc past the step, then calls the handler; branches overwrite pc.
// Vector handlers work on 32 lanes (`wave.half`); a wave64 is run as the hardware runs it, one half after the other,
// with all lanes of a half computed from the old state before any is written. Cross-lane handlers (flag `whole_wave`)
// are called once and look at both halves themselves.
//
// Handlers know nothing of strict or fast: the run loop, a template over the mode, checks a step's register reads and
// writes (pending loads, undefined values) before it calls the same handler. Only memory goes through MemoryUnit,
// which checks addresses always and visibility in strict mode.
#pragma once

#include <array>

#include "isa/instruction.h"
#include "isa/run.h"

namespace amlm::isa {

struct Wave;
struct Step;
struct StepCheck;     // isa/execute/checker.h
struct Block;        // isa/execute/program.h
struct Group;        // isa/execute/group.h: LDS, barrier, the waves of one workgroup
class MemoryUnit;    // isa/execute/memory_unit.h
class WaveChecker;   // isa/execute/checker.h: strict mode only
class WmmaFactors;   // isa/execute/wmma_factors.h
using Handler = void (*)(Wave&, const Step&);

// Where an instruction is counted (Counters) and how long the coarse timing model says it takes.
enum class Count : u8 {
  valu, valu_slow, vopd, trans, wmma, dot, salu, smem, vmem_load, vmem_store, atomic, lds, branch, wait, barrier, other,
};
inline constexpr u32 count_kinds = 16;

// What a handler looks at most often stands in the first 64 bytes, with the first fields of Instruction.
struct alignas(64) Step {
  Handler handler = nullptr;      // never null: not-executed opcodes get one that faults by name
  bool vector = false;            // called for each half of a wave64
  bool whole_wave = false;        // vector, but called once, with half = 0
  bool plain = false;             // no modifier, DPP, opsel, omod, clamp: sources may be read in place
  u8 f32_sources = 0;             // bit k: src[k] is an f32, whose denormals MODE may flush
  bool keeps_subnormals = false;  // reads them as they are whatever MODE says
  bool f32_result = false;
  Count count = Count::other;
  u8 scalar_result = code_null;   // SGPR that a vector step writes: each half of a wave64 its own word
  Instruction in;
  using Part = void (*)();
  Part parts[2] = {};             // VOPD's own: what the two halves compute
  bool halves_apart = false;      // and Y reads nothing that X writes
  u64 pc = 0;
  // The run loop's own: isa/execute/program.h.
  u64 next_pc = 0;
  const Step* next = nullptr;     // the step at next_pc
  const Step* target = nullptr;   // of a direct branch
  const Block* block = nullptr;   // that begins here
  const StepCheck* check = nullptr;
  const Step* wmma_before = nullptr;   // of a WMMA: the one before it, with only waits between (wmma_factors.h)
};

// The handler of an ALU opcode (isa/execute/: scalar, vector, packed, VOPD, WMMA), null for all others and for
// those not executed. `whole_wave` says whether it wants to be called once for both halves of a wave64.
Handler handler_for(const Instruction& in);
void vopd_parts(Step& step);   // sets Step::parts
bool wants_whole_wave(const Instruction& in);
// The same for memory, and for waits, branches, messages (isa/execute/: flat, lds, scalar_memory, flow).
Handler memory_handler_for(const Instruction& in);
bool memory_wants_whole_wave(const Instruction& in);
Handler flow_handler_for(const Instruction& in);

inline constexpr u32 half_lanes = 32;
using LaneArray = std::array<u32, half_lanes>;

u32 scalar_constant(u16 code, const Wave& wave);   // codes 128-254: inline constants, apertures, SCC

struct Wave {
  // Scalar registers by operand code: 0-105 SGPR, 106/107 VCC, 108-123 TTMP, 124 NULL (reads 0), 125 M0, 126/127 EXEC.
  // sgpr[124] always is 0: write through set_scalar.
  std::array<u32, 128> sgpr{};
  bool scc = false;
  u32 lanes = 32;                 // 32 or 64
  u32 half = 0;                   // the 32 lanes that vector handlers work on
  u64 pc = 0;                     // of the next step while a handler runs
  u32 mode = 0;                   // MODE register: isa.md 4.1
  u32 vgpr_count = 0;             // allocated; an operand past it is a fault
  LaneArray* vgpr_base[2] = {};   // [half] -> vgpr_count arrays of 32 lanes, 64-byte aligned
  u64 scratch_base = 0;           // FLAT_SCRATCH of this wave
  u64 scratch_limit = 0;          // end of this wave's scratch
  Group* group = nullptr;
  MemoryUnit* memory = nullptr;   // of the host thread that runs the workgroup
  WaveChecker* checker = nullptr; // null in fast mode
  WmmaFactors* wmma_factors = nullptr;   // of the host thread
  u32 index = 0;                  // wave in its workgroup
  bool ended = false, at_barrier = false;
  bool stop = false;              // leave the run loop after this step: ended, at a barrier, or faulted
  const Step* step = nullptr;     // being executed: names the place of a fault
  std::optional<Fault> fault;     // set by a handler: the loop stops
  Counters* counters = nullptr;

  u32 exec() const { return sgpr[code_exec_lo + half]; }          // of the current half
  u64 exec64() const { return sgpr[126] | u64(sgpr[127]) << 32; }
  u32* vgpr(u32 n) { return vgpr_base[half][n].data(); }
  u32 scalar(u16 code, const Instruction& in) const;              // any scalar source code, 32 bits
  // Pairs. Inline integers are sign-extended, floats are f64, a literal is zero-extended: handlers of signed and of f64
  // operands place in.literal themselves.
  u64 scalar64(u16 code, const Instruction& in) const;
  bool faulted() const { return fault.has_value(); }
  void set_scalar(u16 code, u32 value) { if (code != code_null) sgpr[code] = value; }
  void set_scalar64(u16 code, u64 value) {
    set_scalar(code, u32(value));
    if (code != code_null) sgpr[code + 1] = u32(value >> 32);
  }
  // Stops the wave; the first fault stays. `kind` is a stable word, `what` a clause that follows the place:
  // "kernel+0x1c4 (opcode), workgroup 0,0,0 wave 3 lane 7: ".
  void raise(const char* kind, std::string what, u64 address = 0, u32 lane = 0);
};

inline u32 Wave::scalar(u16 code, const Instruction& in) const {
  if (code < 128) return sgpr[code];
  if (code == code_literal) return in.literal;
  return scalar_constant(code, *this);
}

// MODE fields
inline bool keeps_denormals_f32(u32 mode) { return (mode >> 4 & 3) == 3; }
inline bool keeps_denormals_f16_f64(u32 mode) { return (mode >> 6 & 3) == 3; }

}  // namespace amlm::isa
