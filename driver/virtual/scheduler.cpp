#include "driver/virtual/scheduler.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <chrono>

#include "driver/virtual/command_processor.h"
#include "driver/virtual/context.h"
#include "driver/virtual/file.h"
#include "driver/virtual/gpu.h"
#include "driver/virtual/inject.h"

namespace amlm::vgpu {

Job::Job() = default;
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
  if (!job.processor) {
    if (!all_signalled(job.dependencies)) return false;
    job.scheduled->signalled = true;
    gpu_.counters.count(&QueueCounters::jobs);
    if (fail_on_demand(*entity)) return true;
    job.processor = std::make_unique<CommandProcessor>(gpu_, job, gpu_.now_ns());
  }
  CommandProcessor& processor = *job.processor;
  lock.unlock();
  const auto status = processor.run();
  lock.lock();
  gpu_.advance_to(processor.time_ns());
  if (status == CommandProcessor::Status::done) {
    finish(*entity, 0);
    return true;
  }
  if (status == CommandProcessor::Status::failed) {
    fail(*entity);
    return true;
  }
  const u64 now = Gpu::host_ns();
  const bool was_blocked = job.blocked_since_ns != 0 && !processor.moved();
  if (!was_blocked) job.blocked_since_ns = now;
  // A wait has no modelled cost: it is the host's clock that ends it.
  if (now - job.blocked_since_ns > gpu_.config.job_timeout_ms * 1'000'000) {
    processor.report_endless_wait();
    fail(*entity);
    return true;
  }
  return !was_blocked;
}

void Scheduler::finish(Entity& entity, int error) {
  const JobPtr job = std::move(entity.queue.front());
  entity.queue.pop_front();
  entity.error = error;
  if (!error && job->user_fence) memcpy(job->user_fence->host + job->user_fence_offset, &job->sequence, 8);
  gpu_.signal(job->scheduled, 0);
  gpu_.signal(job->finished, error);
}

// The kernel's per-queue reset after a job timeout (driver.md 3.6): the job's fence gets ETIME, what its entity had
// queued is cancelled, every context sees that there was a reset, and only this one is guilty.
void Scheduler::fail(Entity& entity) {
  const Job& job = *entity.queue.front();
  const auto context = job.context;
  const u64 start_ns = job.processor ? job.processor->start_ns() : gpu_.now_ns();
  gpu_.advance_to(start_ns + gpu_.config.job_timeout_ms * 1'000'000);
  context->guilty = true;
  ++gpu_.reset_counter;
  finish(entity, -ETIME);
  while (!entity.queue.empty()) finish(entity, -ECANCELED);
  entity.error = -ETIME;
}

// ETIME: this job hangs. ENODATA: it is ended by a soft recovery. ECANCELED: it is the victim of another's reset.
// VRAM_LOST: a full reset that also loses memory contents, so that no older context may submit.
bool Scheduler::fail_on_demand(Entity& entity) {
  const int lost = injected("VRAM_LOST");
  const int error = lost ? ECANCELED : injected("JOB");
  if (!error) return false;
  gpu_.faults.report({.sentence = lost ? "injected: a reset with VRAM lost" : "injected: a job that fails",
                      .kind = "injected"});
  if (error == ETIME) {
    fail(entity);
    return true;
  }
  ++gpu_.reset_counter;
  if (lost) ++gpu_.vram_lost_counter;
  if (error == ENODATA) entity.queue.front()->context->guilty = true;
  finish(entity, -error);
  return true;
}

}  // namespace amlm::vgpu
