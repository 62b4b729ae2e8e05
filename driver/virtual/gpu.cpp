#include "driver/virtual/gpu.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "driver/virtual/descriptors.h"
#include "driver/virtual/file.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

std::atomic<Gpu*> the_gpu{nullptr};
std::mutex creation;
// The span of all CPU mappings ever made: munmap calls outside of it take no lock.
std::atomic<u64> lowest_mapping{~0ull}, highest_mapping{0};

void before_fork() { the_gpu.load()->mutex.lock(); }
void after_fork_in_parent() { the_gpu.load()->mutex.unlock(); }

}  // namespace

void after_fork_in_child() {
  the_gpu.load()->start_over_in_child();
  the_gpu.load()->mutex.unlock();
}

Gpu::Gpu()
    : owner_pid(getpid()),
      config(config_from_environment()),
      pool((config.gtt_bytes + config.vram_bytes) * 4),
      scheduler(*this),
      faults(config.faults_path),
      counters(config.trace_path, config.trace_code_path,
               config.mode == isa::Mode::strict || !config.counters_path.empty() || !config.trace_path.empty()) {
  std::string why;
  if (!set_script(config.inject, {.seed = config.seed}, &why)) fatal(why);
}

Gpu& Gpu::instance() {
  if (Gpu* present = the_gpu.load(std::memory_order_acquire)) return *present;
  const std::lock_guard lock(creation);
  if (!the_gpu.load()) {
    the_gpu.store(new Gpu, std::memory_order_release);
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  }
  return *the_gpu.load();
}

Gpu* Gpu::present() { return the_gpu.load(std::memory_order_acquire); }

// A fork copies handles, contexts and page tables, and shares the memory; the worker and the executor's threads stay with
// the parent. Every lock but ours may have been held by one of them.
void Gpu::start_over_in_child() {
  new (&changed) std::condition_variable;
  new (&mappings_mutex_) std::mutex;
  pool.after_fork();
  faults.after_fork();
  counters.after_fork();
  scheduler.after_fork();
  for (const auto& file : inherited_files()) file->vm->after_fork();
}

void Gpu::happen(const Action& action) {
  if (action.kind == Action::Kind::reset) scheduler.reset(action.reset);
  if (action.kind == Action::Kind::gtt) pool.others_used = action.amount;
}

void Gpu::signal(const FencePtr& fence, int error) {
  fence->signalled = true;
  fence->error = error;
  wake();
}

void Gpu::wake() {
  std::erase_if(sync_files, [](const std::weak_ptr<SyncFile>& weak) {
    const auto file = weak.lock();
    if (!file) return true;
    if (!all_signalled(file->fences)) return false;
    const u64 one = 1;
    file->written = ::write(file->event_fd, &one, sizeof one) == sizeof one;
    return true;
  });
  std::erase_if(eventfd_waits, [](EventfdWait& wait) { return wait.finish(); });
  changed.notify_all();
  scheduler.notify();
}

u64 Gpu::host_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return u64(now.tv_sec) * 1'000'000'000 + u64(now.tv_nsec);
}

u64 Gpu::now_ns() const { return host_ns() + ahead_ns_; }

void Gpu::advance_to(u64 time_ns) {
  const u64 now = now_ns();
  if (time_ns > now) ahead_ns_ += time_ns - now;
}

u64 Gpu::ticks(u64 time_ns) { return u64(static_cast<unsigned __int128>(time_ns) * counter_khz / 1'000'000); }

void Gpu::remember_mapping(void* address, u64 size_bytes, std::shared_ptr<Bo> bo) {
  const u64 start = reinterpret_cast<u64>(address);
  const std::lock_guard lock(mappings_mutex_);
  mappings_[start] = {size_bytes, std::move(bo)};
  if (start < lowest_mapping) lowest_mapping = start;
  if (start + size_bytes > highest_mapping) highest_mapping = start + size_bytes;
}

void Gpu::forget_mapping(void* address, u64 size_bytes) {
  const u64 start = reinterpret_cast<u64>(address);
  const u64 end = start + (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
  if (start >= highest_mapping || end <= lowest_mapping) return;
  Gpu& gpu = instance();
  std::vector<std::shared_ptr<Bo>> last;           // dropped after the lock
  const std::lock_guard lock(gpu.mappings_mutex_);
  auto row = gpu.mappings_.upper_bound(start);
  if (row != gpu.mappings_.begin()) --row;
  while (row != gpu.mappings_.end() && row->first < end) {
    const u64 from = row->first, to = from + row->second.size_bytes;
    if (to <= start) {
      ++row;
      continue;
    }
    const auto bo = row->second.bo;
    last.push_back(bo);
    row = gpu.mappings_.erase(row);
    if (from < start) gpu.mappings_[from] = {start - from, bo};
    if (to > end) gpu.mappings_[end] = {to - end, bo};
  }
}

}  // namespace amlm::vgpu
