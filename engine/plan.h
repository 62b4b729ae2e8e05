// Everything a session will allocate, sized before anything is: weights, KV cache, activations, command buffers.
#pragma once

#include <string>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"
#include "engine/forward.h"
#include "engine/kernel_set.h"
#include "engine/model/model.h"
#include "engine/session.h"

namespace amlm {

struct PlannedBuffer {
  std::string label;
  u64 size_bytes = 0;
  MemoryUse use = MemoryUse::gpu_only;
  u64 GpuMap::* address = nullptr;         // where its VA goes; null: the session keeps the buffer itself
};

struct PlanRequest {
  u32 context = 0, batch = 0;
  bool all_logits = false;
  f64 limit_seconds = 0;                   // of a submission; 0 = none
};

struct Plan {
  u32 context = 0, batch = 0;
  std::vector<PlannedBuffer> activations;
  u64 kv_layer_bytes = 0;                  // of the keys of one layer; as many for the values
  u64 rope_bytes = 0;
  u64 decode_kernarg_bytes = 0, decode_ib_bytes = 0;
  u64 prefill_kernarg_bytes = 0, prefill_ib_bytes = 0;      // of each of the two slots
  MemoryPlan memory;
  TokenCost cost;                          // but for what the IB counts
};

// Sizes for this context and batch. `kernels` are resolved; nothing is allocated.
Plan make_plan(const Model& model, const KernelSet& kernels, const PlanRequest& request);

// GTT pages are the machine's own memory, pinned: both limits hold.
struct MemoryRoom { u64 gtt_free_bytes = 0, host_available_bytes = ~u64{0}; };
MemoryRoom read_memory_room(u64 gtt_free_bytes);      // host: MemAvailable of /proc/meminfo, less a reserve

// The plan for the session's options: a context of 0 becomes the model's own, or the largest that fits.
// ErrorCode::memory with the numbers and the remedy when it does not fit the room.
Result<Plan> choose_plan(const Model& model, const KernelSet& kernels, const SessionOptions& options,
                         const DeviceFacts& facts, const MemoryRoom& room);

}  // namespace amlm
