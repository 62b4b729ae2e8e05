// The one virtual GPU of this process: what all open files share. Never destroyed, because clients close files and
// unmap memory from their own static destructors.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "driver/base.h"
#include "driver/virtual/config.h"
#include "driver/virtual/counters.h"
#include "driver/virtual/fault_script.h"
#include "driver/virtual/faults.h"
#include "driver/virtual/fence.h"
#include "driver/virtual/pool.h"
#include "driver/virtual/scheduler.h"

namespace amlm::vgpu {

struct Bo;
using Lock = std::unique_lock<std::mutex>;

inline constexpr u64 page_bytes = 4096;
inline constexpr u64 counter_khz = 99810;    // driver.md 3.7

class Gpu {
 public:
  static Gpu& instance();
  const int owner_pid;                       // the process whose GPU this is, or was copied from by fork()
  static Gpu* present();                     // null before the first use

  Config config;
  std::mutex mutex;                          // guards everything below and all files; not held while a job runs
  std::condition_variable changed;           // a fence signalled, a timeline grew

  Pool pool;
  u64 bytes_moved = 0;
  std::atomic<u64> busy_ns{0};               // modelled time that jobs have taken
  u32 reset_counter = 0, vram_lost_counter = 0;
  u32 pstate_holder = 0;                     // serial number of the context that holds a stable pstate, 0 = none
  u32 pstate = 0;
  u32 next_context_serial = 1;
  std::vector<std::weak_ptr<SyncFile>> sync_files;
  std::vector<EventfdWait> eventfd_waits;
  std::vector<std::weak_ptr<Bo>> global_names;   // GEM_FLINK: name n is entry n - 1
  Scheduler scheduler;
  Faults faults;
  Counters counters;

  // What a fault script does to the device and not to one job. Call with the lock held.
  void happen(const Action& action);

  // Marks fences as done and wakes every waiter. Call with the lock held.
  void signal(const FencePtr& fence, int error);
  void wake();

  // The GPU's clock: the host's, plus what modelled time has ever run ahead of it.
  u64 now_ns() const;
  void advance_to(u64 time_ns);
  static u64 host_ns();
  static u64 ticks(u64 time_ns);

  // CPU mappings of buffers: they keep the memory after GEM_CLOSE.
  void remember_mapping(void* address, u64 size_bytes, std::shared_ptr<Bo> bo);
  static void forget_mapping(void* address, u64 size_bytes);

 private:
  Gpu();
  friend void after_fork_in_child();
  void start_over_in_child();
  u64 ahead_ns_ = 0;
  std::mutex mappings_mutex_;
  struct CpuMapping { u64 size_bytes; std::shared_ptr<Bo> bo; };
  std::map<u64, CpuMapping> mappings_;
};

// Waits for `done` until the absolute CLOCK_MONOTONIC time; false when it passed first. A poll that finds nothing waits a
// moment all the same: a client that spins (llama.cpp does) would take a core from the waves that it waits for.
template <class Predicate>
bool wait_until(Gpu& gpu, Lock& lock, u64 deadline_ns, Predicate done) {
  constexpr u64 shortest_wait_ns = 100'000;
  if (!done()) deadline_ns = std::max(deadline_ns, Gpu::host_ns() + shortest_wait_ns);
  while (!done()) {
    const u64 now = Gpu::host_ns();
    if (now >= deadline_ns) return false;
    const u64 left = std::min<u64>(deadline_ns - now, 1'000'000'000);
    gpu.changed.wait_for(lock, std::chrono::nanoseconds(left));
  }
  return true;
}

}  // namespace amlm::vgpu
