// Every wait and barrier of every decode kernel is needed: without it one of these jobs, which together run all of the
// kernel's code, must fault or come out wrong.
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/kernels/jobs/decode_jobs.h"
#include "tests/kernels/jobs/run_job.h"

namespace amlm::test {

namespace {

using kernels::WeightType;
using reference::Fill;

constexpr WeightType all_types[] = {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0,
                                    WeightType::q4_0, WeightType::q4_k, WeightType::q6_k};

u32 mutants = 0;

void each_wait_counts(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    INFO(job.kernel << " (" << job.shape << ")");
    REQUIRE(run_job(job, {}).problem == "");
  }
  for (const Wait& wait : waits_of(jobs[0].kernel)) {
    bool caught = false;
    for (const Job& job : jobs) caught = caught || !run_without(job, wait).problem.empty();
    INFO(jobs[0].kernel << "+" << wait.offset_bytes << " without " << wait.text << ", AMLM_TEST_SEED=" << job_seed());
    CHECK(caught);
    ++mutants;
  }
}

// A chunk of columns and more, with a tail: loop, last iteration, tail, second chunk; and one chunk with a tail.
template <class Make>
void each_type(Make make) {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    const u32 tail = type == WeightType::q4_k || type == WeightType::q6_k ? 256 : 32;
    each_wait_counts({make(random, MatrixShape{type, 33, 3072 + tail, Fill::typical}),
                      make(random, MatrixShape{type, 5, 512 + tail, Fill::typical})});
  }
}

}  // namespace

TEST_CASE("waits of the gemvs", "[mutants]") {
  mutants = 0;
  each_type(down_job);
  each_type(gate_up_job);
  each_type(logits_job);
  each_type([](Random& random, const MatrixShape& shape) {
    const u32 head_size = shape.columns % 256 == 0 ? 256 : 32;
    const DecodeAttentionShape attention{
        {.heads = shape.columns / head_size, .kv_heads = 1, .head_size = head_size, .context = 2048}, 5, 1100};
    return attn_out_job(random, shape, attention);
  });
  each_type([](Random& random, const MatrixShape& shape) {
    return qkv_job(random, {.type = shape.type, .columns = shape.columns, .heads = 2, .kv_heads = 1, .head_size = 64,
                            .context = 3, .position = 2});
  });
  std::printf("%u waits and barriers of the gemvs\n", mutants);
}

TEST_CASE("waits of the other decode kernels", "[mutants]") {
  mutants = 0;
  Random random(job_seed());
  for (const WeightType type : all_types) each_wait_counts({embed_job(random, {type, 3, 512, Fill::typical}, {1, 2})});
  std::vector<Job> attention;
  for (const u32 head_size : {64u, 128u, 256u}) {
    const reference::AttentionShape model{.heads = 2, .kv_heads = 1, .head_size = head_size, .context = 512};
    attention.push_back(attn_decode_job(random, {model, 2, 400}));
    attention.push_back(attn_decode_job(random, {model, 2, 0}));
  }
  each_wait_counts(attention);
  std::vector<Best> best(5000);
  for (u32 i = 0; i < best.size(); ++i) best[i] = {static_cast<f32>(random() % 1000000), i};
  each_wait_counts({argmax_final_job(best, 5, 9)});
  std::printf("%u waits and barriers of embed, attn_decode and argmax_final\n", mutants);
}

}  // namespace amlm::test
