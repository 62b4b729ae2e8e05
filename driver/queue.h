// The one compute queue: submits resident indirect buffers, waits with an end, maps errors.
//
// The timeline is the kernel's own: each submission gets the next sequence number of our context, and WAIT_CS waits for
// one. A syncobj timeline would cost a chunk in every submission, and waiting on it succeeds even when the job was
// cancelled; WAIT_CS returns the job's error.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"

namespace amlm {

struct QueueCounts { u64 submits = 0, waits = 0; };      // ioctls

class Queue {
 public:
  static Result<Queue> create(Device& device);
  Queue(Queue&&) noexcept;
  Queue& operator=(Queue&&) noexcept;
  ~Queue();                                              // waits for what was submitted, at most 5 s

  // One CS ioctl with these IBs in order (each: VA and size of a resident, padded IB; at most 16).
  // Returns the timeline point it will signal. Never blocks on the GPU (but for the kernel's own queue depth).
  Result<u64> submit(std::span<const BufferView> ibs);
  // Returns when `point` is reached, or an Error after `timeout`: gpu_fault with what the kernel said
  // (ETIME, ECANCELED, ENODATA, context state, fault address mapped to our buffer).
  Result<void> wait(u64 point, std::chrono::milliseconds timeout = std::chrono::seconds(120));
  // What wait() says after a timeout (errno_value ETIMEDOUT), for those who wait in slices.
  static Error unfinished(std::chrono::milliseconds waited);
  // Whether `point` is reached; does not wait.
  Result<bool> reached(u64 point);
  u64 submitted() const;                 // last point handed out
  const QueueCounts& counts() const;
  // After a gpu_fault: a new context; buffers stay. Points go on growing; those not reached before stay errors.
  Result<void> recover();

 private:
  struct Impl;
  explicit Queue(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace amlm
