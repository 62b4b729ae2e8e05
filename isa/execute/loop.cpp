// The run loop: one wave, step after step, until it stops or has used its turn.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "isa/execute/launch.h"
#include "isa/execute/timing.h"

namespace amlm::isa {

namespace {

// A scalar result may lie over a scalar source: the second half still has to see the old value.
void run_halves(Wave& wave, const Step& step) {
  u32& low = wave.sgpr[step.scalar_result];
  const u32 old = low;
  step.handler(wave, step);
  const u32 result = std::exchange(low, old);
  wave.half = 1;
  step.handler(wave, step);
  wave.half = 0;
  low = result;
}

// The steps of a block but its last. False: the wave faulted, at wave.step. Steps that ran long ago are fetched early.
bool run_work(Wave& wave, const Block& block) {
  const Step* const* end = block.work.data() + block.work.size();
  for (const Step* const* at = block.work.data(); at != end; ++at) {
    const Step* step = *at;
    __builtin_prefetch(at + 4 < end ? at[4] : block.last);
    wave.step = step;
    step->handler(wave, *step);
    if (wave.stop) [[unlikely]] return false;
  }
  return true;
}

}  // namespace

template <Mode mode>
void Workplace::run_wave(Wave& wave, u64 budget) {
  const Step* step = next_step_[wave.index];
  const bool wave64 = wave.lanes == 64;
  wave.stop = false;
  budget = std::min(budget, run_.options->instruction_limit - executed_[wave.index]);
  const u64 start = budget;
  while (budget) {
    const Block* block = mode == Mode::fast && !wave64 ? step->block : nullptr;
    if (block && block->length <= budget) [[likely]] {
      for (u32 i = 0; i < count_kinds; ++i) counts_[i] += block->counts[i];
      budget -= block->length;
      if (!run_work(wave, *block)) [[unlikely]] {
        for (step = wave.step + 1; step <= block->last; ++step) --counts_[u32(step->count)], ++budget;
        break;
      }
      step = block->last;
    } else {
      --budget;
      ++counts_[u32(step->count)];
    }
    wave.step = step;
    wave.pc = step->next_pc;
    if constexpr (mode == Mode::strict) {
      if (!wave.checker->before(wave, *step)) break;
    }
    if (wave64 && step->vector && !step->whole_wave) [[unlikely]] run_halves(wave, *step);
    else step->handler(wave, *step);
    if constexpr (mode == Mode::strict) {
      if (!wave.checker->after(wave, *step)) break;
    }
    if (wave.pc == step->next_pc && step->next) [[likely]] step = step->next;
    else if (step->target && wave.pc == step->target->pc) step = step->target;
    else if (!wave.ended) step = run_.programs->at(wave.pc, *run_.space).entry();
    if (wave.stop) [[unlikely]] break;
  }
  next_step_[wave.index] = step;
  executed_[wave.index] += start - budget;
  if (!wave.stop && executed_[wave.index] >= run_.options->instruction_limit)
    wave.raise("endless-wave", fmt::format("still running after {} instructions", executed_[wave.index]));
}

template void Workplace::run_wave<Mode::strict>(Wave&, u64);
template void Workplace::run_wave<Mode::fast>(Wave&, u64);

}  // namespace amlm::isa
