// Brings a model's weights into GPU memory: threads read rows from the file, look them over, take them apart into
// planes (planes.h) and copy them up; then everything is read back and compared with the hashes taken on the way.
#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"
#include "engine/load_progress.h"
#include "engine/model/model.h"
#include "engine/planes.h"

namespace amlm {

struct LoadOptions {
  std::function<void(const LoadProgress&)> on_progress;      // called from the loading thread, some times a second
  const std::atomic<bool>* cancelled = nullptr;              // ErrorCode::interrupted
};

class Weights {
 public:
  Weights() = default;
  // One buffer for each tensor, named after it. Errors name the tensor: memory, file, bad_model (a number that is not
  // finite, an embedding of zeros), gpu_fault-like failures of the read back.
  static Result<Weights> load(Device& device, const Model& model, const LoadOptions& options);

  kernels::Matrix matrix(const Weight& weight) const;
  u64 vector(const Weight& weight) const;                    // address of f32[columns]
  // Compares GPU memory with what was put there; failed, with the tensor, when it differs.
  Result<void> verify(const LoadOptions& options) const;
  // In order of the file's tensors; null when the tensor is not loaded (rope factors go into the RoPE table).
  const Buffer& buffer(const Weight& weight) const;

  struct Slice { u32 entry; u64 first_row, rows; u64 hash; };          // XXH3 over the rows' parts of each plane
  struct Entry { const GgufTensor* tensor; Weight weight; PlaneLayout layout; Buffer buffer; };

 private:
  Result<void> allocate(Device& device, const Model& model);
  Result<void> fill(const Model& model, const LoadOptions& options);
  void cut_slices();
  const Entry& entry_of(const Weight& weight) const;

  const Model* model_ = nullptr;
  std::vector<Entry> entries_;
  std::vector<u32> entry_by_tensor_;                         // index of the file's tensor -> entry, ~0u: none
  std::vector<Slice> slices_;
  u64 total_bytes_ = 0;
};

// Every weight of the forward pass once: a tied output is the embedding.
std::vector<Weight> weights_to_load(const Model& model);

}  // namespace amlm
