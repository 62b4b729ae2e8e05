// The forward pass of a Llama, written as two lists of dispatches: one token (decode), and a batch of tokens (prefill).
// Read forward.cpp from top to bottom; the kernels' meaning stands in kernels/kernels.h.
#pragma once

#include <vector>

#include "driver/base.h"
#include "engine/kernel_set.h"
#include "engine/model/model.h"
#include "engine/steps.h"

namespace amlm {

// Where everything is in GPU memory. Addresses may be 0 when a list is only made to be counted.
struct GpuMap {
  struct Layer {
    u64 attn_norm = 0, ffn_norm = 0;                          // f32[embedding]
    kernels::Matrix wq, wk, wv, wo, gate, up, down;
    u64 k_cache = 0, v_cache = 0;                             // f16[kv_heads][context][head_size]
  };
  std::vector<Layer> layers;
  kernels::Matrix embedding, output;
  u64 output_norm = 0;

  u32 context = 0;
  u64 rope = 0;             // f32[context][head_size/2][2]: cos, sin
  u64 state = 0;            // kernels::State
  u64 tokens = 0;           // u32[context + 1]: the text so far
  u64 logits = 0;           // f32[vocabulary], of the last token
  u64 best = 0;             // {f32, u32}[ceil(vocabulary / gemv_group_rows)]

  // decode
  u64 x = 0;                // f32[embedding]; prefill: f32[batch][embedding]
  u64 q = 0;                // f16[heads * head_size]; prefill: of each token
  u64 partial_out = 0;      // f32[heads][splits][head_size]
  u64 partial_stat = 0;     // f32[heads][splits][2]
  u64 h = 0;                // f16[feed_forward]; prefill: of each token
  u64 gate_up = 0;          // f32[2 * feed_forward], when gate and up differ in type; prefill: of each token
  u64 unused_best = 0;      // where a matrix-vector product puts what only the greedy choice would need

  // prefill
  u64 normed = 0;           // f16[batch][embedding]
  u64 qkv = 0;              // f32[batch][q_rows + 2 * kv_rows]
  u64 attended = 0;         // f16[batch][heads * head_size]
  u64 batch_logits = 0;     // f32[batch][vocabulary], when asked for
};

u32 decode_splits(u32 context);      // of attn_decode

// One token: State::token at State::position. Leaves the next greedy token in State and in tokens[], and the logits.
// Identical for every token. The attention's bytes are counted for `cost_position` tokens in the cache.
void decode_forward(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu, u32 cost_position);

struct PrefillBatch {
  u32 first_position = 0, tokens = 0;          // tokens[first_position ..] of the map
  bool last_logits = false;                    // logits and the greedy choice of the last token; State::position must
                                               // be that token's
  u32 batch_logits_from = ~0u;                 // logits of the batch's tokens from this one on; ~0u: none
};
void prefill_forward(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu,
                     const PrefillBatch& batch);

}  // namespace amlm
