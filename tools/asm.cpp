// amlm asm: assembles a kernel, shows what it takes of the chip, and runs it with buffers: a bench for one kernel
// that needs neither ROCm nor, on the virtual gfx1151, the chip.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "tools/asm_launch.h"
#include "tools/asm_report.h"
#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/files.h"
#include "tools/program.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  LaunchRequest launch;
  std::string output;
  u32 wave_lanes = 32;
  bool run = false;
};

struct Assembled { std::vector<u8> elf; SourceLines lines; };

Result<void> run_or_fail(const std::vector<std::string>& command) {
  const Finished finished = TRY(run_program(command));
  if (finished.exit_code != 0)
    return fail(ErrorCode::failed, fmt::format("{} refused the source:\n{}", command[0], finished.output));
  return {};
}

Result<Assembled> assemble(const Options& options) {
  const std::string& source = options.launch.file;
  if (!source.ends_with(".s")) return Assembled{TRY(read_file(source)), read_source_lines(source)};
  const std::string assembler = TRY(find_llvm_program({"llvm-mc-19", "llvm-mc"}));
  const std::string linker = TRY(find_llvm_program({"ld.lld-19", "ld.lld"}));
  if (access(source.c_str(), R_OK) != 0)
    return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", source, std::strerror(errno)), errno);
  TemporaryFolder folder;
  if (folder.path.empty()) return fail(ErrorCode::file, "no temporary folder can be made", errno);
  const std::string object = folder.path + "/kernel.o", linked = folder.path + "/kernel.co";
  const std::string beside = std::filesystem::path(source).parent_path().string();
  TRY_VOID(run_or_fail({assembler, "-triple=amdgcn-amd-amdhsa", "-mcpu=gfx1151",
                        options.wave_lanes == 64 ? "-mattr=+wavefrontsize64,-wavefrontsize32" : "-mattr=+wavefrontsize32",
                        "-g", "-filetype=obj", "-I" + (beside.empty() ? "." : beside), "-o", object, source}));
  TRY_VOID(run_or_fail({linker, "-shared", "-o", linked, object}));
  return Assembled{TRY(read_file(linked)), read_source_lines(linked)};
}

Result<void> assemble_and_run(const Options& options, const Invocation& invocation) {
  // The virtual GPU must be below libdrm from the start: go there before anything is printed.
  if (options.run && options.launch.device == "virtual" && !under_virtual())
    TRY(open_device(options.launch.device, invocation, {.mode = "strict"}));
  const Assembled assembled = TRY(assemble(options));
  const StaticReport report = TRY(static_report(assembled.elf, assembled.lines, options.launch.kernel));
  std::printf("%s", report.text.c_str());
  std::fflush(stdout);
  if (!options.output.empty()) TRY_VOID(write_file(options.output, assembled.elf));
  if (options.run) TRY_VOID(launch_kernel(options.launch, invocation, assembled.elf, assembled.lines));
  if (report.findings != 0)
    return fail(ErrorCode::failed, fmt::format("{}: {} found by reading the code", options.launch.file,
                                               report.findings == 1 ? "1 mistake was" :
                                               fmt::format("{} mistakes were", report.findings)));
  return {};
}

}  // namespace

void add_asm(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("asm", "Assembles a kernel, shows what it takes of the chip, and runs it");
  auto options = std::make_shared<Options>();
  LaunchRequest& launch = options->launch;
  command->add_option("file", launch.file, "assembly (.s) or a code object")->required();
  command->add_option("--kernel", launch.kernel, "which kernel, when there are several");
  command->add_option("-o,--output", options->output, "keep the code object")->type_name("FILE");
  command->add_option("--wave", options->wave_lanes, "lanes of a wave, for the assembler")
      ->check(CLI::IsMember({32, 64}))->default_val(32);
  command->add_flag("--run", options->run, "run it");
  command->add_option("--grid", launch.grid, "workgroups X,Y,Z")->default_val("1,1,1");
  command->add_option("--group", launch.group, "lanes of a workgroup X,Y,Z; what NAME.group_lanes says when left out");
  command->add_option("--arg", launch.arguments, "an argument, in order: u32:7 i32:-1 f32:1.5 f16:0.5 u64:9 zero:BYTES "
                      "buf:BYTES[=FILE|random|iota|iota_f32]")->allow_extra_args(false);
  command->add_option("--dump", launch.dumps, "N:FILE: write buffer N there afterwards")->allow_extra_args(false);
  command->add_option("--repeat", launch.repeat, "submissions, on the same buffers")->default_val(1)
      ->check(CLI::Range(1, 1000000));
  add_device_option(*command, launch.device);
  command->callback([options, &invocation] {
    catch_interrupts();
    auto done = assemble_and_run(*options, invocation);
    invocation.exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace amlm::tools
