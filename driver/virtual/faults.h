// What GPU programs and clients did wrong: one sentence on stderr, one JSON line in AMLM_VGPU_FAULTS, and the last
// ones for the test hooks.
#pragma once

#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::vgpu {

struct FaultReport {
  std::string sentence;
  std::string kind;        // stable word
  std::string label;       // dispatch label, "" when none
  u64 pc = 0, address = 0;
  std::array<u32, 3> group{};
  u32 wave = 0, lane = 0;
  u64 packet_va = 0;       // of the packet in its IB
};

std::string json_text(const std::string& text);   // quoted and escaped

class Faults {
 public:
  explicit Faults(std::string path) : path_(std::move(path)) {}
  void report(const FaultReport& fault);
  u64 count() const;
  std::string last_json() const;
  void clear();
  void after_fork() { new (&mutex_) std::mutex; }

 private:
  mutable std::mutex mutex_;
  std::string path_, last_;
  u64 count_ = 0;
};

}  // namespace amlm::vgpu
