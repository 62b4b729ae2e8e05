// Starts the waves of a workgroup as the hardware does (isa.md 4.13) and runs them to their end.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/execute/group_stores.h"
#include "isa/execute/memory_unit.h"
#include "isa/execute/program.h"
#include "isa/execute/wmma_factors.h"

namespace amlm::isa {

// SplitMix64: small, seedable, the same on every machine.
class Random {
 public:
  explicit Random(u64 seed) : state_(seed) {}
  u64 next() {
    u64 z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  u32 below(u32 n) { return u32((next() >> 32) * n >> 32); }

 private:
  u64 state_;
};

// What all workgroups of a dispatch share.
struct DispatchRun {
  const Dispatch* dispatch = nullptr;
  const AddressSpace* space = nullptr;
  const Visibility* visibility = nullptr;
  const RunOptions* options = nullptr;
  ProgramCache* programs = nullptr;
  const Program* program = nullptr;
  Overwrites overwrites = Overwrites::noted;
};

// One host thread's workplace: register files, LDS and the state of the workgroup it runs. Reused from one to the next.
class Workplace {
 public:
  Workplace();
  ~Workplace();
  void begin(const DispatchRun& run, u32 thread, u32 threads);
  // nullopt when all waves ended well.
  std::optional<Fault> run_group(u32 linear);
  // After the last workgroup: sums up.
  void finish();
  const Counters& counters() const { return counters_; }
  u64 cycles() const { return cycles_; }
  MemoryUnit& memory() { return memory_; }

 private:
  static constexpr u32 max_waves = 32;
  static constexpr u32 vgprs = 256 + 16;   // operands of up to 16 registers may run past v255 before they are refused

  void start_wave(u32 index, std::array<u32, 3> lanes);
  void start_scalars(Wave& wave);
  void start_vectors(Wave& wave, u32 first_lane, std::array<u32, 3> lanes);
  bool start_scratch(Wave& wave);
  std::optional<Fault> run_waves();
  bool release_barrier();
  template <Mode mode> void run_wave(Wave& wave, u64 budget);

  DispatchRun run_;
  u32 thread_ = 0, threads_ = 1;
  Group group_;
  MemoryUnit memory_;
  WmmaFactors wmma_factors_;
  Counters counters_;
  std::array<u64, count_kinds> counts_{};
  u64 cycles_ = 0;
  Random random_{0};
  std::array<const Step*, max_waves> next_step_{};
  std::array<u64, max_waves> executed_{};
  std::unique_ptr<LaneArray[]> vgprs_;
  std::unique_ptr<u8[]> lds_;
  std::vector<std::unique_ptr<WaveChecker>> checkers_;
  std::unique_ptr<LdsChecker> lds_checker_;
  GroupStores stores_;
  Origins origins_;
};

}  // namespace amlm::isa
