// What the virtual GPU has done: totals and sums per dispatch label, as JSON; and, on demand, a line a dispatch.
#pragma once

#include <cstdio>
#include <map>
#include <mutex>
#include <string>

#include "driver/base.h"
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
  explicit Counters(std::string trace_path) : trace_path_(std::move(trace_path)) {}
  void add(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns);
  void count(u64 QueueCounters::* which, u64 amount = 1);
  std::string json() const;
  void clear();
  void after_fork() { new (&mutex_) std::mutex; }

 private:
  void trace(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns);
  mutable std::mutex mutex_;
  std::string trace_path_;
  FILE* trace_file_ = nullptr;               // flushed by exit()
  QueueCounters queue_;
  std::map<std::string, LabelCounters> labels_;
};

}  // namespace amlm::vgpu
