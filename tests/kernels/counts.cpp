// What the kernels execute must not grow unseen: instructions of each job of `amlm selftest`, by class, against
// counts.txt. A twentieth is let pass.
// After a change that is meant: kernel_counts > tests/kernels/counts.txt
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/kernels/jobs/run_job.h"
#include "tests/kernels/jobs/selftest_jobs.h"

namespace amlm::test {

namespace {

// "kernel, shape" -> the line of its counts.
std::map<std::string, std::string> read_counts(const char* path) {
  std::map<std::string, std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (colon != std::string::npos) out[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return out;
}

std::string counts_of(const Job& job) {
  const JobResult result = run_job(job, {.mode = isa::Mode::strict, .seed = 1});
  if (!result.problem.empty()) return result.problem;
  const isa::Counters& c = result.counters;
  return fmt::format(
      "waves {} instructions {} valu {} vopd {} dot {} trans {} wmma {} salu {} smem {} load {} store {} "
      "lds {} barrier {} lines {}",
      c.waves, c.instructions, c.valu, c.vopd, c.dot, c.trans, c.wmma, c.salu, c.smem, c.vmem_load, c.vmem_store, c.lds,
      c.barrier, c.cache_lines);
}

int print_counts() {
  for (const Job& job : selftest_jobs())
    std::printf("%s, %s: %s\n", job.kernel.c_str(), job.shape.c_str(), counts_of(job).c_str());
  return 0;
}

// The classes that grew by more than a twentieth, "" when none did.
std::string grown(const std::string& was, const std::string& is) {
  std::istringstream before(was), now(is);
  std::string name, same, out;
  for (u64 old = 0, count = 0; before >> name >> old && now >> same >> count && name == same;) {
    if (count > old + old / 20) out += fmt::format(" {} {} to {}", name, old, count);
  }
  return name == same ? out : " other classes are counted";
}

int check_counts(const char* path) {
  const auto stored = read_counts(path);
  u32 differences = 0;
  for (const Job& job : selftest_jobs()) {
    const std::string key = job.kernel + ", " + job.shape;
    const auto found = stored.find(key);
    const std::string growth = found == stored.end() ? " not in the list" : grown(found->second, counts_of(job));
    if (growth.empty()) continue;
    std::printf("%s:%s\n", key.c_str(), growth.c_str());
    ++differences;
  }
  if (differences) std::printf("%u grew; if that is meant: kernel_counts > tests/kernels/counts.txt\n", differences);
  return differences ? 1 : 0;
}

}  // namespace

}  // namespace amlm::test

int main(int count, char** arguments) {
  return count == 2 ? amlm::test::check_counts(arguments[1]) : amlm::test::print_counts();
}
