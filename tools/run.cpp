// amlm run: a prompt in, the text that follows out, as it comes.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/sampler/sampler.h"
#include "tools/commands.h"
#include "tools/files.h"
#include "tools/model_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  ModelOptions model;
  std::string prompt, prompt_file;
  u32 count = 128;
  SamplerOptions sampler;
  bool as_json = false;
};

struct Generated {
  std::vector<u32> prompt_ids, ids;
  std::string text;
  bool stopped_by_user = false, context_full = false;
};

Result<std::string> read_prompt(const Options& options) {
  return options.prompt_file.empty() ? options.prompt : read_text(options.prompt_file);
}

Result<void> print_piece(std::string_view piece, bool as_json) {
  if (as_json || piece.empty()) return {};
  return print_now(piece);
}

Result<Generated> generate(const Options& options, const Model& model, Session& session) {
  const Tokenizer& tokenizer = model.tokenizer();
  Generated out;
  const std::string prompt = TRY(read_prompt(options));
  out.prompt_ids = TRY(tokenizer.encode(prompt));
  if (out.prompt_ids.empty()) return fail(ErrorCode::usage, "the prompt is empty: write -p TEXT or -f FILE");
  if (out.prompt_ids.size() >= session.context())
    return fail(ErrorCode::too_long, fmt::format("the prompt has {} tokens and the context {}: shorten it, or raise --ctx",
                                                 out.prompt_ids.size(), session.context()));
  Sampler sampler(options.sampler);
  for (const u32 id : out.prompt_ids) sampler.accept(id);
  TRY_VOID(session.prefill(out.prompt_ids));
  TokenStream stream(tokenizer);
  while (out.ids.size() < options.count) {
    if (session.position() >= session.context()) {
      out.context_full = true;
      break;
    }
    if (interrupted()) {
      out.stopped_by_user = true;
      break;
    }
    auto next = session.next(sampler);
    if (!next && next.error().code == ErrorCode::interrupted) {
      out.stopped_by_user = true;
      break;
    }
    const u32 id = TRY(std::move(next));
    out.ids.push_back(id);
    if (tokenizer.is_end_of_generation(id)) break;
    const std::string piece = stream.push(id);
    out.text += piece;
    TRY_VOID(print_piece(piece, options.as_json));
  }
  const std::string rest = stream.finish();
  out.text += rest;
  TRY_VOID(print_piece(rest, options.as_json));
  return out;
}

f64 rate(u64 tokens, f64 seconds) { return seconds > 0 ? static_cast<f64>(tokens) / seconds : 0; }

void print_speed(const Session& session, const DeviceFacts& facts) {
  const SessionStats& stats = session.stats();
  const TokenCost& cost = session.cost();
  const f64 bytes = static_cast<f64>(cost.weight_bytes) + static_cast<f64>(cost.kv_bytes_per_position) * session.position();
  const f64 decode = rate(stats.decode_tokens, stats.decode_seconds);
  const char* where = facts.is_virtual ? "virtual: " : "";
  std::fprintf(stderr, "\n%sprompt %llu tokens, %.1f tokens/s; decode %llu tokens, %.1f tokens/s; %.2f MB a token", where,
               static_cast<unsigned long long>(stats.prefill_tokens), rate(stats.prefill_tokens, stats.prefill_seconds),
               static_cast<unsigned long long>(stats.decode_tokens), decode, bytes / 1e6);
  if (facts.is_virtual) {
    std::fprintf(stderr, " (no hardware: the speed is this simulation's)\n");
  } else {
    std::fprintf(stderr, ", %.1f GB/s, %.0f %% of %.0f GB/s\n", bytes * decode / 1e9,
                 100 * bytes * decode / 1e9 / facts.memory_limit_gbps(), facts.memory_limit_gbps());
  }
}

void print_json(const Generated& out, const Session& session, const DeviceFacts& facts) {
  const SessionStats& stats = session.stats();
  const nlohmann::json object = {
      {"prompt_ids", out.prompt_ids}, {"ids", out.ids}, {"text", out.text},
      {"timings", {{"load_seconds", stats.load_seconds}, {"prompt_tokens", stats.prefill_tokens},
                   {"prompt_seconds", stats.prefill_seconds},
                   {"prompt_tokens_per_second", rate(stats.prefill_tokens, stats.prefill_seconds)},
                   {"decode_tokens", stats.decode_tokens}, {"decode_seconds", stats.decode_seconds},
                   {"decode_tokens_per_second", rate(stats.decode_tokens, stats.decode_seconds)}}},
      {"device", {{"name", facts.marketing_name}, {"node", facts.node}, {"virtual", facts.is_virtual}}}};
  std::printf("%s\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int run(Options options, const Invocation& invocation) {
  if (!options.prompt_file.empty())
    if (auto readable = check_readable(options.prompt_file); !readable) return report(readable.error());
  options.model.quiet = options.as_json;
  auto loaded = load_model(options.model, invocation);
  if (!loaded) return report(loaded.error());
  auto out = generate(options, *loaded->model, *loaded->session);
  if (!out) return report(out.error());
  if (options.as_json) {
    print_json(*out, *loaded->session, loaded->device->facts());
  } else {
    if (out->context_full)
      std::fprintf(stderr, "\namlm: stopped: the context of %u tokens is full; --ctx makes room for more\n",
                   loaded->session->context());
    print_speed(*loaded->session, loaded->device->facts());
  }
  return out->stopped_by_user ? static_cast<int>(ErrorCode::interrupted) : 0;
}

}  // namespace

void add_run(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("run", "Continues a prompt");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model);
  auto* prompt = command->add_option("-p,--prompt", options->prompt, "the prompt; without one the model begins by itself")
                     ->type_name("TEXT");
  command->add_option("-f,--file", options->prompt_file, "a file with the prompt; - for standard input")
      ->type_name("FILE")->excludes(prompt)->check(not_empty);
  command->add_option("-n,--predict", options->count, "tokens to generate at most")->default_val(128);
  command->add_option("--temp", options->sampler.temperature, "temperature; 0 = greedy")->default_val(0.8)
      ->check(between(0, 100));
  command->add_option("--top-k", options->sampler.top_k, "keep the K likeliest; 0 = all")->default_val(40);
  command->add_option("--top-p", options->sampler.top_p, "keep the likeliest that sum to P")->default_val(0.95)
      ->check(between(0, 1));
  command->add_option("--min-p", options->sampler.min_p, "keep those at least P times as likely as the best")
      ->default_val(0.05)->check(between(0, 1));
  command->add_option("--repeat-penalty", options->sampler.repeat_penalty, "1 = none")->default_val(1.0)
      ->check(between(0.01, 100));
  command->add_option("--seed", options->sampler.seed, "of the sampler")->default_val(0);
  command->add_flag("--json", options->as_json, "one JSON object: prompt_ids, ids, text, timings, device");
  command->callback([options, &invocation] {
    catch_interrupts();
    invocation.exit_code = run(*options, invocation);
  });
}

}  // namespace amlm::tools
