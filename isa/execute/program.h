// Decoded code. A Program is all that can be reached from one address without an indirect branch: its steps stand in
// the order of their addresses as found, linked to each other, so that the run loop follows pointers.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "isa/execute/checker.h"
#include "isa/execute/wave.h"
#include "isa/memory.h"

namespace amlm::isa {

// Steps that follow each other in memory and always run one after the other: only the last may branch, end or stop at a
// barrier. In fast mode they are counted together.
struct Block {
  const Step* last = nullptr;
  u32 length = 0;                          // steps, with the last
  std::vector<const Step*> work;           // those before the last that do anything when nobody checks
  std::array<u64, count_kinds> counts{};   // of all
};

class Program {
 public:
  // Decodes from `entry`. What cannot be fetched or decoded becomes a step that faults when it is reached.
  Program(u64 entry, const AddressSpace& space);
  const Step* entry() const { return &steps_.front(); }
  const std::vector<Step>& steps() const { return steps_; }

 private:
  void link_wmma(const Step& step);
  void find_blocks();

  std::vector<Step> steps_;
  std::vector<Block> blocks_;
  std::vector<StepCheck> checks_;
};

// From Step::in: the handler, and what the handlers, the loop and the counters want to know beforehand.
void bind(Step& step);

// Programs by entry address. Shared by the host threads.
class ProgramCache {
 public:
  const Program& at(u64 entry, const AddressSpace& space);
  void clear();

 private:
  std::mutex mutex_;
  std::unordered_map<u64, std::unique_ptr<Program>> programs_;
};

// Whether and where an instruction may branch to, known without running it.
struct Flow {
  bool falls_through = true;
  bool has_target = false;
};
Flow flow_of(const Instruction& in);
// It may set the program counter, or end the wave or its turn, without a fault.
bool leaves_line(const Instruction& in);
// Waits and hints: without a checker they do nothing.
bool is_idle(const Step& step);

}  // namespace amlm::isa
