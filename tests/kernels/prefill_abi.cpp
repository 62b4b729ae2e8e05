// The argument structs of kernels.h are what the prefill kernels' own `arg` lines say.
#include <catch2/catch.hpp>
#include <cstddef>

#include "tests/kernels/prefill_support.h"

namespace amlm::test {

using namespace kernels;

#define FIELD(kernel, Args, field) CHECK(machine.symbol(std::string(kernel) + ".arg." #field) == offsetof(Args, field))

TEST_CASE("arguments of the prefill kernels") {
  Machine machine;
  FIELD("rmsnorm_f16", RmsnormArgs, x);
  FIELD("rmsnorm_f16", RmsnormArgs, weight);
  FIELD("rmsnorm_f16", RmsnormArgs, y);
  FIELD("rmsnorm_f16", RmsnormArgs, columns);
  FIELD("rmsnorm_f16", RmsnormArgs, epsilon);
  FIELD("swiglu_f16", SwigluArgs, gate_up);
  FIELD("swiglu_f16", SwigluArgs, h);
  FIELD("swiglu_f16", SwigluArgs, rows);
  FIELD("rope_kv", RopeKvArgs, qkv);
  FIELD("rope_kv", RopeKvArgs, rope);
  FIELD("rope_kv", RopeKvArgs, q);
  FIELD("rope_kv", RopeKvArgs, k_cache);
  FIELD("rope_kv", RopeKvArgs, v_cache);
  FIELD("rope_kv", RopeKvArgs, heads);
  FIELD("rope_kv", RopeKvArgs, kv_heads);
  FIELD("rope_kv", RopeKvArgs, head_size);
  FIELD("rope_kv", RopeKvArgs, context);
  FIELD("rope_kv", RopeKvArgs, first_position);
  for (const u32 size : {32u, 64u, 96u, 128u}) {
    const std::string kernel = "attn_prefill_" + std::to_string(size);
    FIELD(kernel, AttnPrefillArgs, q);
    FIELD(kernel, AttnPrefillArgs, k_cache);
    FIELD(kernel, AttnPrefillArgs, v_cache);
    FIELD(kernel, AttnPrefillArgs, out);
    FIELD(kernel, AttnPrefillArgs, heads);
    FIELD(kernel, AttnPrefillArgs, kv_heads);
    FIELD(kernel, AttnPrefillArgs, head_size);
    FIELD(kernel, AttnPrefillArgs, context);
    FIELD(kernel, AttnPrefillArgs, first_position);
    FIELD(kernel, AttnPrefillArgs, tokens);
  }
  for (const char* type : {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"}) {
    for (const char* epilogue : {"_store", "_add"}) {
      const std::string kernel = "gemm_" + std::string(type) + epilogue;
      FIELD(kernel, GemmArgs, w);
      FIELD(kernel, GemmArgs, a);
      FIELD(kernel, GemmArgs, c);
      FIELD(kernel, GemmArgs, rows);
      FIELD(kernel, GemmArgs, columns);
      FIELD(kernel, GemmArgs, tokens);
      FIELD(kernel, GemmArgs, row_stride);
    }
  }
}

}  // namespace amlm::test
