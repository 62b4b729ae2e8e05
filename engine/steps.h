// A forward pass as a list: dispatches with their arguments and cost, and the barriers between them. forward.cpp writes
// it, encode() turns it into indirect buffers that each stay well inside the kernel's job timeout.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "driver/base.h"
#include "driver/code_object.h"
#include "driver/device.h"
#include "driver/ib.h"

namespace amlm {

// What a dispatch has to move and to compute: the larger of both bounds its time.
struct StepCost { u64 bytes = 0; f64 flops = 0; };

struct Step {
  const Kernel* kernel = nullptr;
  std::array<u32, 3> groups{1, 1, 1};
  u32 kernarg_offset_bytes = 0;
  StepCost cost;
  bool barrier_before = false;           // reads what an earlier one wrote, or writes what one reads
  f64 seconds() const;                   // predicted
};

class Steps {
 public:
  template <class Args>
  void dispatch(const Kernel* kernel, const Args& args, std::array<u32, 3> groups, StepCost cost) {
    append(kernel, {reinterpret_cast<const u8*>(&args), sizeof args}, groups, cost);
  }
  // What follows may read what came before.
  void barrier() { barrier_pending_ = true; }
  void clear();

  const std::vector<Step>& steps() const { return steps_; }
  std::span<const u8> kernargs() const { return kernargs_; }
  u32 barriers() const;
  StepCost cost() const;

 private:
  void append(const Kernel* kernel, std::span<const u8> args, std::array<u32, 3> groups, StepCost cost);
  std::vector<Step> steps_;
  std::vector<u8> kernargs_;
  bool barrier_pending_ = false;
};

// Numbers of steps of each submission, in order: cut so that none is predicted to take longer than the limit
// (DeviceFacts::job_budget_ms); a single step is never cut. Limit 0 = one submission.
std::vector<u32> cut_submissions(const Steps& steps, f64 limit_seconds);

// Upper bound of the indirect buffers' size.
u64 ib_bytes_bound(const Steps& steps, u64 submissions);

// Copies the kernargs to `kernargs` and writes one indirect buffer a submission into `target`. The views are submitted
// one after the other.
struct EncodedIbs { std::vector<BufferView> ibs; IbCounts counts; };
EncodedIbs encode(const Steps& steps, f64 limit_seconds, const Buffer& kernargs, const Buffer& target);

}  // namespace amlm
