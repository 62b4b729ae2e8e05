#include "driver/virtual/scheduler.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <chrono>

#include "driver/virtual/command_processor.h"
#include "driver/virtual/context.h"
#include "driver/virtual/file.h"
#include "driver/virtual/gpu.h"
#include "driver/virtual/sdma.h"

namespace amlm::vgpu {

namespace {

std::unique_ptr<FrontEnd> front_end(Gpu& gpu, Job& job) {
  if (job.ip == sdma_ip) return std::make_unique<SdmaEngine>(gpu, job, gpu.now_ns());
  return std::make_unique<CommandProcessor>(gpu, job, gpu.now_ns());
}

}  // namespace

Job::Job(u32 ip_type) : ip(ip_type) {}
Job::~Job() = default;

void Scheduler::push(const EntityPtr& entity, JobPtr job) {
  job->number = ++jobs_;
  entity->queue.push_back(std::move(job));
  if (std::find(active_.begin(), active_.end(), entity) == active_.end()) active_.push_back(entity);
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  work_.notify_one();
}

void Scheduler::stop() {
  {
    const Lock lock(gpu_.mutex);
    stopping_ = true;
    work_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Scheduler::after_fork() {
  new (&thread_) std::thread;
  new (&work_) std::condition_variable;
  for (const auto& entity : active_) {
    for (auto& job : entity->queue) {
      job->scheduled->signalled = job->finished->signalled = true;   // the parent runs it
      (void)job.release();                                           // its processor may be at work in the parent
    }
    entity->queue.clear();
  }
  active_.clear();
}

// One entity after the other gets a turn; when none can go on, a blocked one may be waiting for the CPU: look again
// soon.
void Scheduler::loop() {
  Lock lock(gpu_.mutex);
  while (!stopping_) {
    bool progress = false, blocked = false;
    const std::vector<EntityPtr> round = active_;
    for (const auto& entity : round) {
      if (stopping_) return;
      progress |= step(entity, lock);
      blocked |= !entity->queue.empty() && entity->queue.front()->blocked_since_ns != 0;
    }
    std::erase_if(active_, [](const EntityPtr& entity) { return entity->queue.empty(); });
    if (progress) continue;
    if (blocked) work_.wait_for(lock, std::chrono::microseconds(50));
    else work_.wait(lock);
  }
}

// Gives the first job of the entity a turn; true when something has changed.
bool Scheduler::step(const EntityPtr& entity, Lock& lock) {
  if (entity->queue.empty()) return false;
  Job& job = *entity->queue.front();
  if (job.cancelled) return cancel(*entity), true;
  if (job.is_stuck) return false;
  if (!job.begun) {
    if (!all_signalled(job.dependencies)) return false;
    if (!begin(*entity)) return true;
  }
  FrontEnd& processor = *job.processor;
  lock.unlock();
  const auto status = processor.run();
  lock.lock();
  gpu_.advance_to(processor.time_ns());
  if (job.cancelled) return cancel(*entity), true;
  if (status == FrontEnd::Status::done) {
    finish(*entity, 0);
    return true;
  }
  if (status == FrontEnd::Status::failed) {
    fail(*entity);
    return true;
  }
  const u64 now = Gpu::host_ns();
  const bool was_blocked = job.blocked_since_ns != 0 && !processor.moved();
  if (!was_blocked) job.blocked_since_ns = now;
  // A wait has no modelled cost: it is the host's clock that ends it.
  const u64 timeout_ns = gpu_.config.job_timeout_ms * 1'000'000;
  if (timeout_ns && now - job.blocked_since_ns > timeout_ns) {
    processor.report_endless_wait();
    fail(*entity);
    return true;
  }
  return !was_blocked;
}

// Puts the entity's first job on the hardware; false when that has ended it.
bool Scheduler::begin(Entity& entity) {
  Job& job = *entity.queue.front();
  // The kernel hands the error of an entity's last job on to the jobs behind it (amdgpu_job_prepare_job).
  if (entity.error) return finish(entity, entity.error), false;
  job.begun = true;
  job.scheduled->signalled = true;
  gpu_.counters.count(&QueueCounters::jobs);
  for (const Action& action : scripted({.name = "JOB", .busy_ns = gpu_.busy_ns})) {
    gpu_.faults.report({.sentence = "job " + std::to_string(job.number) + ": " + apply_to_job(action, *job.vm),
                        .kind = "injected"});
    gpu_.happen(action);
    if (action.kind == Action::Kind::stall) job.stall_ns += action.amount;
    if (action.kind == Action::Kind::reset || action.kind == Action::Kind::gtt || action.kind == Action::Kind::stall)
      continue;
    job.ended_by = action;
    return fail(entity), false;
  }
  job.processor = front_end(gpu_, job);
  return !job.cancelled;
}

void Scheduler::finish(Entity& entity, int error) {
  const JobPtr job = std::move(entity.queue.front());
  entity.queue.pop_front();
  entity.error = error;
  if (!error && job->user_fence) memcpy(job->user_fence->host + job->user_fence_offset, &job->sequence, 8);
  if (job->processor) {
    const u64 taken_ns = job->processor->time_ns() - job->processor->start_ns();
    gpu_.busy_ns += taken_ns;
    job->vm->busy_ns += taken_ns;
  }
  gpu_.signal(job->scheduled, 0);
  gpu_.signal(job->finished, error);
}

// What the kernel does after a job timeout (driver.md 3.6). A queue's reset: the job's fence gets ETIME, what its
// entity had queued is cancelled, every context sees that there was a reset, and only this one is guilty. Where that
// does not help, the whole GPU's: it also cancels what runs for others. Without a job timeout nothing ever ends the job.
void Scheduler::fail(Entity& entity) {
  Job& job = *entity.queue.front();
  const Action ended_by = job.ended_by;
  if (ended_by.kind == Action::Kind::stuck || gpu_.config.job_timeout_ms == 0) {
    job.is_stuck = true;
    job.blocked_since_ns = 0;
    return;
  }
  const auto context = job.context;
  const u64 start_ns = job.processor ? job.processor->start_ns() : gpu_.now_ns();
  gpu_.advance_to(start_ns + gpu_.config.job_timeout_ms * 1'000'000);
  context->guilty = true;
  ++gpu_.reset_counter;
  if (ended_by.kind == Action::Kind::soft) {
    finish(entity, -ENODATA);
    return;
  }
  finish(entity, -ETIME);
  cancel(entity);
  entity.error = -ETIME;
  if (ended_by.reset != Reset::queue || !gpu_.config.kernel->reruns_innocent_work) cancel_running();
  if (ended_by.reset == Reset::vram_lost) ++gpu_.vram_lost_counter;
}

void Scheduler::cancel(Entity& entity) {
  while (!entity.queue.empty()) finish(entity, -ECANCELED);
}

void Scheduler::cancel_running() {
  for (const auto& entity : active_)
    if (!entity->queue.empty() && entity->queue.front()->begun) entity->queue.front()->cancelled = true;
  work_.notify_one();
}

// Newer kernels emit innocent work again after a queue's reset; older ones cancel it, as a reset of the whole GPU does.
void Scheduler::reset(Reset reset) {
  ++gpu_.reset_counter;
  if (reset != Reset::queue || !gpu_.config.kernel->reruns_innocent_work) cancel_running();
  if (reset == Reset::vram_lost) ++gpu_.vram_lost_counter;
}

std::string apply_to_job(const Action& action, Vm& vm) {
  const std::string line = "fault script, line " + std::to_string(action.line) + ": ";
  static constexpr const char* reach[] = {"its queue is reset", "the GPU is reset", "the GPU is reset and VRAM is lost"};
  const char* how = reach[int(action.reset)];
  switch (action.kind) {
    case Action::Kind::hang: return line + "hangs; " + how;
    case Action::Kind::soft: return line + "hangs; a soft recovery ends it";
    case Action::Kind::stuck: return line + "never retires";
    case Action::Kind::stall: return line + "takes " + std::to_string(action.amount) + " ns more";
    case Action::Kind::reset: return line + "another process's work hangs; " + how;
    case Action::Kind::gtt: return line + "other processes hold " + std::to_string(action.amount) + " bytes of GTT";
    case Action::Kind::fail: return line + strerror(action.error);
    case Action::Kind::page_fault: break;
  }
  const u64 start = action.buffer ? vm.address_of(action.buffer) : 0;
  vm.page_fault(start + action.address, action.is_write);
  return line + "page fault, " + (action.is_write ? "write" : "read") + " at " + hex(start + action.address);
}

}  // namespace amlm::vgpu
