// Whole models with random weights of any type and shape, as GGUF bytes.
#pragma once

#include "kernels/kernels.h"
#include "tests/engine/gguf_builder.h"

namespace amlm::tests {

struct RandomModel {
  kernels::WeightType type = kernels::WeightType::f32;      // of all matrices but those below
  kernels::WeightType value = type, up = type, output = type;
  bool tied = true;
  u32 layers = 2, embedding = 256, feed_forward = 256, heads = 4, kv_heads = 2, head_size = 64, vocabulary = 300;
  u32 rope_dimensions = head_size;
  f32 rope_scale = 1;
  bool rope_factors = false;
  u32 seed = 1;
};

GgufBuilder random_model(const RandomModel& shape);

// Blocks of the type whose values are of the order of 0.05.
Bytes random_blocks(kernels::WeightType type, u64 elements, u32 seed);

}  // namespace amlm::tests
