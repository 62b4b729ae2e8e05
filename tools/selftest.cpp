// amlm selftest: every kernel against its expected results on the chosen device.
//
// The cases are made when amlm is built (tests/kernels/make_selftest): random inputs, and results that the plain
// references of tests/reference accept. They are in the binary; the references are not.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "kernels/kernels.h"
#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/selftest_cases.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

using nlohmann::json;

struct Options {
  std::string device, only;
  bool as_json = false;
};

struct Verdict {
  std::string kernel, shape, problem;      // problem empty: it holds
  f64 worst = 0;                           // largest error, relative to the region's largest value
};

// Floats may differ by this much of the region's largest value: the chip's exp and reciprocal are good to 1 ulp only, and
// an f16 result may round to its neighbour.
constexpr f64 tolerance = 2e-3;

f64 widen(u16 half) { return static_cast<f64>(std::bit_cast<_Float16>(half)); }

template <class T>
f64 element(std::span<const u8> bytes, u64 index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  if constexpr (sizeof(T) == 2) {
    return widen(value);
  } else {
    return static_cast<f64>(value);
  }
}

// Largest difference over largest expected magnitude; a NaN where the other is a number counts as infinite.
template <class T>
f64 worst_error(std::span<const u8> got, std::span<const u8> wanted) {
  f64 scale = 0, worst = 0;
  for (u64 i = 0; i < wanted.size() / sizeof(T); i++) {
    const f64 right = element<T>(wanted, i), ours = element<T>(got, i);
    if (std::memcmp(got.data() + i * sizeof(T), wanted.data() + i * sizeof(T), sizeof(T)) == 0) {
      if (std::isfinite(right)) scale = std::max(scale, std::abs(right));
      continue;
    }
    if (!std::isfinite(right) || !std::isfinite(ours)) return INFINITY;
    scale = std::max(scale, std::abs(right));
    worst = std::max(worst, std::abs(right - ours));
  }
  return worst == 0 ? 0 : worst / std::max(scale, 1e-30);
}

void compare_region(const json& region, std::span<const u8> got, Verdict& verdict) {
  const auto& wanted = region.at("after").get_binary();
  const std::string type = region.at("element");
  f64 error = 0;
  if (type == "f32") {
    error = worst_error<f32>(got, wanted);
  } else if (type == "f16") {
    error = worst_error<u16>(got, wanted);
  } else if (std::memcmp(got.data(), wanted.data(), wanted.size()) != 0) {
    error = INFINITY;
  }
  verdict.worst = std::max(verdict.worst, error);
  if (error > tolerance && verdict.problem.empty())
    verdict.problem = fmt::format("{} is wrong by {:.2g} of its largest value", region.at("label").get<std::string>(),
                                  error);
}

class Bench {
 public:
  static Result<Bench> create(Device& device) {
    Bench bench;
    bench.device_ = &device;
    bench.code_ = TRY(CodeObject::load(device, kernels::code_object(), "kernels"));
    bench.ib_ = TRY(bench.allocate(16384, "ib"));
    bench.kernarg_ = TRY(bench.allocate(4096, "kernarg"));
    bench.queue_ = std::make_unique<Queue>(TRY(Queue::create(device)));
    return bench;
  }

  // An Error only when the device itself does not work any more.
  Result<Verdict> run(const json& test) {
    Verdict verdict{.kernel = test.at("kernel"), .shape = test.at("shape"), .problem = "", .worst = 0};
    const Kernel* kernel = code_.find(verdict.kernel);
    if (kernel == nullptr) {
      verdict.problem = "the kernel is not in the code object";
      return verdict;
    }
    std::vector<Buffer> buffers;
    for (const auto& region : test.at("regions")) {
      const auto& bytes = region.at("bytes").get_binary();
      buffers.push_back(TRY(allocate(std::max<u64>(bytes.size(), 4), region.at("label"))));
      std::memcpy(buffers.back().data(), bytes.data(), bytes.size());
    }
    const auto& args = test.at("args").get_binary();
    std::memcpy(kernarg_.data(), args.data(), args.size());
    for (const auto& pointer : test.at("pointers")) {
      const u64 va = buffers[pointer[1].get<u64>()].va() + pointer[2].get<u64>();
      std::memcpy(kernarg_.data() + pointer[0].get<u64>(), &va, sizeof va);
    }
    IbBuilder ib(ib_);
    ib.begin();
    const auto& groups = test.at("groups");
    ib.dispatch({.kernel = kernel, .groups = {groups[0], groups[1], groups[2]}, .kernarg_va = kernarg_.va()});
    const BufferView view = ib.finish();
    const u64 point = TRY(queue_->submit(std::span(&view, 1)));
    if (auto done = queue_->wait(point); !done) {
      verdict.problem = done.error().sentence;
      TRY_VOID(queue_->recover());
      return verdict;
    }
    for (u64 i = 0; i < buffers.size(); i++) {
      const json& region = test.at("regions")[i];
      const auto& before = region.at("bytes").get_binary();
      const std::span<const u8> got(buffers[i].data(), before.size());
      if (region.contains("after")) {
        compare_region(region, got, verdict);
      } else if (std::memcmp(got.data(), before.data(), before.size()) != 0 && verdict.problem.empty()) {
        verdict.problem = fmt::format("{} was written: it is an input", region.at("label").get<std::string>());
      }
    }
    return verdict;
  }

  std::vector<std::string> kernel_names() const {
    std::vector<std::string> names;
    for (const auto& kernel : code_.kernels()) names.push_back(kernel.name);
    return names;
  }

 private:
  Result<Buffer> allocate(u64 size_bytes, std::string label) {
    return device_->allocate({.size_bytes = size_bytes, .use = MemoryUse::shared, .label = std::move(label),
                              .alignment_bytes = 0});
  }

  Device* device_ = nullptr;
  CodeObject code_;
  Buffer ib_, kernarg_;
  std::unique_ptr<Queue> queue_;
};

void print_verdict(const Verdict& verdict) {
  std::printf("%-24s %-44s %s", verdict.kernel.c_str(), verdict.shape.c_str(), verdict.problem.empty() ? "ok" : "FAILED");
  if (verdict.problem.empty()) {
    std::printf("   %.1e\n", verdict.worst);
  } else {
    std::printf("   %s\n", verdict.problem.c_str());
  }
  std::fflush(stdout);
}

Result<int> run(const Options& options, const Invocation& invocation) {
  auto device = TRY(open_device(options.device, invocation));
  Bench bench = TRY(Bench::create(*device));
  const auto bytes = selftest_cases();
  const json cases = json::from_cbor(bytes.begin(), bytes.end());
  std::set<std::string> untested;
  for (auto& name : bench.kernel_names()) untested.insert(name);
  if (std::ranges::none_of(untested, [&](const auto& name) { return name.starts_with(options.only); }))
    return fail(ErrorCode::usage, fmt::format("--kernel {}: no kernel's name starts so; `amlm disasm --list` shows all",
                                              options.only));
  json rows = json::array();
  u32 held = 0, failed = 0;
  for (const auto& test : cases) {
    const std::string kernel = test.at("kernel");
    untested.erase(kernel);
    if (!options.only.empty() && !kernel.starts_with(options.only)) continue;
    if (interrupted()) return fail(ErrorCode::interrupted, "interrupted");
    const Verdict verdict = TRY(bench.run(test));
    (verdict.problem.empty() ? held : failed)++;
    if (options.as_json) {
      rows.push_back({{"kernel", verdict.kernel}, {"shape", verdict.shape}, {"holds", verdict.problem.empty()},
                      {"worst", verdict.worst}, {"problem", verdict.problem}});
    } else {
      print_verdict(verdict);
    }
  }
  if (options.only.empty()) failed += static_cast<u32>(untested.size());
  for (const auto& name : untested)
    if (options.only.empty()) std::fprintf(stderr, "amlm: kernel %s has no case\n", name.c_str());
  const DeviceFacts& facts = device->facts();
  if (options.as_json) {
    std::printf("%s\n", json{{"device", {{"name", facts.marketing_name}, {"virtual", facts.is_virtual}}}, {"cases", rows},
                             {"held", held}, {"failed", failed}}.dump(2).c_str());
  } else {
    std::printf("%u hold, %u do not, on %s%s\n", held, failed, facts.marketing_name.c_str(),
                facts.is_virtual ? " (virtual)" : "");
  }
  return failed == 0 && held != 0 ? 0 : static_cast<int>(ErrorCode::failed);
}

}  // namespace

void add_selftest(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("selftest", "Every kernel against its expected results on the device");
  auto options = std::make_shared<Options>();
  add_device_option(*command, options->device);
  command->add_option("--kernel", options->only, "only kernels whose name starts so");
  command->add_flag("--json", options->as_json, "one JSON object");
  command->callback([options, &invocation] {
    catch_interrupts();
    auto done = run(*options, invocation);
    invocation.exit_code = done ? *done : report(done.error());
  });
}

}  // namespace amlm::tools
