#include "tools/model_choice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "tools/terminal.h"

namespace amlm::tools {

namespace {

constexpr const char* demo_model = "fairytale-7m-q8_0.gguf";

// The demo model lies in the source tree (tools/demo-model) or, installed, in ../share/amlm.
Result<std::string> find_demo_model() {
  if (const char* given = std::getenv("AMLM_MODEL")) return std::string(given);
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& place :
       {self / "../share/amlm", self / "../../tools/demo-model", self / "demo-model",
        std::filesystem::path(AMLM_DEMO_FOLDER)}) {
    const auto candidate = (place / demo_model).lexically_normal();
    if (access(candidate.c_str(), R_OK) == 0) return candidate.string();
  }
  return fail(ErrorCode::usage, "no model given: write -m FILE.gguf (the demo model is not beside this program)");
}

std::string progress_note(const LoadProgress& progress) {
  const f64 rate = progress.seconds > 0 ? static_cast<f64>(progress.done_bytes) / progress.seconds : 0;
  const f64 left = rate > 0 ? static_cast<f64>(progress.total_bytes - progress.done_bytes) / rate : 0;
  return fmt::format("{}  {:.2f} GB/s, {:.0f} s left", progress.stage, rate / 1e9, left);
}

}  // namespace

void add_model_options(CLI::App& command, ModelOptions& options) {
  command.add_option("-m,--model", options.file, "a GGUF file; the demo model when left out")->type_name("FILE")
      ->check(not_empty);
  command.add_option("--ctx", options.context, "context in tokens; the model's own when left out")->type_name("N");
  add_device_option(command, options.device);
}

std::string describe_device(const DeviceFacts& facts) {
  if (facts.is_virtual) return "the virtual gfx1151 (no hardware: times are those of this program)";
  return fmt::format("{} ({})", facts.marketing_name, facts.node);
}

Result<LoadedModel> load_model(const ModelOptions& options, const Invocation& invocation) {
  std::string file = options.file;
  if (file.empty()) file = TRY(find_demo_model());
  LoadedModel loaded;
  loaded.file = file;
  loaded.model = TRY(Model::open(file));
  loaded.device = TRY(open_device(options.device, invocation));
  const DeviceFacts& facts = loaded.device->facts();
  const u64 gtt_free_bytes = TRY(loaded.device->gtt_free_bytes());
  Progress bar("loading");
  SessionOptions session_options{.context = options.context, .batch = options.batch, .all_logits = options.all_logits,
                                 .on_plan = {}, .on_progress = {}, .cancelled = &interrupted()};
  // A real GPU should not wait for the CPU; on the virtual one tokens past the end of a story only cost time.
  session_options.decode_ahead = facts.is_virtual ? 0 : 2;
  session_options.on_fault = [](const Error& fault) {
    std::fprintf(stderr, "\n%s\ngoing on from the last good token\n", printable(fault.sentence).c_str());
  };
  if (!options.quiet) {
    session_options.on_plan = [&](const MemoryPlan& plan) {
      std::fprintf(stderr, "%s: %s\n%s", printable(file).c_str(), describe_device(facts).c_str(),
                   printable(plan.print(facts, gtt_free_bytes)).c_str());
    };
  }
  session_options.on_progress = [&](const LoadProgress& progress) {
    const f64 fraction = progress.total_bytes
                             ? static_cast<f64>(progress.done_bytes) / static_cast<f64>(progress.total_bytes) : 1;
    bar.update(fraction, progress_note(progress));
  };
  loaded.session = TRY(Session::create(*loaded.device, *loaded.model, session_options));
  const u32 trained = loaded.model->config().trained_context;
  if (!options.quiet && trained != 0 && loaded.session->context() > trained)
    std::fprintf(stderr, "amlm: the model was trained on %u tokens: beyond them its text falls apart\n", trained);
  return loaded;
}

}  // namespace amlm::tools
