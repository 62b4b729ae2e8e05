// What the virtual GPU has done: totals and sums per dispatch label, as JSON.
#pragma once

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
  void add(const std::string& label, const isa::RunReport& report);
  void count(u64 QueueCounters::* which, u64 amount = 1);
  std::string json() const;
  void clear();

 private:
  mutable std::mutex mutex_;
  QueueCounters queue_;
  std::map<std::string, LabelCounters> labels_;
};

}  // namespace amlm::vgpu
