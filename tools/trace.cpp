// amlm trace: runs a program on the virtual gfx1151 and writes each dispatch to a file that ui.perfetto.dev opens.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/files.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string output, code, mode, seed;
  std::vector<std::string> command;
};

struct KernelSum { u64 dispatches = 0; f64 duration_us = 0; };
struct Totals {
  u64 dispatches = 0;
  f64 duration_us = 0;
  std::map<std::string, KernelSum> kernels;
};

// The program's exit code; 128 + the signal that ended it.
Result<int> run_traced(const Options& options, const std::string& folder) {
  const pid_t child = fork();
  if (child < 0) return fail(ErrorCode::file, fmt::format("no new process: {}", std::strerror(errno)), errno);
  if (child == 0) {
    std::vector<char*> arguments;
    for (const auto& word : options.command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    setenv("AMLM_VGPU_TRACE", (folder + "/%p.json").c_str(), 1);
    if (!options.code.empty()) setenv("AMLM_VGPU_TRACE_CODE", std::filesystem::absolute(options.code).c_str(), 1);
    if (!options.mode.empty()) setenv("AMLM_VGPU_MODE", options.mode.c_str(), 1);
    if (!options.seed.empty()) setenv("AMLM_VGPU_SEED", options.seed.c_str(), 1);
    _exit(report(exec_under_virtual(arguments.data(), {})));
  }
  std::signal(SIGINT, SIG_IGN);      // Ctrl-C is the program's; what it did until then is written
  std::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail(ErrorCode::file, "the program cannot be waited for", errno);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// One line of what the virtual GPU wrote; none when the program was ended in the middle of it.
std::optional<Json> parse_event(const std::string& line) {
  if (line.size() < 2) return std::nullopt;
  Json event = Json::parse(line.begin() + 1, line.end(), nullptr, false);      // behind "[" or ","
  return event.is_object() ? std::optional(std::move(event)) : std::nullopt;
}

// Kernels without a name in memory are called by their code, which is the same in every run.
void rename_kernel(Json& event) {
  const std::string name = event.value("name", "");
  if (name.empty() || name.starts_with("code@")) event["name"] = "kernel " + event["args"].value("code", "");
}

Result<std::vector<std::filesystem::path>> find_traces(const std::string& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) found.push_back(entry.path());
  if (error) return fail(ErrorCode::file, fmt::format("{}: {}", folder, error.message()), error.value());
  std::ranges::sort(found, {}, [](const auto& path) { return std::atoll(path.stem().c_str()); });
  return found;
}

// Where the first dispatch of all begins: the trace's time 0.
f64 find_start(const std::vector<std::filesystem::path>& traces) {
  f64 start = std::numeric_limits<f64>::infinity();
  for (const auto& path : traces) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    if (const auto event = parse_event(line)) start = std::min(start, event->value("ts", start));
  }
  return start;
}

void copy_events(std::ifstream& from, std::ofstream& to, f64 start_us, Totals& totals) {
  for (std::string line; std::getline(from, line);) {
    auto event = parse_event(line);
    if (!event) continue;
    rename_kernel(*event);
    (*event)["ts"] = std::max(event->value("ts", 0.0) - start_us, 0.0);
    to << ",\n" << event->dump();
    KernelSum& kernel = totals.kernels[event->value("name", "")];
    for (auto* sum : {&kernel.duration_us, &totals.duration_us}) *sum += event->value("dur", 0.0);
    ++kernel.dispatches;
    ++totals.dispatches;
  }
}

Result<Totals> write_trace(const Options& options, const std::string& folder) {
  const auto traces = TRY(find_traces(folder));
  const f64 start_us = find_start(traces);
  std::string command;
  for (const auto& word : options.command) command += (command.empty() ? "" : " ") + word;
  std::ofstream file(options.output);
  const Json other = {{"command", command}, {"device", "virtual gfx1151"}, {"times", "modelled, not measured"}};
  file << R"({"displayTimeUnit":"ns","otherData":)" << other.dump() << ",\"traceEvents\":[\n";
  file << Json{{"ph", "M"}, {"pid", 0}, {"name", "process_name"}, {"args", {{"name", "virtual gfx1151"}}}}.dump();
  Totals totals;
  for (const auto& path : traces) {
    const i64 process = std::atoll(path.stem().c_str());
    const auto name = fmt::format("process {} of {}", process, options.command[0]);
    file << ",\n" << Json{{"ph", "M"}, {"pid", process}, {"name", "process_name"}, {"args", {{"name", name}}}}.dump();
    file << ",\n" << Json{{"ph", "M"}, {"pid", process}, {"tid", 1}, {"name", "thread_name"},
                          {"args", {{"name", "compute queue"}}}}.dump();
    std::ifstream from(path);
    copy_events(from, file, start_us, totals);
  }
  file << "\n]}\n";
  if (!file.flush())
    return fail(ErrorCode::file, fmt::format("{} cannot be written: {}", options.output, std::strerror(errno)), errno);
  return totals;
}

void print_summary(const Options& options, const Totals& totals) {
  std::fprintf(stderr, "amlm: %s: %llu dispatches of %zu kernels, %.3f ms (modelled)\n", options.output.c_str(),
               static_cast<unsigned long long>(totals.dispatches), totals.kernels.size(), totals.duration_us / 1e3);
  std::vector<std::pair<std::string, KernelSum>> kernels(totals.kernels.begin(), totals.kernels.end());
  std::ranges::stable_sort(kernels, std::greater(), [](const auto& row) { return row.second.duration_us; });
  constexpr std::size_t most = 12;
  for (std::size_t i = 0; i < std::min(kernels.size(), most); ++i)
    std::fprintf(stderr, "  %10.3f ms %8llu x  %s\n", kernels[i].second.duration_us / 1e3,
                 static_cast<unsigned long long>(kernels[i].second.dispatches), printable(kernels[i].first).c_str());
  if (kernels.size() > most) std::fprintf(stderr, "  and %zu more\n", kernels.size() - most);
}

// Before anything is run: that the results can be kept.
Result<void> check_outputs(const Options& options) {
  if (!std::ofstream(options.output, std::ios::app))
    return fail(ErrorCode::file, fmt::format("{} cannot be written: {}", options.output, std::strerror(errno)), errno);
  if (options.code.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(options.code, error);
  if (error || access(options.code.c_str(), W_OK) != 0)
    return fail(ErrorCode::file, fmt::format("{} is not a folder that can be written", options.code), error.value());
  return {};
}

Result<int> trace(const Options& options) {
  TRY_VOID(check_outputs(options));
  const TemporaryFolder folder;
  if (folder.path.empty()) return fail(ErrorCode::file, "no temporary folder can be made", errno);
  const int exit_code = TRY(run_traced(options, folder.path));
  const Totals totals = TRY(write_trace(options, folder.path));
  if (totals.dispatches == 0)
    std::fprintf(stderr, "amlm: %s dispatched nothing on the virtual gfx1151\n", options.command[0].c_str());
  else
    print_summary(options, totals);
  return exit_code;
}

}  // namespace

void add_trace(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("trace", "Runs a program on the virtual gfx1151 and writes its dispatches for "
                                              "Perfetto: amlm trace -o FILE -- COMMAND ...");
  auto options = std::make_shared<Options>();
  command->add_option("-o,--output", options->output, "the trace, JSON")->required()->type_name("FILE");
  command->add_option("--code", options->code, "write each kernel's machine code (HASH.bin) and each indirect buffer (.ib) "
                      "there")->type_name("FOLDER");
  command->add_option("--mode", options->mode, "strict or fast; fast when left out")
      ->check(CLI::IsMember({"strict", "fast"}));
  command->add_option("--seed", options->seed, "order of workgroups and waves");
  command->add_option("command", options->command, "the program and its arguments")->required();
  command->positionals_at_end();
  command->callback([options, &invocation] {
    const auto done = trace(*options);
    invocation.exit_code = done ? *done : report(done.error());
  });
}

}  // namespace amlm::tools
