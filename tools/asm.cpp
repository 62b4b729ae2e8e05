// amlm asm: assembles a kernel, shows what it takes of the chip, and runs it with buffers: a bench for one kernel
// that needs neither ROCm nor, on the virtual gfx1151, the chip.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "tools/asm_arguments.h"
#include "tools/asm_report.h"
#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/program.h"
#include "tools/terminal.h"
#include "tools/virtual_counters.h"

namespace amlm::tools {

namespace {

struct Options {
  std::string file, kernel, device, grid = "1", group, output;
  std::vector<std::string> arguments, dumps;
  u32 repeat = 1;
  bool run = false;
};

Result<std::vector<u8>> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", path, std::strerror(errno)), errno);
  return std::vector<u8>(std::istreambuf_iterator<char>(file), {});
}

// A folder that goes away with everything in it.
struct TemporaryFolder {
  std::string path = "/tmp/amlm-asm-XXXXXX";
  bool made = mkdtemp(path.data()) != nullptr;
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (made) std::filesystem::remove_all(path, error);
  }
};

Result<void> run_or_fail(const std::vector<std::string>& command) {
  const Finished finished = TRY(run_program(command));
  if (finished.exit_code != 0)
    return fail(ErrorCode::failed, fmt::format("{} refused the source:\n{}", command[0], finished.output));
  return {};
}

Result<std::vector<u8>> assemble(const Options& options) {
  if (!options.file.ends_with(".s")) return read_file(options.file);
  const std::string assembler = TRY(find_llvm_program({"llvm-mc-19", "llvm-mc"}));
  const std::string linker = TRY(find_llvm_program({"ld.lld-19", "ld.lld"}));
  if (access(options.file.c_str(), R_OK) != 0)
    return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", options.file, std::strerror(errno)), errno);
  TemporaryFolder folder;
  if (!folder.made) return fail(ErrorCode::file, "no temporary folder in /tmp", errno);
  const std::string object = folder.path + "/kernel.o", linked = folder.path + "/kernel.co";
  const std::string beside = std::filesystem::path(options.file).parent_path().string();
  TRY_VOID(run_or_fail({assembler, "-triple=amdgcn-amd-amdhsa", "-mcpu=gfx1151", "-mattr=+wavefrontsize32", "-filetype=obj",
                        "-I" + (beside.empty() ? "." : beside), "-o", object, options.file}));
  TRY_VOID(run_or_fail({linker, "-shared", "-o", linked, object}));
  return read_file(linked);
}

struct Launch {
  std::vector<Buffer> buffers;      // of the buf arguments, in order
  Buffer kernarg, ib;
};

Result<Launch> prepare(Device& device, const Options& options) {
  Launch launch;
  launch.kernarg = TRY(device.allocate({.size_bytes = 4096, .use = MemoryUse::shared, .label = "kernarg", .alignment_bytes = 0}));
  launch.ib = TRY(device.allocate({.size_bytes = 65536, .use = MemoryUse::shared, .label = "ib", .alignment_bytes = 0}));
  u32 offset = 0;
  for (const auto& text : options.arguments) {
    const KernelArgument argument = TRY(parse_kernel_argument(text));
    offset = (offset + argument.size_bytes - 1) / argument.size_bytes * argument.size_bytes;
    if (offset + argument.size_bytes > 4096) return fail(ErrorCode::usage, "more than 4096 bytes of arguments");
    u64 bits = argument.bits;
    if (argument.kind == KernelArgument::Kind::buffer) {
      launch.buffers.push_back(TRY(device.allocate({.size_bytes = argument.buffer_bytes, .use = MemoryUse::shared,
                                                    .label = fmt::format("buffer {}", launch.buffers.size()),
                                                    .alignment_bytes = 0})));
      Buffer& buffer = launch.buffers.back();
      std::memset(buffer.data(), 0, argument.buffer_bytes);
      std::memcpy(buffer.data(), argument.contents.data(), argument.contents.size());
      bits = buffer.va();
    }
    std::memcpy(launch.kernarg.data() + offset, &bits, argument.size_bytes);
    offset += argument.size_bytes;
  }
  return launch;
}

Result<void> dump_buffers(const Options& options, const Launch& launch) {
  for (const auto& dump : options.dumps) {
    const auto colon = dump.find(':');
    char* end = nullptr;
    const u64 index = std::strtoull(dump.c_str(), &end, 10);
    if (colon == std::string::npos || end != dump.c_str() + colon || index >= launch.buffers.size())
      return fail(ErrorCode::usage, fmt::format("--dump {}: write N:FILE with N one of the {} buffers, from 0", dump,
                                                launch.buffers.size()));
    const std::string path = dump.substr(colon + 1);
    const Buffer& buffer = launch.buffers[index];
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(buffer.data()), static_cast<std::streamsize>(buffer.size_bytes()));
    if (!file.flush()) return fail(ErrorCode::file, fmt::format("{} cannot be written", path), errno);
  }
  return {};
}

Result<void> launch_kernel(const Options& options, const Invocation& invocation, std::span<const u8> elf) {
  auto device = TRY(open_device(options.device, invocation, {.mode = "strict"}));
  const CodeObject code = TRY(CodeObject::load(*device, elf, options.file));
  const Kernel* kernel = options.kernel.empty() && !code.kernels().empty() ? &code.kernels()[0] : code.find(options.kernel);
  if (kernel == nullptr) return fail(ErrorCode::usage, fmt::format("{} has no kernel named {}", options.file, options.kernel));
  DispatchCall call{.kernel = kernel};
  call.groups = TRY(parse_triple(options.grid, "--grid"));
  if (!options.group.empty()) call.group_lanes = TRY(parse_triple(options.group, "--group"));
  if (call.group_lanes[0] == 0 && kernel->group_lanes == 0)
    return fail(ErrorCode::usage, "the code object does not say how many lanes a workgroup has: add --group X,Y,Z");
  Launch launch = TRY(prepare(*device, options));
  call.kernarg_va = launch.kernarg.va();
  IbBuilder ib(launch.ib);
  ib.begin();
  ib.dispatch(call);
  const BufferView view = ib.finish();
  Queue queue = TRY(Queue::create(*device));
  std::vector<f64> times_us;
  for (u32 i = 0; i < options.repeat && !interrupted(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    TRY_VOID(queue.wait(TRY(queue.submit(std::span(&view, 1)))));
    times_us.push_back(std::chrono::duration<f64, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  TRY_VOID(dump_buffers(options, launch));
  std::ranges::sort(times_us);
  std::printf("ran %zu times on %s%s: submit to completion %.1f us median, %.1f us at best\n", times_us.size(),
              device->facts().marketing_name.c_str(), device->facts().is_virtual ? " (virtual: host time)" : "",
              times_us[times_us.size() / 2], times_us[0]);
  if (const auto counts = read_virtual_counters(); !counts.is_null()) {
    std::printf("counted:");
    for (const auto& [name, value] : counts.items())
      if (value.is_number() && value.get<f64>() != 0)
        std::printf(" %s %.0f", name.c_str(), value.get<f64>() / static_cast<f64>(times_us.size()));
    std::printf("   (a run)\n");
  }
  return {};
}

Result<void> assemble_and_run(const Options& options, const Invocation& invocation) {
  const std::vector<u8> elf = TRY(assemble(options));
  if (!under_virtual() || !options.run) std::printf("%s", TRY(static_report(elf)).c_str());
  if (!options.output.empty()) {
    std::ofstream file(options.output, std::ios::binary);
    file.write(reinterpret_cast<const char*>(elf.data()), static_cast<std::streamsize>(elf.size()));
    if (!file.flush()) return fail(ErrorCode::file, fmt::format("{} cannot be written", options.output), errno);
  }
  std::fflush(stdout);
  return options.run ? launch_kernel(options, invocation, elf) : Result<void>();
}

}  // namespace

void add_asm(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("asm", "Assembles a kernel, shows what it takes of the chip, and runs it");
  auto options = std::make_shared<Options>();
  command->add_option("file", options->file, "assembly (.s) or a code object")->required();
  command->add_option("--kernel", options->kernel, "which kernel; the first when left out");
  command->add_option("-o,--output", options->output, "keep the code object")->type_name("FILE");
  command->add_flag("--run", options->run, "run it");
  command->add_option("--grid", options->grid, "workgroups X,Y,Z")->default_val("1,1,1");
  command->add_option("--group", options->group, "lanes of a workgroup X,Y,Z; the kernel's own when left out");
  command->add_option("--arg", options->arguments, "u32:7 i32:-1 f32:1.5 f16:0.5 u64:9 buf:BYTES[=FILE|random|iota], in order");
  command->add_option("--dump", options->dumps, "N:FILE: write buffer N there afterwards");
  command->add_option("--repeat", options->repeat, "submissions")->default_val(1)->check(CLI::Range(1, 1000000));
  add_device_option(*command, options->device);
  command->callback([options, &invocation] {
    catch_interrupts();
    auto done = assemble_and_run(*options, invocation);
    invocation.exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace amlm::tools
