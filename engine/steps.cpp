#include "engine/steps.h"

#include <algorithm>
#include <cstring>

namespace amlm {

namespace {

// performance.md's measured memory limit, rounded, and a third of the WMMA peak: predictions only cut submissions, so
// they may be wrong by the factor of four that the limit leaves.
constexpr f64 bytes_per_second = 225e9, flops_per_second = 20e12, dispatch_seconds = 2e-6;

constexpr u64 kernarg_alignment_bytes = 64;
constexpr u64 begin_dw = 320, dispatch_dw = 96, barrier_dw = 24;        // more than driver/ib.cpp writes for each
constexpr u64 ib_start_bytes = 256;

u64 aligned(u64 value, u64 alignment) { return (value + alignment - 1) / alignment * alignment; }

}  // namespace

f64 Step::seconds() const {
  return dispatch_seconds + std::max(static_cast<f64>(cost.bytes) / bytes_per_second, cost.flops / flops_per_second);
}

void Steps::clear() {
  steps_.clear();
  kernargs_.clear();
  barrier_pending_ = false;
}

void Steps::append(const Kernel* kernel, std::span<const u8> args, std::array<u32, 3> groups, StepCost cost) {
  check(kernel != nullptr, "a kernel that was resolved");
  const u64 offset = aligned(kernargs_.size(), kernarg_alignment_bytes);
  kernargs_.resize(offset + args.size());
  std::memcpy(kernargs_.data() + offset, args.data(), args.size());
  steps_.push_back({kernel, groups, static_cast<u32>(offset), cost, barrier_pending_});
  barrier_pending_ = false;
}

u32 Steps::barriers() const {
  return static_cast<u32>(std::count_if(steps_.begin(), steps_.end(), [](const Step& s) { return s.barrier_before; }));
}

StepCost Steps::cost() const {
  StepCost sum;
  for (const Step& step : steps_) {
    sum.bytes += step.cost.bytes;
    sum.flops += step.cost.flops;
  }
  return sum;
}

std::vector<u32> cut_submissions(const Steps& steps, f64 limit_seconds) {
  std::vector<u32> out;
  f64 sum = 0;
  for (const Step& step : steps.steps()) {
    const f64 seconds = step.seconds();
    if (out.empty() || (limit_seconds > 0 && sum + seconds > limit_seconds)) {
      out.push_back(0);
      sum = 0;
    }
    ++out.back();
    sum += seconds;
  }
  return out;
}

u64 ib_bytes_bound(const Steps& steps, u64 submissions) {
  const u64 words = submissions * begin_dw + steps.steps().size() * dispatch_dw + steps.barriers() * barrier_dw;
  return words * 4 + submissions * ib_start_bytes;
}

EncodedIbs encode(const Steps& steps, f64 limit_seconds, const Buffer& kernargs, const Buffer& target) {
  check(steps.kernargs().size() <= kernargs.size_bytes(), "kernargs fit their buffer");
  std::memcpy(kernargs.data(), steps.kernargs().data(), steps.kernargs().size());
  EncodedIbs out;
  u64 offset = 0;
  size_t index = 0;
  for (const u32 count : cut_submissions(steps, limit_seconds)) {
    IbBuilder ib(target, offset);
    ib.begin();                                       // also waits for the submission before
    for (u32 i = 0; i < count; ++i, ++index) {
      const Step& step = steps.steps()[index];
      if (step.barrier_before) ib.barrier();
      ib.dispatch({.kernel = step.kernel, .groups = step.groups,
                   .kernarg_va = kernargs.va() + step.kernarg_offset_bytes});
    }
    const BufferView view = ib.finish();
    out.ibs.push_back(view);
    out.counts.dispatches += ib.counts().dispatches;
    out.counts.barriers += ib.counts().barriers;
    out.counts.dwords += ib.counts().dwords;
    offset = aligned(offset + view.size_bytes, ib_start_bytes);
  }
  return out;
}

}  // namespace amlm
