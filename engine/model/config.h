// The shape of a model, from the metadata: every number checked, so that what follows can divide and multiply freely.
#pragma once

#include <string>
#include <string_view>

#include "driver/base.h"
#include "engine/gguf/file.h"

namespace amlm {

struct ModelConfig {
  std::string name;               // general.name, or ""
  u32 layers = 0;                 // 1 .. 512
  u32 embedding = 0;              // width of the residual stream
  u32 feed_forward = 0;
  u32 heads = 0, kv_heads = 0;    // heads % kv_heads == 0
  u32 head_size = 0;              // of q, k and v alike; a multiple of 32, at most 256
  u32 vocabulary = 0;             // rows of the embedding = tokens of the tokenizer
  u32 trained_context = 0;
  f32 epsilon = 0;                // of RMSNorm
  u32 rope_dimensions = 0;        // even, at most head_size: pairs (2i, 2i+1) below it turn
  f32 rope_base = 0;
  f32 rope_scale = 1;             // positions are divided by it ("linear" scaling)

  u32 q_rows() const { return heads * head_size; }
  u32 kv_rows() const { return kv_heads * head_size; }
};

// unsupported: another architecture, experts, or a shape that no kernel has. bad_model: numbers that make no sense.
// `vocabulary` is the number of the tokenizer's tokens.
Result<ModelConfig> read_config(const GgufFile& file, u32 vocabulary);

}  // namespace amlm
