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

// Each stands for a variable of driver/virtual/README.md; the variables alone serve `--device virtual` too.
enum class Kind { value, output, flag };
struct Setting { const char *option, *variable; Kind kind; const char *type, *help; };
constexpr Setting settings[] = {
    {"--mode", "AMLM_VGPU_MODE", Kind::value, "MODE", "strict (default): every rule is checked; fast: results only"},
    {"--seed", "AMLM_VGPU_SEED", Kind::value, "N", "order of workgroups and waves, contents of poison, chance of faults"},
    {"--threads", "AMLM_VGPU_THREADS", Kind::value, "N", "host threads; 0 = all cores"},
    {"--gtt", "AMLM_VGPU_GTT_MIB", Kind::value, "MIB", "size of GTT"},
    {"--vram", "AMLM_VGPU_VRAM_MIB", Kind::value, "MIB", "size of VRAM"},
    {"--rings", "AMLM_VGPU_RINGS", Kind::value, "LIST", "rings to show: compute,gfx,sdma; compute alone when left out"},
    {"--kernel", "AMLM_VGPU_KERNEL", Kind::value, "VERSION", "kernel to pretend: 6.12, 6.17 or 7.3"},
    {"--firmware", "AMLM_VGPU_FIRMWARE", Kind::value, "LIST", "firmware versions to pretend: mes=0x83,mec=24"},
    {"--job-timeout", "AMLM_VGPU_JOB_TIMEOUT_MS", Kind::value, "MS", "job timeout in virtual milliseconds, or never"},
    {"--record", "AMLM_VGPU_RECORD", Kind::value, "FILE", "answer like the machine recorded by amlm info --record"},
    {"--faults", "AMLM_VGPU_FAULTS", Kind::output, "FILE", "write each fault as a JSON line to this file"},
    {"--counters", "AMLM_VGPU_COUNTERS", Kind::output, "FILE", "write instruction counts as JSON to this file at exit"},
    {"--trace", "AMLM_VGPU_TRACE", Kind::output, "FILE", "write each dispatch as a trace event to this file"},
    {"--primary", "AMLM_VGPU_PRIMARY", Kind::flag, "", "there is a /dev/dri/card0 too"},
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
  for (const auto& [name, value] : options.vgpu.variables)
    for (const Setting& setting : settings)
      if (setting.kind == Kind::output && name == setting.variable)
        if (auto writable = check_writable(value); !writable) return writable.error();
  std::vector<char*> arguments;
  for (auto& word : options.command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  return exec_under_virtual(arguments.data(), options.vgpu);
}

}  // namespace

void add_vgpu(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("vgpu", "Runs a program on the virtual gfx1151: amlm vgpu [options] -- COMMAND ...");
  auto options = std::make_shared<Options>();
  const auto set = [options](const char* variable) {
    return [options, variable](const std::string& value) { options->vgpu.variables.emplace_back(variable, value); };
  };
  for (const Setting& setting : settings) {
    if (setting.kind == Kind::flag) {
      command->add_flag_callback(setting.option, [=] { set(setting.variable)("1"); }, setting.help);
      continue;
    }
    command->add_option_function<std::string>(setting.option, set(setting.variable), setting.help)->type_name(setting.type);
  }
  auto* inject = command->add_option_function<std::string>("--inject", set("AMLM_VGPU_INJECT"),
                                                           "a fault script: \"CS nth 3: fail ENOMEM; JOB nth 5: hang\"");
  command->add_option_function<std::string>("--fault-script", [set](const std::string& file) {
    set("AMLM_VGPU_INJECT")("@" + file);
  }, "a fault script from this file")->type_name("FILE")->excludes(inject);
  command->add_option("command", options->command, "the program and its arguments")->required();
  command->positionals_at_end();
  command->callback([options, &invocation] { invocation.exit_code = report(run_under_virtual(*options)); });
}

}  // namespace amlm::tools
