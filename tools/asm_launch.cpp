#include "tools/asm_launch.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "tools/asm_arguments.h"
#include "tools/asm_report.h"
#include "tools/device_choice.h"
#include "tools/files.h"
#include "tools/terminal.h"
#include "tools/virtual_counters.h"

namespace amlm::tools {

namespace {

constexpr u64 kernarg_limit_bytes = 4096, ib_bytes = 4096;

u64 align(u64 bytes, u64 alignment_bytes) { return (bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes; }

struct Dump { std::size_t buffer = 0; std::string file; };

// Everything that can be wrong with the command line is found before a device is opened.
struct Plan {
  std::string kernel;
  std::array<u32, 3> groups{}, group_lanes{};
  std::vector<KernelArgument> arguments;
  std::vector<Dump> dumps;
};

Result<Kernel> choose_kernel(const LaunchRequest& request, std::span<const u8> elf) {
  const CodeImage image = TRY(parse_code_object(elf));
  for (const auto& [name, why] : image.refused)
    if (name == request.kernel) return std::unexpected(why);
  std::string names;
  for (const auto& kernel : image.kernels) {
    if (kernel.name == request.kernel) return kernel;
    names += (names.empty() ? "" : ", ") + kernel.name;
  }
  if (!request.kernel.empty())
    return fail(ErrorCode::usage, fmt::format("{} has no kernel named {}; it has {}", request.file, request.kernel, names));
  if (image.kernels.empty()) return std::unexpected(image.refused.front().second);
  if (image.kernels.size() != 1)
    return fail(ErrorCode::usage, fmt::format("{} has several kernels: add --kernel with one of {}", request.file, names));
  return image.kernels[0];
}

Result<void> check_group(const std::array<u32, 3>& lanes) {
  constexpr u64 most = 1024;
  if (lanes[0] > most || lanes[1] > most || lanes[2] > most || u64(lanes[0]) * lanes[1] * lanes[2] > most)
    return fail(ErrorCode::usage, fmt::format("--group {},{},{}: a workgroup has at most {} lanes", lanes[0], lanes[1],
                                              lanes[2], most));
  return {};
}

Result<void> plan_arguments(const LaunchRequest& request, const Kernel& kernel, Plan& plan) {
  u64 bytes = 0;
  std::size_t buffers = 0;
  for (const auto& text : request.arguments) {
    plan.arguments.push_back(TRY(parse_kernel_argument(text)));
    const KernelArgument& argument = plan.arguments.back();
    bytes = align(bytes, argument.alignment_bytes) + argument.size_bytes;
    buffers += argument.kind == KernelArgument::Kind::buffer;
  }
  if (bytes > kernarg_limit_bytes || align(bytes, 8) != align(kernel.kernarg_bytes, 8))
    return fail(ErrorCode::usage, fmt::format("{} takes {} bytes of arguments; the --arg options make {}{}", kernel.name,
                                              kernel.kernarg_bytes, bytes, bytes < kernel.kernarg_bytes ?
                                              " (--arg zero:BYTES stands for what it does not read)" : ""));
  for (const auto& dump : request.dumps) {
    const auto colon = dump.find(':');
    char* end = nullptr;
    const u64 index = std::strtoull(dump.c_str(), &end, 10);
    if (colon == std::string::npos || colon == 0 || end != dump.c_str() + colon || index >= buffers)
      return fail(ErrorCode::usage, fmt::format("--dump {}: write N:FILE, with N one of the {} buffers, counted from 0",
                                                dump, buffers));
    plan.dumps.push_back({index, dump.substr(colon + 1)});
  }
  return {};
}

Result<Plan> make_plan(const LaunchRequest& request, std::span<const u8> elf) {
  const Kernel kernel = TRY(choose_kernel(request, elf));
  Plan plan{.kernel = kernel.name};
  plan.groups = TRY(parse_triple(request.grid, "--grid"));
  plan.group_lanes = {kernel.group_lanes, 1, 1};
  if (!request.group.empty()) plan.group_lanes = TRY(parse_triple(request.group, "--group"));
  if (plan.group_lanes[0] == 0)
    return fail(ErrorCode::usage, fmt::format("{} does not say how many lanes a workgroup of {} has: add --group X,Y,Z",
                                              request.file, kernel.name));
  TRY_VOID(check_group(plan.group_lanes));
  TRY_VOID(plan_arguments(request, kernel, plan));
  return plan;
}

struct Memory {
  std::vector<Buffer> buffers;      // of the buf arguments, in order
  Buffer kernarg, ib, stamps;
  std::optional<Buffer> scratch;
};

Result<Buffer> allocate(Device& device, u64 size_bytes, std::string label) {
  Buffer buffer = TRY(device.allocate({.size_bytes = size_bytes, .use = MemoryUse::shared, .label = std::move(label)}));
  std::memset(buffer.data(), 0, size_bytes);
  return buffer;
}

Result<Memory> prepare(Device& device, const Plan& plan, const Kernel& kernel) {
  Memory memory;
  if (const u64 bytes = scratch_bytes(kernel, device.facts()); bytes != 0)
    memory.scratch = TRY(device.allocate({.size_bytes = bytes, .use = MemoryUse::gpu_only, .label = "scratch"}));
  memory.kernarg = TRY(allocate(device, kernarg_limit_bytes, "kernarg"));
  memory.ib = TRY(allocate(device, ib_bytes, "ib"));
  memory.stamps = TRY(allocate(device, 4096, "timestamps"));
  u64 offset = 0;
  for (const auto& argument : plan.arguments) {
    offset = align(offset, argument.alignment_bytes);
    u64 bits = argument.bits;
    if (argument.kind == KernelArgument::Kind::buffer) {
      const std::string label = fmt::format("buffer {}", memory.buffers.size());
      memory.buffers.push_back(TRY(allocate(device, argument.buffer_bytes, label)));
      std::memcpy(memory.buffers.back().data(), argument.contents.data(), argument.contents.size());
      bits = memory.buffers.back().va();
    }
    std::memcpy(memory.kernarg.data() + offset, &bits, std::min<u64>(argument.size_bytes, sizeof bits));
    offset += argument.size_bytes;
  }
  return memory;
}

Result<void> dump_buffers(const Plan& plan, const Memory& memory) {
  for (const auto& [index, path] : plan.dumps) {
    const Buffer& buffer = memory.buffers[index];
    TRY_VOID(write_file(path, {buffer.data(), buffer.size_bytes()}));
  }
  return {};
}

void print_counts(const nlohmann::json& counts, std::size_t runs) {
  const auto of = [&](const char* name) { return counts.value(name, 0.0) / static_cast<f64>(runs); };
  const auto print = [&](const char* title, std::initializer_list<const char*> names) {
    std::printf("  %s:", title);
    for (const char* name : names) std::printf(" %s %.0f", name, of(name));
    std::printf("\n");
  };
  std::printf("counted, a run: %.0f waves, %.0f instructions\n", of("waves"), of("instructions"));
  print("vector", {"valu", "vopd", "trans", "dot", "wmma"});
  print("scalar", {"salu", "smem", "branch", "wait", "barrier", "other"});
  print("memory", {"vmem_load", "vmem_store", "atomic", "lds"});
  std::printf("  bytes: read %.0f, written %.0f, LDS %.0f; cache lines of 128 bytes: %.0f\n", of("global_read_bytes"),
              of("global_write_bytes"), of("lds_bytes"), of("cache_lines"));
}

// The last fault of the virtual GPU with its source line; "" when there is none, or it is no instruction's.
std::string describe_fault(const Kernel& kernel, std::span<const u8> elf, const SourceLines& lines) {
  using Read = std::size_t (*)(char* json, std::size_t size);                       // driver/virtual/hooks.h
  const auto read = reinterpret_cast<Read>(dlsym(RTLD_DEFAULT, "amlm_vgpu_last_fault"));
  if (read == nullptr) return {};
  std::string text(read(nullptr, 0) + 1, '\0');
  read(text.data(), text.size());
  const auto fault = nlohmann::json::parse(text.c_str(), nullptr, false);
  if (!fault.is_object()) return {};
  const u64 pc = std::strtoull(fault.value("pc", "0").c_str(), nullptr, 0);
  const std::string sentence = fault.value("sentence", "");
  if (pc < kernel.code_va) return "fault: " + sentence;
  const auto place = place_in_kernel(elf, lines, kernel.name, pc - kernel.code_va);
  return place ? fmt::format("fault at {}: {}", *place, sentence) : "fault: " + sentence;
}

struct Times { std::vector<f64> gpu_us, host_us; };

// Runs until all runs are done, one fails, or Ctrl-C.
Result<void> submit_all(Device& device, Queue& queue, const BufferView& ib, const Memory& memory, u32 repeat, Times& times) {
  for (u32 i = 0; i < repeat && !interrupted(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    const u64 point = TRY(queue.submit(std::span(&ib, 1)));
    TRY_VOID(queue.wait(point));
    times.host_us.push_back(std::chrono::duration<f64, std::micro>(std::chrono::steady_clock::now() - start).count());
    const u64 ticks = memory.stamps.as<u64>()[1] - memory.stamps.as<u64>()[0];
    times.gpu_us.push_back(static_cast<f64>(ticks) * 1e3 / static_cast<f64>(device.facts().counter_khz));
  }
  return {};
}

}  // namespace

Result<void> launch_kernel(const LaunchRequest& request, const Invocation& invocation, std::span<const u8> elf,
                           const SourceLines& lines) {
  const Plan plan = TRY(make_plan(request, elf));
  auto device = TRY(open_device(request.device, invocation, {.mode = "strict"}));
  const CodeObject code = TRY(CodeObject::load(*device, elf, request.file));
  const Kernel& kernel = *code.find(plan.kernel);
  const Memory memory = TRY(prepare(*device, plan, kernel));
  IbBuilder ib(memory.ib);
  ib.begin();
  ib.timestamp(memory.stamps.va());
  ib.dispatch({.kernel = &kernel, .groups = plan.groups, .group_lanes = plan.group_lanes,
               .kernarg_va = memory.kernarg.va(), .scratch = memory.scratch ? memory.scratch->view() : BufferView{}});
  ib.timestamp(memory.stamps.va() + 8);
  const BufferView view = ib.finish();
  Queue queue = TRY(Queue::create(*device));
  const auto before = read_virtual_counters();
  Times times;
  const auto done = submit_all(*device, queue, view, memory, request.repeat, times);
  const std::size_t runs = std::max<std::size_t>(times.gpu_us.size() + (done ? 0 : 1), 1);
  if (!times.gpu_us.empty()) {
    std::ranges::sort(times.gpu_us);
    std::ranges::sort(times.host_us);
    std::printf("ran %zu times on %s: %.2f us on the GPU%s in the median, %.2f at best; submit to completion %.0f us\n",
                times.gpu_us.size(), device->facts().marketing_name.c_str(), times.gpu_us[times.gpu_us.size() / 2],
                device->facts().is_virtual ? " (virtual, modelled)" : "", times.gpu_us[0],
                times.host_us[times.host_us.size() / 2]);
  }
  if (const auto counts = read_virtual_counters(); counts.is_object()) print_counts(subtract_counters(counts, before), runs);
  TRY_VOID(dump_buffers(plan, memory));
  if (done) return interrupted() ? fail(ErrorCode::interrupted, "interrupted") : Result<void>();
  const std::string fault = describe_fault(kernel, elf, lines);
  return fail(done.error().code, fault.empty() ? done.error().sentence : fault + "\n" + done.error().sentence,
              done.error().errno_value);
}

}  // namespace amlm::tools
