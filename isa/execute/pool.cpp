#include "isa/execute/pool.h"

namespace amlm::isa {

namespace {

// Dispatches follow each other within microseconds: looking a little before sleeping saves two system calls for many.
constexpr u32 looks_before_sleep = 100;

void wait_while(const std::atomic<u32>& value, u32 old) {
  for (u32 i = 0; i < looks_before_sleep; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    __builtin_ia32_pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Pool::~Pool() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::work(u32 index) {
  u32 seen = 0;
  while (true) {
    wait_while(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stop_) return;
    if (index < wanted_) (*job_)(index);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

void Pool::run(u32 threads, const std::function<void(u32)>& job) {
  if (threads <= 1) {
    job(0);
    return;
  }
  // A new thread takes part from the round in which it is made: it has seen round 0 only.
  if (threads_.size() + 1 < threads) {
    check(running_ == 0, "one job at a time");
    stop_ = true;
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    stop_ = false;
    round_ = 0;
    for (u32 i = 1; i < threads; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  job_ = &job;
  wanted_ = threads;
  running_.store(u32(threads_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  job(0);
  for (u32 left; (left = running_.load(std::memory_order_acquire)) != 0;) wait_while(running_, left);
}

}  // namespace amlm::isa
