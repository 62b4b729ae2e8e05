// Strict mode: what hardware only sometimes punishes is always a fault.
//
// WaveChecker follows the registers of one wave: loads in flight (isa.md 4.7), values that are not defined
// (isa/execute/poison.h), and the sequences that gfx1151 does not interlock (isa.md 3.3). LdsChecker follows each dword
// of a workgroup's LDS.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "isa/execute/poison.h"
#include "isa/execute/wave.h"

namespace amlm::isa {

// Registers that a step uses, worked out once when it is decoded.
struct RegisterUse {
  enum Role : u8 {
    read,          // its poison goes to the results
    steer,         // an address, a lane number, ...: must be defined
    data,          // of a store: MemoryUnit and LdsChecker look at it
    write,
  };
  u16 code = 0;          // operand code: SGPR, or VGPR + 256
  u8 count = 0;
  Role role = read;
  bool mask = false;     // one bit a lane: two SGPRs in wave64
  bool matrix = false;   // WMMA fragment of C or D: half as many registers in wave64
};

// What a step does to the wait counters.
enum class Issues : u8 { nothing, vmem_load, vmem_store, lds, scalar_load, message, flat_load, flat_store };

// How a memory instruction's bytes and its registers correspond, as isa/execute/lane_data.h does it for the values.
struct MemoryShape {
  u8 bytes = 0;                // of an element in memory, below 4; else dwords
  bool is_signed = false;
  u8 part = 0;                 // of the register: 0 all of it, 1 low half, 2 high half
  u8 first_bytes = 0;          // DS 2ADDR: of the first element
  bool converts = false;       // formats: components are not bytes of memory
  bool checks_range = false;   // an address that is not defined gives a value that is not
};

struct StepCheck {
  std::array<RegisterUse, 10> uses;
  u8 count = 0;
  Issues issues = Issues::nothing;
  Passes passes = Passes::nothing;
  MemoryShape memory;
  u8 special_reads = 0, special_writes = 0;      // Special bits
  bool reads_scc = false;                        // by Special or as a source
  bool any_lane = false;                         // reads lanes that are off, or all
  bool keeps_part = false;                       // results leave part of their registers
  bool always_passes = false;                    // which registers it reads or writes, only running it says
  bool is_valu = false, is_wmma = false, is_cmpx = false, is_permlane = false;
  const char* broken_kind = nullptr;             // the encoding itself breaks a rule: a fault when it is reached
  std::string broken;
};

StepCheck check_of(const Instruction& in);

class WaveChecker {
 public:
  void begin(const Wave& wave);
  void start_sgprs(u32 count, u32 unset) { poison_.define_sgprs(count, unset); }   // s0 .. s[count-1] were set but for these
  void start_v0(const Wave& wave) { poison_.define_v0(wave); }
  void start_scratch(u64 bytes) { poison_.begin_scratch(bytes); }

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

  // ---- For memory instructions, while their handler runs. `lane` is that of the wave's current half, `offset` the
  // place among the bytes that the lane moves; four bytes at a time, those of `bytes` (bits 0-3).

  // What comes in at a load. Scalar loads: lane 0 of half 0.
  void load(const Wave& wave, u32 lane, i32 offset, u8 bytes, Poison poison);
  // What a store puts there: the value, and its poison. False: not known as bytes (formats, atomics).
  bool data_poisoned() const { return data_poisoned_; }
  bool stored_value(const Wave& wave, u32 lane, i32 offset, u8 bytes, u32& value) const;
  Poison stored_poison(const Wave& wave, u32 lane, i32 offset, u8 bytes) const;
  Poison any_data_poison(const Wave& wave, u32 lane) const;
  bool is_padding(const Wave& wave, u32 lane, i32 offset, u32 bytes) const;
  // Data of global memory must be defined. False: a fault was raised.
  bool check_data(Wave& wave, u32 lane, i32 offset, u32 bytes, bool atomic);
  // Scratch, by dword of the wave's.
  void load_scratch(Wave& wave, u32 lane, i32 offset, u64 byte, u32 bytes);
  void store_scratch(Wave& wave, u32 lane, i32 offset, u64 byte, u32 bytes);

 private:
  struct Counter { u32 issued = 0, done = 0; bool idle() const { return issued == done; } };
  struct InFlight { u32 vm = 0, ds = 0, scalar = 0; const Step* step = nullptr; };
  struct Loaded { std::array<Poison, 16> dwords; };
  static void settle(Counter& counter, u32 left) {
    if (counter.issued > left && counter.issued - left > counter.done) counter.done = counter.issued - left;
  }

  bool in_flight(const InFlight& flight) const {
    return flight.vm > vm_.done || flight.ds > ds_.done || flight.scalar > scalar_.done;
  }
  bool nothing_in_flight() const { return vm_.idle() && ds_.idle() && scalar_.idle(); }
  u32 count_of(const Wave& wave, const RegisterUse& use) const;
  bool check_flight(Wave& wave, const StepCheck& check, const RegisterUse& use, u32 count);
  bool check_defined(Wave& wave, const StepCheck& check, const RegisterUse& use, u32 count, bool& poisoned);
  bool check_hazards(Wave& wave, const Step& step, const StepCheck& check);
  bool check_matrix_halves(Wave& wave, const Step& step);
  void mark_in_flight(const Step& step, const StepCheck& check, const RegisterUse& use, u32 count);
  void mark_defined(const Wave& wave, const StepCheck& check);
  void load_from_anywhere(const Wave& wave, const Step& step);
  void take_loaded(const Wave& wave, const Step& step);
  void take_loaded_lane(const Step& step, u32 half, u32 lane, const Loaded& loaded);
  void issue(const StepCheck& check);

  Counter vm_, vs_, ds_, scalar_;
  std::array<InFlight, 512> flights_;                     // by operand code
  PoisonState poison_;
  std::array<u32, 2> loaded_lanes_{};                     // that the running load brings poison to
  std::array<std::array<Loaded, half_lanes>, 2> loaded_;
  bool data_poisoned_ = false;                            // of the running store
  u32 vector_invalidated_ = 0;
  u32 lds_sent_ = 0;
  std::array<u32, 2> exec_before_{};
  const Step* last_valu_ = nullptr;
  const Step* last_ = nullptr;
};

enum class LdsUse : u8 { read, write, atomic };

// Rules: two waves may touch a dword, one of them writing, only with a barrier between that both pass after having
// waited for their own access (lgkmcnt); atomics may meet atomics. A write of what is there already harms nobody; a read
// that meets another's write gives a value that may not be used, as one of what nobody wrote.
class LdsChecker {
 public:
  void begin(u32 bytes);
  // `offset`: place of `address` among the bytes that the lane moves.
  bool access(Wave& wave, u32 address, u32 bytes, LdsUse use, u32 lane, u32 offset);
  // All waves of the group passed a barrier.
  void release(const std::vector<Wave>& waves);

 private:
  struct Access { u32 number = 0; u8 wave = 0; u8 bytes = 0; bool atomic = false; };   // number 0: none
  struct Dword {
    Access writer;
    u32 same = 0;                         // waves that wrote the same value as the writer
    std::array<Access, 2> readers;
    Poison poison{~0u, 0};                // never written: all bits, origin 0
  };
  bool ordered(const Wave& wave, const Access& earlier) const {
    return earlier.number == 0 || earlier.wave == wave.index || earlier.number <= released_[earlier.wave];
  }
  bool conflict(Wave& wave, const Access& earlier, u32 address, const char* then, u32 lane);
  bool writes_same(const Wave& wave, const Dword& dword, u32 at, u8 touched, u32 lane, i32 offset) const;
  void read(Wave& wave, Dword& dword, u32 at, u8 touched, u32 lane, i32 offset, bool atomic);
  bool write(Wave& wave, Dword& dword, u32 at, u8 touched, u32 lane, i32 offset, bool atomic);

  std::vector<Dword> dwords_;
  std::array<u32, 32> released_{};      // DS operations of each wave that its last barrier made visible
};

}  // namespace amlm::isa
