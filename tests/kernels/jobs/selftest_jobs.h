// One or two small jobs of every kernel: the cases of `amlm selftest`, and those whose instructions are counted.
#pragma once

#include <vector>

#include "tests/kernels/jobs/job.h"

namespace amlm::test {

std::vector<Job> selftest_jobs();

}  // namespace amlm::test
