// Runs a Job on the executor: each region is a mapping that ends with its data, with nothing around it, readable or
// writable as the job says.
#pragma once

#include "isa/run.h"
#include "tests/kernels/job.h"

namespace amlm::test {

struct JobResult {
  std::string problem;                            // "" = right
  isa::Counters counters;
};

JobResult run_job(const Job& job, const isa::RunOptions& options);

// AMLM_TEST_SEED, else 1: what random tests start from, and print when they fail.
u64 job_seed();

}  // namespace amlm::test
