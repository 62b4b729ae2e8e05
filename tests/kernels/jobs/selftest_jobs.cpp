#include "tests/kernels/jobs/selftest_jobs.h"

#include "tests/kernels/jobs/prefill_jobs.h"

namespace amlm::test {

namespace {

using kernels::WeightType;
using reference::Fill;

std::vector<Job> typed_jobs(Random& random, WeightType type) {
  const u32 wide = type == WeightType::q4_k || type == WeightType::q6_k ? 768 : 544;    // an iteration and a tail
  const u32 columns = wide == 768 ? 256 : 64;
  const reference::AttentionShape model{.heads = columns / 32, .kv_heads = 1, .head_size = 32, .context = 600};
  std::vector<Job> jobs;
  jobs.push_back(embed_job(random, {type, 3, columns, Fill::typical}, {2, 0}));
  jobs.push_back(qkv_job(
      random,
      {.type = type, .columns = columns, .heads = 2, .kv_heads = 1, .head_size = 32, .context = 3, .position = 1}));
  jobs.push_back(attn_out_job(random, {type, 33, columns, Fill::typical}, {model, 3, 520}));
  jobs.push_back(gate_up_job(random, {type, 17, columns, Fill::typical}));
  jobs.push_back(down_job(random, {type, 35, wide, Fill::typical}));
  jobs.push_back(logits_job(random, {type, 40, columns, Fill::typical}));
  jobs.push_back(gemm_job(random, {type, Epilogue::store, 40, 70, columns}));
  jobs.push_back(gemm_job(random, {type, Epilogue::add, 33, 65, columns}));
  return jobs;
}

}  // namespace

std::vector<Job> selftest_jobs() {
  Random random(1);
  std::vector<Job> jobs;
  for (u32 type = 0; type < 7; ++type) {
    for (Job& job : typed_jobs(random, static_cast<WeightType>(type))) jobs.push_back(std::move(job));
  }
  for (const u32 head_size : {64u, 128u, 256u}) {
    const reference::AttentionShape model{.heads = 2, .kv_heads = 1, .head_size = head_size, .context = 280};
    jobs.push_back(attn_decode_job(random, {model, 2, 270}));
  }
  std::vector<Best> best(700);
  for (u32 i = 0; i < best.size(); ++i) best[i] = {static_cast<f32>(random() % 1000), i * 32};
  jobs.push_back(argmax_final_job(best, 5, 9));
  jobs.push_back(rmsnorm_f16_job(random, {.tokens = 2, .columns = 288}));
  jobs.push_back(swiglu_f16_job(random, {.tokens = 2, .columns = 96}));
  jobs.push_back(rope_kv_job(
      random, {.heads = 2, .kv_heads = 1, .head_size = 64, .context = 9, .first_position = 3, .tokens = 4}));
  for (const u32 head_size : {32u, 64u, 96u, 128u}) {
    jobs.push_back(attn_prefill_job(
        random, {.heads = 2, .kv_heads = 1, .head_size = head_size, .tokens = 20, .first_position = 7}));
  }
  return jobs;
}

}  // namespace amlm::test
