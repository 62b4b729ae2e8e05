// Jobs, entities and the thread that runs them. An entity is what the kernel calls one: the queue of a context on one
// ring; its jobs run in order, jobs of different entities take turns whenever one has to wait.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "driver/base.h"
#include "driver/virtual/fault_script.h"
#include "driver/virtual/fence.h"

namespace amlm::vgpu {

class FrontEnd;
class Gpu;
struct Bo;
struct Context;
struct Vm;

inline constexpr u64 outstanding_jobs = 32;   // amdgpu_sched_jobs

struct Ib {
  u64 va = 0;
  u32 size_dw = 0, flags = 0;
};

struct Job {
  explicit Job(u32 ip_type);
  ~Job();
  const u32 ip;                               // of the ring that runs it
  std::vector<Ib> ibs;
  Fences dependencies;
  FencePtr scheduled = std::make_shared<Fence>(), finished = std::make_shared<Fence>();
  std::shared_ptr<Vm> vm;
  std::shared_ptr<Context> context;
  std::shared_ptr<Bo> user_fence;
  u64 user_fence_offset = 0;
  u64 sequence = 0;
  u64 number = 0;                             // of this process's jobs, from 1
  std::vector<std::shared_ptr<Bo>> buffers;   // kept alive until the job is done
  std::unique_ptr<FrontEnd> processor;
  bool starts_idle = false;                   // all earlier work of its VM is known to be done when it starts
  u64 blocked_since_ns = 0;                   // host time; 0 = not blocked
  bool begun = false;                         // it is on the hardware
  bool cancelled = false;                     // by a reset of the whole GPU
  bool is_stuck = false;                      // never retires
  u64 stall_ns = 0;                           // modelled time before its first packet
  Action ended_by{.kind = Action::Kind::hang};   // how it ends when it fails
};
using JobPtr = std::unique_ptr<Job>;

struct Entity {
  u32 ip = 0, ring = 0;
  u64 next_sequence = 1;
  int error = 0;                              // of the last job that ran: the next CS returns it
  std::deque<JobPtr> queue;
  std::deque<FencePtr> recent;                // the last `outstanding_jobs` fences; back() is next_sequence - 1
};
using EntityPtr = std::shared_ptr<Entity>;

// What a scripted action does to a job's memory at once, as words for its report.
std::string apply_to_job(const Action& action, Vm& vm);

class Scheduler {
 public:
  explicit Scheduler(Gpu& gpu) : gpu_(gpu) {}
  void push(const EntityPtr& entity, JobPtr job);   // with Gpu::mutex held
  void notify() { work_.notify_one(); }             // a fence has signalled: a job may be free to start
  void reset(Reset reset);                          // that another process's work has caused; Gpu::mutex held
  void after_fork();                                // in the child, which has no thread: drops what was queued
  void stop();                                      // ends the thread after the packet it is at

 private:
  void loop();
  bool step(const EntityPtr& entity, std::unique_lock<std::mutex>& lock);
  void finish(Entity& entity, int error);
  bool begin(Entity& entity);
  void fail(Entity& entity);
  void cancel(Entity& entity);
  void cancel_running();

  Gpu& gpu_;
  std::thread thread_;
  std::condition_variable work_;
  std::vector<EntityPtr> active_;
  bool stopping_ = false;
  u64 jobs_ = 0;
};

}  // namespace amlm::vgpu
