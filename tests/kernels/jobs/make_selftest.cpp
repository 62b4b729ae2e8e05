// Writes the cases of `amlm selftest` (tools/selftest_cases.h): one or two small shapes of every kernel, with the results
// of the strict executor, which the plain references must accept first.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/kernels/jobs/run_job.h"
#include "tests/kernels/jobs/selftest_jobs.h"

namespace amlm::test {

namespace {

using nlohmann::json;

json entry(const Job& job, const JobResult& result) {
  constexpr const char* elements[] = {"bytes", "f16", "f32"};
  json regions = json::array(), pointers = json::array();
  for (std::size_t i = 0; i < job.regions.size(); ++i) {
    const Region& region = job.regions[i];
    json one{{"label", region.label}, {"element", elements[static_cast<int>(region.element)]},
             {"bytes", json::binary(region.bytes)}};
    if (region.use != Use::input) one["after"] = json::binary(result.after[i]);
    regions.push_back(std::move(one));
  }
  for (const Job::Pointer& pointer : job.pointers) {
    pointers.push_back(json::array({pointer.arg_offset, pointer.region, pointer.offset}));
  }
  return {{"kernel", job.kernel}, {"shape", job.shape}, {"groups", job.groups}, {"args", json::binary(job.args)},
          {"pointers", std::move(pointers)}, {"regions", std::move(regions)}};
}

}  // namespace

int make_selftest(const char* path) {
  json cases = json::array();
  for (const Job& job : selftest_jobs()) {
    const JobResult result = run_job(job, {.mode = isa::Mode::strict, .seed = 1});
    if (!result.problem.empty()) {
      std::fprintf(stderr, "%s (%s): %s\n", job.kernel.c_str(), job.shape.c_str(), result.problem.c_str());
      return 1;
    }
    cases.push_back(entry(job, result));
  }
  const auto bytes = json::to_cbor(cases);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return file.good() ? 0 : 1;
}

}  // namespace amlm::test

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "make_selftest FILE\n");
    return 2;
  }
  return amlm::test::make_selftest(arguments[1]);
}
