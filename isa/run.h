// Runs one dispatch: all workgroups, all waves, on all host cores. This is the whole interface between the
// virtual GPU's command processor (or a test) and the executor.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "isa/base.h"
#include "isa/memory.h"

namespace amlm::isa {

enum class Mode : u8 { strict, fast };

// Field meanings: isa.md 4.13, driver.md 2.2 (COMPUTE_* registers).
struct Dispatch {
  u64 code_va = 0;
  std::array<u32, 3> groups{1, 1, 1};          // grid in workgroups
  std::array<u32, 3> group_start{0, 0, 0};     // COMPUTE_START_X/Y/Z: ids run from start to start + groups - 1
  std::array<u32, 3> group_lanes{32, 1, 1};    // NUM_THREAD_X/Y/Z full
  std::array<u32, 3> partial_lanes{0, 0, 0};   // lanes of the last workgroup in each dimension; 0 = full
  u32 wave_lanes = 32;                         // 32 or 64
  u32 rsrc1 = 0, rsrc2 = 0, rsrc3 = 0;
  std::array<u32, 16> user_data{};             // s0..s15
  u32 user_data_set = 0xffff;                  // bit i: si was given a value; the others are what somebody else left there
  u64 scratch_base = 0;                        // DISPATCH_SCRATCH_BASE, bytes
  u32 scratch_wave_bytes = 0;                  // TMPRING_SIZE.WAVESIZE in bytes, for one wave
  u32 scratch_waves = 0;                       // TMPRING_SIZE.WAVES over all engines; 0 = none
  std::string label;                           // kernel name for messages, or the code's hash
};

// What a GPU program did wrong. One sentence for a person, and the parts for a tool.
struct Fault {
  std::string sentence;     // "gemv_q8_0+0x1c4 (global_load_b128), workgroup 5,0,0 wave 3 lane 7: read of 16 bytes at …"
  std::string kind;         // stable word: "unmapped", "no-exec", "pending-register", "stale-read", … (README.md)
  std::string label;        // dispatch label
  u64 pc = 0;
  u64 address = 0;          // 0 when not a memory fault
  std::array<u32, 3> group{};
  u32 wave = 0, lane = 0;
};

// Dynamic counts of one dispatch (whole waves, not lanes).
struct Counters {
  u64 waves = 0, instructions = 0;
  u64 valu = 0, vopd = 0, trans = 0, wmma = 0, dot = 0;
  u64 salu = 0, smem = 0, vmem_load = 0, vmem_store = 0, atomic = 0, lds = 0, branch = 0, wait = 0, barrier = 0;
  u64 other = 0;
  u64 global_read_bytes = 0, global_write_bytes = 0, lds_bytes = 0;   // bytes of active lanes
  u64 cache_lines = 0;                 // distinct 128-byte lines that each vector memory instruction touched, summed
  void add(const Counters& other_counts);
};

struct RunOptions {
  Mode mode = Mode::strict;
  u64 seed = 0;                        // order of workgroups and waves, contents of poisoned registers
  u64 instruction_limit = 1ull << 32;  // per wave; more is an "endless-wave" fault
  u32 host_threads = 0;                // 0 = all cores
  bool count_lines = true;             // Counters::cache_lines, which costs time in fast mode
};

struct RunReport {
  std::optional<Fault> fault;
  Counters counters;
  u64 modelled_ns = 0;                 // coarse duration estimate: drives the 2 s job timeout
};

// Keeps decoded programs by code address between dispatches. `forget` when the code's memory changes
// (GLI invalidation, unmap).
class Executor {
 public:
  Executor();
  ~Executor();
  RunReport run(const Dispatch& dispatch, const AddressSpace& memory, const Visibility& visibility,
                const RunOptions& options);
  void forget();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amlm::isa
