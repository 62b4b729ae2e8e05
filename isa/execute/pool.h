// Host threads that live as long as the executor and run one job together.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "isa/base.h"

namespace amlm::isa {

class Pool {
 public:
  ~Pool();
  // Calls job(0) on this thread and job(1) .. job(threads - 1) on others; returns when all have returned.
  void run(u32 threads, const std::function<void(u32)>& job);

 private:
  void work(u32 index);

  std::vector<std::thread> threads_;          // of index 1, 2, ...
  const std::function<void(u32)>* job_ = nullptr;
  std::atomic<u32> round_{0};                 // a new value: there is work, or the end
  u32 wanted_ = 0;                            // threads of this round
  std::atomic<u32> running_{0};
  bool stop_ = false;
};

}  // namespace amlm::isa
