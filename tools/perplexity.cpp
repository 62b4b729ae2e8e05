// amlm perplexity: llama.cpp's definition, on the device.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/perplexity.h"
#include "tools/commands.h"
#include "tools/files.h"
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
  const std::string text = TRY(read_text(options.file));
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
  if (options.model.context < 3)
    return report({ErrorCode::usage, 0, "--ctx: a window has at least 3 tokens; in a smaller one nothing is counted"});
  if (auto readable = check_readable(options.file); !readable) return report(readable.error());
  options.model.batch = options.model.context;
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
  command->get_option("--ctx")->description("tokens of a window; 512 when left out");
  command->add_option("-f,--file", options->file, "the text; - for standard input")->required()->type_name("FILE")
      ->check(not_empty);
  command->add_option("--chunks", options->chunks, "windows to count; 0 or left out: all");
  command->add_flag("--json", options->as_json, "one JSON object");
  command->callback([options, &invocation] {
    catch_interrupts();
    invocation.exit_code = run(*options, invocation);
  });
}

}  // namespace amlm::tools
