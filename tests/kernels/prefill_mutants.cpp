// Every wait and barrier of every prefill kernel is needed: without it one of these jobs, which together run all of the
// kernel's code, must fault or come out wrong.
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/kernels/jobs/prefill_jobs.h"
#include "tests/kernels/jobs/run_job.h"

namespace amlm::test {

namespace {

using kernels::WeightType;

u32 each_wait_counts(const Job& job) {
  INFO(job.kernel << " (" << job.shape << "), AMLM_TEST_SEED=" << job_seed());
  REQUIRE(run_job(job, {}).problem == "");
  const auto waits = waits_of(job.kernel);
  for (const Wait& wait : waits) {
    INFO("+" << wait.offset_bytes << " without " << wait.text);
    CHECK_FALSE(run_without(job, wait).problem.empty());
  }
  return static_cast<u32>(waits.size());
}

}  // namespace

TEST_CASE("waits of the prefill kernels", "[mutants]") {
  Random random(job_seed());
  u32 mutants = 0;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0, WeightType::q4_0,
                                WeightType::q4_k, WeightType::q6_k}) {
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::add})
      mutants += each_wait_counts(gemm_job(random, {type, epilogue, 40, 65, 256}));
  }
  for (const u32 size : {32u, 64u, 96u, 128u}) mutants += each_wait_counts(attn_prefill_job(random, {1, 1, size, 40, 70}));
  mutants += each_wait_counts(rmsnorm_f16_job(random, {2, 1028}));
  mutants += each_wait_counts(swiglu_f16_job(random, {2, 260}));
  mutants += each_wait_counts(rope_kv_job(random, {2, 1, 256, 6, 2, 4}));     // two passes, and waves without a head
  std::printf("%u waits and barriers of the prefill kernels\n", mutants);
}

}  // namespace amlm::test
