// Jobs of the decode kernels: random inputs of a shape, and the reference's answer.
#pragma once

#include <random>

#include "kernels/kernels.h"
#include "tests/kernels/jobs/job.h"
#include "tests/reference/decode.h"

namespace amlm::test {

using Random = std::mt19937_64;

struct MatrixShape {
  kernels::WeightType type;
  u32 rows = 0, columns = 0;
  reference::Fill fill = reference::Fill::typical;
};

struct QkvShape {
  kernels::WeightType type;
  u32 columns = 0, heads = 0, kv_heads = 0, head_size = 0, context = 0, position = 0;
  bool q = true, k = true, v = true;             // segments that are there
};

struct DecodeAttentionShape {
  reference::AttentionShape model;
  u32 splits = 0, position = 0;
};

Job embed_job(Random& random, const MatrixShape& shape, const std::vector<u32>& tokens);
Job qkv_job(Random& random, const QkvShape& shape);
Job attn_decode_job(Random& random, const DecodeAttentionShape& shape);
// `matrix.columns` is heads * head_size.
Job attn_out_job(Random& random, const MatrixShape& matrix, const DecodeAttentionShape& attention);
Job gate_up_job(Random& random, const MatrixShape& shape);
Job down_job(Random& random, const MatrixShape& shape);
Job logits_job(Random& random, const MatrixShape& shape);
// Each value with a row number of its own choice.
struct Best { f32 value; u32 row; };
// Another chip's logits may differ in the last bit. A row number is a tiny f32: logits_job itself checks rows.
template <> inline constexpr Element element_of<Best> = Element::f32;
Job argmax_final_job(const std::vector<Best>& best, u32 position, u32 capacity);

}  // namespace amlm::test
