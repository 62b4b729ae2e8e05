// All GTT memory: ranges of one sparse memfd. The fake offset that GEM_MMAP returns is the range's place in it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "driver/base.h"

namespace amlm::vgpu {

class Pool {
 public:
  explicit Pool(u64 capacity_bytes);
  // All are thread-safe. First fit; ~0 when no hole is large enough. Contents are zero.
  u64 allocate(u64 size_bytes, u64 alignment_bytes);
  void release(u64 offset, u64 size_bytes);
  int fd();                                  // made at the first use
  // The child of a fork shares the memory that exists and takes new memory from a range of its own.
  void after_fork();
  std::atomic<u64> gtt_used{0};              // what buffers of either kind of memory take from GTT
  std::atomic<u64> others_used{0};           // what a fault script lets other processes hold of it
  u64 taken() const { return gtt_used + others_used; }

 private:
  std::mutex mutex_;                         // buffers die with and without Gpu::mutex held
  u64 capacity_;
  u64 first_;                                // of the holes; ranges elsewhere are those of a parent process
  int fd_ = -1;
  std::map<u64, u64> holes_;                 // offset -> size
};

}  // namespace amlm::vgpu
