// Runs one job of an SDMA ring: linear copies, fills, writes, fences and waits. Everything else (tiled copies, other
// sub-operations, reserved bits) is a fault by name.
#pragma once

#include "driver/virtual/front_end.h"

namespace amlm::vgpu {

class SdmaEngine final : public FrontEnd {
 public:
  SdmaEngine(Gpu& gpu, Job& job, u64 start_ns) : FrontEnd(gpu, job, start_ns, 1) {}

 private:
  struct Row;
  using Handler = Step (SdmaEngine::*)(std::span<const u32> packet);
  static const Row* find(u32 header);

  Step execute() override;
  Step nothing(std::span<const u32> packet);
  Step copy_linear(std::span<const u32> packet);
  Step write_linear(std::span<const u32> packet);
  Step fence(std::span<const u32> packet);
  Step poll_memory(std::span<const u32> packet);
  Step atomic(std::span<const u32> packet);
  Step constant_fill(std::span<const u32> packet);
  Step global_timestamp(std::span<const u32> packet);
};

}  // namespace amlm::vgpu
