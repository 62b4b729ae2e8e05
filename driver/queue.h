// The one compute queue: submits resident indirect buffers, waits with an end, maps errors.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"

namespace amlm {

struct QueueCounts { u64 submits = 0, waits = 0; };

class Queue {
 public:
  static Result<Queue> create(Device& device);
  Queue(Queue&&) noexcept;
  Queue& operator=(Queue&&) noexcept;
  ~Queue();

  // One CS ioctl with these IBs in order (each: VA and size of a resident, padded IB).
  // Returns the timeline point it will signal. Never blocks on the GPU (but for the kernel's own queue depth).
  Result<u64> submit(std::span<const BufferView> ibs);
  // Returns when `point` is reached, or an Error after `timeout`: gpu_fault with what the kernel said
  // (ETIME, ECANCELED, ENODATA, context state, fault address mapped to our buffer).
  Result<void> wait(u64 point, std::chrono::milliseconds timeout = std::chrono::seconds(120));
  u64 submitted() const;                 // last point handed out
  const QueueCounts& counts() const;
  // After a gpu_fault: a new context; buffers stay. Points go on growing.
  Result<void> recover();

 private:
  struct Impl;
  explicit Queue(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace amlm
