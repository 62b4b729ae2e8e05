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

}  // namespace

template <Mode mode>
void Workplace::run_wave(Wave& wave, u64 budget) {
  const Step* step = next_step_[wave.index];
  const bool wave64 = wave.lanes == 64;
  wave.stop = false;
  budget = std::min(budget, run_.options->instruction_limit - executed_[wave.index]);
  const u64 start = budget;
  while (budget) {
    --budget;
    wave.step = step;
    wave.pc = step->next_pc;
    ++counts_[u32(step->count)];
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
