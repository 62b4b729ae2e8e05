#include "tests/kernels/jobs/run_job.h"

#include <cstdlib>

#include "driver/code_object.h"
#include "isa/tables.h"
#include "kernels/kernels.h"
#include "tests/seed.h"

namespace amlm::test {

namespace {

constexpr u64 code_va = 0x1000'0000, kernarg_va = 0x3000'0000, region_va = 0x7f00'0000'0000;

struct Loaded {
  CodeImage image;
  isa::Executor executor;
};

Loaded& loaded() {
  static Loaded* once = [] {
    auto image = parse_code_object(kernels::code_object());
    check(image.has_value(), "the kernels' code object");
    return new Loaded{std::move(*image), {}};
  }();
  return *once;
}

const Kernel* find(const std::string& name) {
  for (const Kernel& kernel : loaded().image.kernels) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

u8 access(Use use) {
  if (use == Use::input) return isa::access_read;
  return use == Use::output ? isa::access_write : isa::access_read | isa::access_write;
}

}  // namespace

JobResult run_job(const Job& job, const isa::RunOptions& options) {
  const Kernel* kernel = find(job.kernel);
  if (!kernel) return {"there is no kernel " + job.kernel, {}, {}};
  if (kernel->kernarg_bytes != job.args.size()) return {job.kernel + ": kernarg size", {}, {}};
  CodeImage& image = loaded().image;
  isa::AddressSpace space;
  space.insert({.va = code_va, .size_bytes = image.bytes.size(), .host = image.bytes.data(),
                .access = isa::access_read | isa::access_execute, .label = "code"});

  std::vector<std::vector<u8>> bytes;
  std::vector<std::vector<isa::ShadowDword>> shadows;
  std::vector<u64> vas;
  for (const Region& region : job.regions) {
    bytes.push_back(region.bytes);
    shadows.emplace_back((region.bytes.size() + 3) / 4);
  }
  u64 va = region_va;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    vas.push_back(va);
    if (bytes[i].empty()) continue;
    space.insert({.va = va, .size_bytes = bytes[i].size(), .host = bytes[i].data(), .shadow = shadows[i].data(),
                  .access = access(job.regions[i].use), .label = job.regions[i].label});
    va += (bytes[i].size() + 0x1ffff) & ~0xffffull;
  }
  std::vector<u8> args = job.args;
  for (const Job::Pointer& pointer : job.pointers) {
    const u64 value = vas[pointer.region] + pointer.offset;
    std::memcpy(args.data() + pointer.arg_offset, &value, 8);
  }
  space.insert({.va = kernarg_va,
                .size_bytes = args.size(),
                .host = args.data(),
                .access = isa::access_read,
                .label = "kernarg"});

  isa::Dispatch dispatch{
      .code_va = code_va + kernel->code_va,
      .groups = job.groups,
      .group_lanes = {kernel->group_lanes, 1, 1},
      .rsrc1 = kernel->rsrc1,
      .rsrc2 = (kernel->rsrc2 & ~(0x1ffu << 15)) | (kernel->lds_bytes + 511) / 512 << 15,
      .rsrc3 = kernel->rsrc3,
      .label = job.kernel,
  };
  dispatch.user_data[0] = static_cast<u32>(kernarg_va);
  const isa::RunReport report = loaded().executor.run(dispatch, space, {}, options);
  if (report.fault) return {report.fault->sentence, report.counters, {}};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (job.regions[i].use == Use::input && bytes[i] != job.regions[i].bytes)
      return {job.regions[i].label + " was written", {}, {}};
  }
  JobResult result{job.verify(bytes), report.counters, {}};
  result.after = std::move(bytes);
  return result;
}

std::vector<Wait> waits_of(const std::string& name) {
  const Kernel* kernel = find(name);
  check(kernel != nullptr, "no such kernel");
  const std::vector<u8>& image = loaded().image.bytes;
  std::vector<u32> words(kernel->code_bytes / 4);
  std::memcpy(words.data(), image.data() + kernel->code_va, words.size() * 4);
  std::vector<Wait> out;
  for (u32 at = 0; at < words.size();) {
    const auto instruction = isa::decode(std::span(words).subspan(at));
    check(instruction.has_value(), "a kernel that does not decode");
    const isa::Opcode opcode = instruction->opcode;
    if (opcode == isa::Opcode::s_waitcnt || opcode == isa::Opcode::s_barrier) {
      out.push_back({at * 4, isa::print(*instruction, at * 4)});
    }
    at += instruction->size_dw;
  }
  return out;
}

JobResult run_without(const Job& job, const Wait& wait) {
  constexpr u32 s_nop = 0xbf800000;
  u8* at = loaded().image.bytes.data() + find(job.kernel)->code_va + wait.offset_bytes;
  u32 word = 0;
  std::memcpy(&word, at, 4);
  std::memcpy(at, &s_nop, 4);
  loaded().executor.forget();
  JobResult result = run_job(job, {.mode = isa::Mode::strict, .seed = 1});
  std::memcpy(at, &word, 4);
  loaded().executor.forget();
  return result;
}

u64 job_seed() { return test_seed(1); }

}  // namespace amlm::test
