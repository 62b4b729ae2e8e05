// amlm perplexity: llama.cpp's definition, on the device.
#include <fmt/format.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/perplexity.h"
#include "tools/commands.h"
#include "tools/model_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  ModelOptions model;
  std::string file;
  u32 chunks = 0;
  bool as_json = false;
};

Result<PerplexityReport> measure(const Options& options, LoadedModel& loaded) {
  std::ifstream file(options.file, std::ios::binary);
  if (!file)
    return fail(ErrorCode::file, fmt::format("the text {} cannot be opened: {}", options.file, std::strerror(errno)), errno);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  Progress bar("perplexity");
  return measure_perplexity(*loaded.session, *loaded.model, text,
                            {.chunks = options.chunks, .cancelled = &interrupted(),
                             .on_progress = [&](const PerplexityProgress& progress) {
                               bar.update(static_cast<f64>(progress.chunks_done) / progress.chunks_total,
                                          fmt::format("window {} of {}: {:.4f}, {:.0f} tokens/s", progress.chunks_done,
                                                      progress.chunks_total, progress.perplexity,
                                                      progress.tokens_per_second));
                             }});
}

int run(Options options, const Invocation& invocation) {
  options.model.quiet = options.as_json;
  options.model.all_logits = true;
  if (options.model.context == 0) options.model.context = 512;
  options.model.batch = std::min(options.model.context, 512u);
  auto loaded = load_model(options.model, invocation);
  if (!loaded) return report(loaded.error());
  auto result = measure(options, *loaded);
  if (!result) return report(result.error());
  const DeviceFacts& facts = loaded->device->facts();
  if (options.as_json) {
    std::printf("%s\n", nlohmann::json{{"perplexity", result->perplexity}, {"standard_error", result->standard_error},
                                       {"context", options.model.context}, {"chunks", result->chunks},
                                       {"tokens_counted", result->tokens_counted},
                                       {"tokens_per_second", result->tokens_per_second},
                                       {"device", {{"name", facts.marketing_name}, {"virtual", facts.is_virtual}}}}
                            .dump(2).c_str());
  } else {
    std::printf("perplexity %.4f ± %.5f   (%u windows of %u tokens, %llu tokens counted, %.0f tokens/s%s)\n",
                result->perplexity, result->standard_error, result->chunks, options.model.context,
                static_cast<unsigned long long>(result->tokens_counted), result->tokens_per_second,
                facts.is_virtual ? ", virtual" : "");
  }
  return 0;
}

}  // namespace

void add_perplexity(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("perplexity", "Perplexity of a text, by llama.cpp's definition");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model);
  command->add_option("-f,--file", options->file, "the text")->required()->type_name("FILE");
  command->add_option("--chunks", options->chunks, "windows to count; all when left out");
  command->add_flag("--json", options->as_json, "one JSON object");
  command->callback([options, &invocation] {
    catch_interrupts();
    invocation.exit_code = run(*options, invocation);
  });
}

}  // namespace amlm::tools
