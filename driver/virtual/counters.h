// What the virtual GPU has done: totals and sums per dispatch label, as JSON; and, on demand, a line a dispatch.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "driver/base.h"
#include "driver/virtual/trace.h"
#include "isa/run.h"

namespace amlm::vgpu {

struct LabelCounters {
  u64 dispatches = 0, modelled_ns = 0;
  isa::Counters counts;
};

// Totals that no dispatch owns.
struct QueueCounters {
  u64 ioctls = 0, submits = 0, jobs = 0, packets = 0, dispatches = 0, barriers = 0, acquires = 0, allocations = 0;
  u64 modelled_ns = 0;
};

class Counters {
 public:
  // `lines`: cache lines are counted from the start, not only from the first look at the counters.
  Counters(std::string trace_path, std::string code_path, bool lines)
      : trace_(std::move(trace_path), std::move(code_path)), lines_(lines) {}
  void add(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns, const isa::AddressSpace& space);
  void indirect_buffer(u64 va, std::span<const u32> words);      // goes to the trace
  void count(u64 QueueCounters::* which, u64 amount = 1);
  std::string json() const;
  void clear();
  bool wants_lines() const { return lines_; }
  void after_fork() { new (&mutex_) std::mutex; }

 private:
  mutable std::mutex mutex_;
  Trace trace_;
  QueueCounters traced_;                     // as they were at the last dispatch
  mutable std::atomic<bool> lines_;
  QueueCounters queue_;
  std::map<std::string, LabelCounters> labels_;
};

}  // namespace amlm::vgpu
