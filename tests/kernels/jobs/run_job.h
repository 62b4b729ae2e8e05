// Runs a Job on the executor: each region is a mapping that ends with its data, with nothing around it, readable or
// writable as the job says.
#pragma once

#include "isa/run.h"
#include "tests/kernels/jobs/job.h"

namespace amlm::test {

struct JobResult {
  std::string problem;                            // "" = right
  isa::Counters counters;
  std::vector<std::vector<u8>> after;             // the regions
};

JobResult run_job(const Job& job, const isa::RunOptions& options);

// An s_waitcnt or s_barrier of a kernel.
struct Wait { u32 offset_bytes = 0; std::string text; };
std::vector<Wait> waits_of(const std::string& kernel);
// The job with that instruction replaced by s_nop.
JobResult run_without(const Job& job, const Wait& wait);

// AMLM_TEST_SEED, else 1: what random tests start from, and print when they fail.
u64 job_seed();

}  // namespace amlm::test
