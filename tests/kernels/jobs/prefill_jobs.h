// Jobs of the prefill kernels: random inputs of a shape, and the reference's answer.
#pragma once

#include "tests/kernels/jobs/decode_jobs.h"

namespace amlm::test {

enum class Epilogue : u8 { store, add };

struct GemmShape {
  kernels::WeightType type;
  Epilogue epilogue = Epilogue::store;
  u32 tokens = 0, rows = 0, columns = 0;
  reference::Fill fill = reference::Fill::typical;
};

// even: scores near 0; peaked: a few positions take all; growing: each position scores more than all before it;
// equal: q is 0, so that no maximum ever grows.
enum class Scores : u8 { even, peaked, growing, equal };

struct PrefillAttentionShape {
  u32 heads = 0, kv_heads = 0, head_size = 0, tokens = 0, first_position = 0;
  Scores scores = Scores::even;
};

struct RopeShape { u32 heads = 0, kv_heads = 0, head_size = 0, context = 0, first_position = 0, tokens = 0; };

Job gemm_job(Random& random, const GemmShape& shape);
Job gemm_job(Random& random, const GemmShape& shape, const reference::Weights& weights);
Job attn_prefill_job(Random& random, const PrefillAttentionShape& shape);
Job rope_kv_job(Random& random, const RopeShape& shape);
struct TokensShape { u32 tokens = 0, columns = 0; };
Job rmsnorm_f16_job(Random& random, const TokensShape& shape);
Job swiglu_f16_job(Random& random, const TokensShape& shape);

}  // namespace amlm::test
