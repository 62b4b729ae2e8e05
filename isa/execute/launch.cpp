#include "isa/execute/launch.h"
#include "isa/execute/timing.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace amlm::isa {

namespace {

u32 field(u32 word, u32 shift, u32 bits) { return word >> shift & ((1u << bits) - 1); }

// COMPUTE_PGM_RSRC1 -> MODE (isa.md 4.1)
u32 mode_of(u32 rsrc1) {
  return field(rsrc1, 12, 8) | field(rsrc1, 21, 1) << 8 | field(rsrc1, 23, 1) << 9 | field(rsrc1, 26, 1) << 23;
}

}  // namespace

Workplace::Workplace()
    : vgprs_(new (std::align_val_t(64)) LaneArray[max_waves * 2 * vgprs]()), lds_(new u8[lds_hardware_bytes]()) {}

Workplace::~Workplace() {
  ::operator delete[](vgprs_.release(), std::align_val_t(64));
}

void Workplace::begin(const DispatchRun& run, u32 thread, u32 threads) {
  run_ = run;
  thread_ = thread;
  threads_ = threads;
  counters_ = {};
  counts_ = {};
  cycles_ = 0;
  memory_.begin(*run.space, *run.visibility, *run.options, run.overwrites);
  const bool strict = run.options->mode == Mode::strict;
  if (strict && !lds_checker_) lds_checker_ = std::make_unique<LdsChecker>();
  group_.dispatch = run.dispatch;
  group_.lds = lds_.get();
  group_.lds_bytes = std::min(field(run.dispatch->rsrc2, 15, 9) * 512, lds_hardware_bytes);
  group_.lds_checker = strict ? lds_checker_.get() : nullptr;
  group_.origins = strict ? &origins_ : nullptr;
}

void Workplace::finish() {
  const auto of = [&](Count count) { return counts_[u32(count)]; };
  counters_.valu = of(Count::valu) + of(Count::valu_slow);
  counters_.vopd = of(Count::vopd);
  counters_.trans = of(Count::trans);
  counters_.wmma = of(Count::wmma);
  counters_.dot = of(Count::dot);
  counters_.salu = of(Count::salu);
  counters_.smem = of(Count::smem);
  counters_.vmem_load = of(Count::vmem_load);
  counters_.vmem_store = of(Count::vmem_store);
  counters_.atomic = of(Count::atomic);
  counters_.lds = of(Count::lds);
  counters_.branch = of(Count::branch);
  counters_.wait = of(Count::wait);
  counters_.barrier = of(Count::barrier);
  counters_.other = of(Count::other);
  const u32 halves = run_.dispatch->wave_lanes / half_lanes;
  for (u32 i = 0; i < count_kinds; ++i) {
    counters_.instructions += counts_[i];
    cycles_ += counts_[i] * issue_cycles[i] * (i <= u32(Count::dot) ? halves : 1);
  }
}

std::optional<Fault> Workplace::run_group(u32 linear) {
  const Dispatch& dispatch = *run_.dispatch;
  const std::array<u32, 3> at{linear % dispatch.groups[0], linear / dispatch.groups[0] % dispatch.groups[1],
                              linear / dispatch.groups[0] / dispatch.groups[1]};
  std::array<u32, 3> lanes = dispatch.group_lanes;
  for (u32 d = 0; d < 3; ++d) {
    group_.id[d] = dispatch.group_start[d] + at[d];
    if (at[d] + 1 == dispatch.groups[d] && dispatch.partial_lanes[d]) lanes[d] = dispatch.partial_lanes[d];
  }
  group_.linear = linear;
  wmma_factors_.forget();
  group_.barrier_interval = 0;
  group_.synchronised = false;
  random_ = Random(run_.options->seed * 0x2545f4914f6cdd1dull + linear);
  const u32 total = lanes[0] * lanes[1] * lanes[2];
  const u32 waves = (total + dispatch.wave_lanes - 1) / dispatch.wave_lanes;
  check(waves >= 1 && waves <= max_waves, "a workgroup has 1 to 32 waves");
  if (group_.lds_checker) {
    for (u32 i = 0; i < group_.lds_bytes / 8; ++i) reinterpret_cast<u64*>(lds_.get())[i] = random_.next();
    group_.lds_checker->begin(group_.lds_bytes);
    origins_.begin();
    group_.same_writes.clear();
  }
  group_.waves.resize(waves);
  group_.stores = group_.lds_checker && waves > 1 ? &stores_ : nullptr;
  if (group_.stores) group_.stores->begin(field(dispatch.rsrc1, 29, 1));
  for (u32 i = 0; i < waves; ++i) {
    start_wave(i, lanes);
    if (group_.waves[i].fault) return group_.waves[i].fault;
  }
  return run_waves();
}

void Workplace::start_wave(u32 index, std::array<u32, 3> lanes) {
  const Dispatch& dispatch = *run_.dispatch;
  Wave& wave = group_.waves[index];
  wave = Wave{};
  wave.lanes = dispatch.wave_lanes;
  wave.mode = mode_of(dispatch.rsrc1);
  wave.vgpr_count = (field(dispatch.rsrc1, 0, 6) + 1) * (wave.lanes == 32 ? 8 : 4);
  wave.group = &group_;
  wave.memory = &memory_;
  wave.wmma_factors = &wmma_factors_;
  wave.index = index;
  wave.counters = &counters_;
  wave.pc = dispatch.code_va;
  next_step_[index] = run_.program->entry();
  executed_[index] = 0;
  wave.step = next_step_[index];
  for (u32 half = 0; half < 2; ++half) wave.vgpr_base[half] = &vgprs_[(index * 2 + half) * vgprs];
  ++counters_.waves;
  if (group_.lds_checker) {
    while (checkers_.size() <= index) checkers_.push_back(std::make_unique<WaveChecker>());
    wave.checker = checkers_[index].get();
    wave.checker->begin(wave);
    for (u32& value : wave.sgpr) value = u32(random_.next());
    wave.sgpr[code_null] = 0;
    for (u32 half = 0; half < wave.lanes / 32; ++half) {
      const u64 salt = random_.next();
      for (u32 n = 0; n < wave.vgpr_count; ++n)
        for (u32 lane = 0; lane < 32; ++lane) wave.vgpr_base[half][n][lane] = u32(salt * (n * 32 + lane + 1) >> 32);
    }
  }
  start_scalars(wave);
  start_vectors(wave, index * wave.lanes, lanes);
  if (!start_scratch(wave)) return;
}

// Enabled user SGPRs, then workgroup ids, then workgroup information.
void Workplace::start_scalars(Wave& wave) {
  const Dispatch& dispatch = *run_.dispatch;
  const u32 user = std::min(field(dispatch.rsrc2, 1, 5), 16u);
  u32 at = user;
  std::copy_n(dispatch.user_data.begin(), at, wave.sgpr.begin());
  for (u32 d = 0; d < 3; ++d)
    if (field(dispatch.rsrc2, 7 + d, 1)) wave.sgpr[at++] = group_.id[d];
  if (field(dispatch.rsrc2, 10, 1))
    wave.sgpr[at++] = u32(wave.index == 0) << 31 | wave.index << 20 | u32(group_.waves.size());
  if (wave.checker) wave.checker->start_sgprs(at, ~dispatch.user_data_set & ((1u << user) - 1));
}

// v0 = x | y << 10 | z << 20; lanes past the workgroup's end are off.
void Workplace::start_vectors(Wave& wave, u32 first_lane, std::array<u32, 3> lanes) {
  const u32 total = lanes[0] * lanes[1] * lanes[2];
  wave.sgpr[code_exec_lo] = wave.sgpr[code_exec_hi] = 0;
  const u32 active = std::min(wave.lanes, total - first_lane);
  if (lanes[0] == total) {
    for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
      for (u32 i = 0; i < half_lanes; ++i) wave.vgpr_base[half][0][i] = first_lane + half * half_lanes + i;
    wave.sgpr[code_exec_lo] = active >= 32 ? ~0u : (1u << active) - 1;
    wave.sgpr[code_exec_hi] = active <= 32 ? 0 : active == 64 ? ~0u : (1u << (active - 32)) - 1;
    if (wave.checker) wave.checker->start_v0(wave);
    return;
  }
  for (u32 i = 0; i < active; ++i) {
    const u32 lane = first_lane + i;
    const u32 x = lane % lanes[0], y = lane / lanes[0] % lanes[1], z = lane / lanes[0] / lanes[1];
    wave.vgpr_base[i / 32][0][i % 32] = x | y << 10 | z << 20;
    wave.sgpr[code_exec_lo + i / 32] |= 1u << i % 32;
  }
  if (wave.checker) wave.checker->start_v0(wave);
}

bool Workplace::start_scratch(Wave& wave) {
  const Dispatch& dispatch = *run_.dispatch;
  if (!field(dispatch.rsrc2, 0, 1)) return true;
  // Slots are dealt to host threads in equal parts: which wave gets which slot is not defined on hardware either.
  const u32 part = dispatch.scratch_waves / threads_;
  if (wave.index >= part) {
    wave.raise("scratch", fmt::format("the kernel uses scratch, but COMPUTE_TMPRING_SIZE has room for {} waves only",
                                      dispatch.scratch_waves));
    return false;
  }
  const u64 slot = u64(thread_) * part + wave.index;
  wave.scratch_base = dispatch.scratch_base + slot * dispatch.scratch_wave_bytes;
  wave.scratch_limit = wave.scratch_base + dispatch.scratch_wave_bytes;
  if (!wave.checker) return true;
  const Mapping* mapping = run_.space->find(wave.scratch_base);
  if (!mapping || mapping->va + mapping->size_bytes < wave.scratch_limit) return true;   // faults when it is used
  wave.checker->start_scratch(dispatch.scratch_wave_bytes);
  const u64 salt = random_.next();
  auto* words = reinterpret_cast<u32*>(mapping->host + (wave.scratch_base - mapping->va));
  for (u32 i = 0; i < dispatch.scratch_wave_bytes / 4; ++i) words[i] = u32(salt * (i + 1) >> 32);
  return true;
}

bool Workplace::release_barrier() {
  bool any = false;
  for (Wave& wave : group_.waves) {
    if (wave.ended) continue;
    if (!wave.at_barrier) return false;
    any = true;
  }
  if (!any) return false;
  for (Wave& wave : group_.waves) wave.at_barrier = false;
  ++group_.barrier_interval;
  if (group_.lds_checker) group_.lds_checker->release(group_.waves);
  if (group_.stores) group_.stores->release(group_.waves);
  return true;
}

std::optional<Fault> Workplace::run_waves() {
  const bool strict = group_.lds_checker;
  const u32 waves = u32(group_.waves.size());
  std::array<u32, max_waves> order;
  for (u32 i = 0; i < waves; ++i) order[i] = i;
  while (true) {
    for (u32 i = waves; i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    bool running = false;
    for (u32 i = 0; i < waves; ++i) {
      Wave& wave = group_.waves[order[i]];
      if (wave.ended || wave.at_barrier) continue;
      running = true;
      // Turns are short in strict mode, so that waves interleave; in fast mode a wave may still wait for another.
      if (strict) run_wave<Mode::strict>(wave, 40 + random_.below(400));
      else run_wave<Mode::fast>(wave, 1 << 20);
      if (wave.fault) return wave.fault;
    }
    if (!release_barrier() && !running) return std::nullopt;
  }
}

}  // namespace amlm::isa
