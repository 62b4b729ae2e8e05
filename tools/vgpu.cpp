// amlm vgpu -- COMMAND: any program on the virtual gfx1151.
#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  VirtualOptions vgpu{.mode = "strict"};
  std::vector<std::string> command;
};

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
  command->add_option("--inject", options->vgpu.inject, "fail ioctls on demand: ioctl=CS,nth=3,errno=ENOMEM;...");
  command->add_option("command", options->command, "the program and its arguments")->required();
  command->positionals_at_end();
  command->callback([options, &invocation] {
    std::vector<char*> arguments;
    for (auto& word : options->command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    setenv("AMLM_VGPU_MODE", options->vgpu.mode.c_str(), 1);
    invocation.exit_code = report(exec_under_virtual(arguments.data(), options->vgpu));
  });
}

}  // namespace amlm::tools
