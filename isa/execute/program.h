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

class Program {
 public:
  // Decodes from `entry`. What cannot be fetched or decoded becomes a step that faults when it is reached.
  Program(u64 entry, const AddressSpace& space);
  const Step* entry() const { return &steps_.front(); }
  const std::vector<Step>& steps() const { return steps_; }

 private:
  void link_wmma(const Step& step);

  std::vector<Step> steps_;
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

}  // namespace amlm::isa
