// amlm vgpu -- COMMAND: any program on the virtual gfx1151.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  VirtualOptions vgpu{.mode = "strict"};
  std::vector<std::string> command;
};

// Before the program runs: a place where nothing can be written would be noticed at its end.
Result<void> check_writable(const std::string& path) {
  if (path.empty()) return {};
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return fail(ErrorCode::file, fmt::format("{} cannot be written: {}", path, std::strerror(errno)), errno);
  close(fd);
  return {};
}

Error run_under_virtual(Options& options) {
  for (const auto* file : {&options.vgpu.faults_file, &options.vgpu.counters_file})
    if (auto writable = check_writable(*file); !writable) return writable.error();
  std::vector<char*> arguments;
  for (auto& word : options.command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  setenv("AMLM_VGPU_MODE", options.vgpu.mode.c_str(), 1);
  return exec_under_virtual(arguments.data(), options.vgpu);
}

}  // namespace

void add_vgpu(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("vgpu", "Runs a program on the virtual gfx1151: amlm vgpu [options] -- COMMAND ...");
  auto options = std::make_shared<Options>();
  command->add_option("--mode", options->vgpu.mode, "strict: every rule is checked; fast: results only")
      ->check(CLI::IsMember({"strict", "fast"}))->default_val("strict");
  command->add_option("--seed", options->vgpu.seed, "order of workgroups and waves, contents of poison");
  command->add_option("--gtt", options->vgpu.gtt_mib, "size of GTT in MiB");
  command->add_option("--vram", options->vgpu.vram_mib, "size of VRAM in MiB");
  command->add_option("--job-timeout", options->vgpu.job_timeout_ms, "the kernel's job timeout in virtual milliseconds");
  command->add_option("--faults", options->vgpu.faults_file, "write each fault as a JSON line to this file");
  command->add_option("--counters", options->vgpu.counters_file, "write instruction counts as JSON to this file at exit");
  command->add_option("--record", options->vgpu.record_file, "answer like the machine recorded by amlm info --record");
  auto* inject = command->add_option("--inject", options->vgpu.inject,
                                     "a fault script: \"CS nth 3: fail ENOMEM; JOB nth 5: hang\"");
  command->add_option_function<std::string>("--fault-script", [options](const std::string& file) {
    options->vgpu.inject = "@" + file;
  }, "a fault script from this file")->excludes(inject);
  command->add_option("command", options->command, "the program and its arguments")->required();
  command->positionals_at_end();
  command->callback([options, &invocation] { invocation.exit_code = report(run_under_virtual(*options)); });
}

}  // namespace amlm::tools
