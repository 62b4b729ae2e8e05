// Every pointer that a kernel gets, moved past its buffer or only as far as its last byte: the strict executor must say so.
// The cases are those of `amlm selftest`, which cover all kernels.
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/kernels/jobs/run_job.h"
#include "tests/kernels/jobs/selftest_jobs.h"

namespace amlm::test {

TEST_CASE("an address moved out of its buffer is caught", "[mutants]") {
  u32 planted = 0, caught = 0;
  for (const Job& job : selftest_jobs()) {
    REQUIRE(run_job(job, {.mode = isa::Mode::strict, .seed = 1}).problem == "");
    for (std::size_t i = 0; i < job.pointers.size(); ++i) {
      const u64 size_bytes = job.regions[job.pointers[i].region].bytes.size();
      if (size_bytes == 0) continue;      // a plane that this type does not have
      // Past the end, before the start, and so that the last access runs one dword over the end.
      for (const u64 moved_by : {size_bytes, u64{0} - 256, u64{4}}) {
        Job mutant = job;
        mutant.pointers[i].offset += moved_by;
        const std::string problem = run_job(mutant, {.mode = isa::Mode::strict, .seed = 1}).problem;
        INFO(job.kernel << " (" << job.shape << "), argument at " << job.pointers[i].arg_offset << " moved by "
                        << static_cast<i64>(moved_by) << ": " << problem);
        CHECK(problem != "");
        ++planted;
        caught += !problem.empty();
      }
    }
  }
  std::printf("%u of %u moved addresses caught\n", caught, planted);
  CHECK(planted > 500);
}

}  // namespace amlm::test
