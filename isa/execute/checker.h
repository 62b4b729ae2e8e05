// Strict mode: what hardware only sometimes punishes is always a fault.
//
// WaveChecker follows the registers of one wave: loads in flight (isa.md 4.7), what was never written, and the
// sequences that gfx1151 does not interlock (isa.md 3.3). LdsChecker follows each dword of a workgroup's LDS.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "isa/execute/wave.h"

namespace amlm::isa {

// Registers that a step uses, worked out once when it is decoded.
struct RegisterUse {
  enum Role : u8 {
    read,
    write,
    copy,          // read, and what was never written may be passed on: `copy_to` gets its state
  };
  u16 code = 0;          // operand code: SGPR, or VGPR + 256
  u8 count = 0;
  Role role = read;
  u16 copy_to = 0;
  bool mask = false;     // one bit a lane: two SGPRs in wave64
  bool matrix = false;   // WMMA fragment of C or D: half as many registers in wave64
};

// What a step does to the wait counters.
enum class Issues : u8 { nothing, vmem_load, vmem_store, lds, scalar_load, message, flat_load, flat_store };

// Which lanes of its VGPRs a step reads.
enum class Lanes : u8 { active, all, one };

struct StepCheck {
  std::array<RegisterUse, 10> uses;
  u8 count = 0;
  Issues issues = Issues::nothing;
  Lanes lanes = Lanes::active;
  u8 special_reads = 0, special_writes = 0;      // Special bits
  bool is_valu = false, is_wmma = false, is_cmpx = false, is_permlane = false;
  const char* broken_kind = nullptr;             // the encoding itself breaks a rule: a fault when it is reached
  std::string broken;
};

StepCheck check_of(const Instruction& in);

class WaveChecker {
 public:
  void begin(Uninitialised uninitialised);
  void start_sgprs(u32 count);                   // s0 .. s[count-1] and EXEC were set
  void start_v0(const Wave& wave);

  // Before a step is run: false if it may not. After: false if what it did may not be.
  bool before(Wave& wave, const Step& step);
  bool after(Wave& wave, const Step& step);

  // At most `count` operations of that kind are left in flight.
  void wait_vm(u32 count) { settle(vm_, count); }
  void wait_vs(u32 count) { settle(vs_, count); }
  void wait_lgkm(u32 count);

  // All DS operations have read their sources, hence are in the queue of the CU's LDS, which keeps their order.
  void wait_lds_sent() { lds_sent_ = ds_.issued; }

  // DS operations in program order, for LdsChecker: number of the one being run, and up to which others come after.
  u32 lds_now() const { return ds_.issued + 1; }
  u32 lds_done() const { return lds_sent_ > ds_.done ? lds_sent_ : ds_.done; }
  u32 stores_now() const { return vs_.issued + 1; }
  u32 stores_done() const { return vs_.done; }
  // Barriers that the workgroup had passed at this wave's last buffer_gl0_inv.
  u32 vector_invalidated() const { return vector_invalidated_; }
  void invalidate_vector(u32 barrier_interval) { vector_invalidated_ = barrier_interval; }

 private:
  struct Counter { u32 issued = 0, done = 0; bool idle() const { return issued == done; } };
  struct InFlight { u32 vm = 0, ds = 0, scalar = 0; const Step* step = nullptr; };
  static void settle(Counter& counter, u32 left) {
    if (counter.issued > left && counter.issued - left > counter.done) counter.done = counter.issued - left;
  }

  bool in_flight(const InFlight& flight) const {
    return flight.vm > vm_.done || flight.ds > ds_.done || flight.scalar > scalar_.done;
  }
  bool nothing_in_flight() const { return vm_.idle() && ds_.idle() && scalar_.idle(); }
  u32 count_of(const Wave& wave, const RegisterUse& use) const;
  bool check_flight(Wave& wave, const StepCheck& check, const RegisterUse& use, u32 count);
  bool check_initialised(Wave& wave, const Step& step, const RegisterUse& use, u32 count);
  bool check_hazards(Wave& wave, const Step& step, const StepCheck& check);
  bool check_matrix_halves(Wave& wave, const Step& step);
  void mark_written(Wave& wave, const Step& step, const StepCheck& check, const RegisterUse& use, u32 count);
  void copy_state(const Wave& wave, const RegisterUse& use);
  void issue(const StepCheck& check);
  bool sgpr_ready(u32 code) const { return sgpr_ready_[code / 64] >> code % 64 & 1; }

  Counter vm_, vs_, ds_, scalar_;
  std::array<InFlight, 512> flights_;                     // by operand code
  std::array<std::array<u32, 256>, 2> vgpr_ready_;        // [half][register] -> lanes ever written
  std::array<u64, 2> sgpr_ready_;
  bool scc_ready_ = false;
  u32 vector_invalidated_ = 0;
  u32 lds_sent_ = 0;
  bool may_read_uninitialised_ = false;
  std::array<u32, 2> exec_before_{};
  const Step* last_valu_ = nullptr;
  const Step* last_ = nullptr;
};

enum class LdsUse : u8 { read, write, atomic };

// Rules: two waves may touch a dword, one of them writing, only with a barrier between that both pass after having
// waited for their own access (lgkmcnt); atomics may meet atomics; what nobody wrote may not be read.
class LdsChecker {
 public:
  void begin(u32 bytes);
  bool access(Wave& wave, u32 address, u32 bytes, LdsUse use, u32 lane);
  // All waves of the group passed a barrier.
  void release(const std::vector<Wave>& waves);

 private:
  struct Access { u32 number = 0; u8 wave = 0; u8 bytes = 0; bool atomic = false; };   // number 0: none
  struct Dword { Access writer; std::array<Access, 2> readers; u8 written = 0; };
  bool ordered(const Wave& wave, const Access& earlier) const {
    return earlier.number == 0 || earlier.wave == wave.index || earlier.number <= released_[earlier.wave];
  }
  bool conflict(Wave& wave, const Access& earlier, u32 address, const char* now, const char* then, u32 lane);

  std::vector<Dword> dwords_;
  std::array<u32, 32> released_{};      // DS operations of each wave that its last barrier made visible
};

}  // namespace amlm::isa
