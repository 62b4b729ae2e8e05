// amlm bench: llama-bench's tests and columns, and what a token costs: bytes, dispatches, barriers, submits, instructions.
#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/sampler/sampler.h"
#include "tools/commands.h"
#include "tools/model_choice.h"
#include "tools/terminal.h"
#include "tools/virtual_counters.h"

namespace amlm::tools {

namespace {

using nlohmann::json;

struct Options {
  ModelOptions model;
  u32 prompt_tokens = 512, decode_tokens = 128, repetitions = 3;
  bool as_json = false, as_csv = false, as_md = false, counters = false;
};

// What llama-bench shows of a model: its size in weights, the type that holds most bytes, bytes.
struct ModelFacts {
  std::string type_name;
  u64 size_bytes = 0, parameters = 0;
};

ModelFacts model_facts(const Model& model) {
  ModelFacts facts;
  std::map<std::string_view, u64> bytes_by_type;
  for (const auto& tensor : model.file().tensors()) {
    facts.size_bytes += tensor.size_bytes;
    facts.parameters += tensor.ne[0] * tensor.rows();
    bytes_by_type[tensor.type->name] += tensor.size_bytes;
  }
  const auto most = std::ranges::max_element(bytes_by_type, {}, [](const auto& entry) { return entry.second; });
  const f64 millions = static_cast<f64>(facts.parameters) / 1e6;
  facts.type_name = millions < 1000 ? fmt::format("llama {:.0f}M", millions) : fmt::format("llama {:.0f}B", millions / 1000);
  if (most != bytes_by_type.end()) facts.type_name += fmt::format(" {}", most->first);
  return facts;
}

struct Row {
  std::string test;
  u32 tokens = 0;
  f64 mean = 0, deviation = 0;     // tokens/s
  u64 bytes_per_token = 0;
  json counts;                     // instructions of one repetition, from the virtual GPU
};

// The same tokens in every run and on every machine; none is a control token of a usual vocabulary.
std::vector<u32> bench_tokens(u32 count, u32 vocabulary) {
  std::vector<u32> ids(count);
  u64 state = 1151;
  for (u32& id : ids) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    id = static_cast<u32>((state >> 33) % (vocabulary - vocabulary / 4) + vocabulary / 4);
  }
  return ids;
}

Result<f64> time_prompt(Session& session, std::span<const u32> ids) {
  session.reset();
  const auto start = std::chrono::steady_clock::now();
  TRY_VOID(session.prefill(ids));
  return std::chrono::duration<f64>(std::chrono::steady_clock::now() - start).count();
}

Result<f64> time_decode(Session& session, u32 count, u32 first) {
  session.reset();
  Sampler greedy(SamplerOptions{.temperature = 0});
  TRY_VOID(session.prefill(std::span(&first, 1)));
  const auto start = std::chrono::steady_clock::now();
  for (u32 i = 0; i < count; ++i) (void)TRY(session.next(greedy));
  return std::chrono::duration<f64>(std::chrono::steady_clock::now() - start).count();
}

template <class Timed>
Result<Row> measure(std::string test, u32 tokens, u32 repetitions, bool counters, Timed&& timed) {
  Row row{.test = std::move(test), .tokens = tokens, .mean = 0, .deviation = 0, .bytes_per_token = 0, .counts = {}};
  (void)TRY(timed());   // warm-up: page faults, the virtual GPU's decoded programs
  std::vector<f64> rates;
  for (u32 i = 0; i < repetitions; ++i) {
    if (interrupted()) return fail(ErrorCode::interrupted, "interrupted");
    const json before = counters && i == 0 ? read_virtual_counters() : json();
    rates.push_back(tokens / TRY(timed()));
    if (counters && i == 0) row.counts = subtract_counters(read_virtual_counters(), before);
  }
  for (const f64 rate : rates) row.mean += rate / static_cast<f64>(rates.size());
  for (const f64 rate : rates) row.deviation += (rate - row.mean) * (rate - row.mean);
  row.deviation = rates.size() > 1 ? std::sqrt(row.deviation / static_cast<f64>(rates.size() - 1)) : 0;
  return row;
}

Result<std::vector<Row>> measure_all(const Options& options, LoadedModel& loaded) {
  Session& session = *loaded.session;
  const u32 vocabulary = loaded.model->config().vocabulary;
  std::vector<Row> rows;
  if (options.prompt_tokens != 0) {
    const auto ids = bench_tokens(options.prompt_tokens, vocabulary);
    rows.push_back(TRY(measure(fmt::format("pp{}", options.prompt_tokens), options.prompt_tokens, options.repetitions,
                               options.counters, [&] { return time_prompt(session, ids); })));
  }
  if (options.decode_tokens != 0) {
    const u32 first = bench_tokens(1, vocabulary)[0];
    rows.push_back(TRY(measure(fmt::format("tg{}", options.decode_tokens), options.decode_tokens, options.repetitions,
                               options.counters, [&] { return time_decode(session, options.decode_tokens, first); })));
    rows.back().bytes_per_token = session.cost().weight_bytes +
                                  session.cost().kv_bytes_per_position * options.decode_tokens / 2;
  }
  return rows;
}

json as_json(const Row& row, const LoadedModel& loaded, const std::string& file) {
  const DeviceFacts& facts = loaded.device->facts();
  const TokenCost& cost = loaded.session->cost();
  const bool decode = row.test.starts_with("tg");
  const ModelFacts model = model_facts(*loaded.model);
  json object = {{"model_filename", file}, {"model_type", model.type_name},
                 {"model_size", model.size_bytes}, {"model_n_params", model.parameters},
                 {"backends", facts.is_virtual ? "amlm (virtual gfx1151)" : "amlm"}, {"gpu_info", facts.marketing_name},
                 {"n_prompt", decode ? 0 : row.tokens}, {"n_gen", decode ? row.tokens : 0}, {"test", row.test},
                 {"avg_ts", row.mean}, {"stddev_ts", row.deviation}, {"virtual", facts.is_virtual}};
  if (decode) {
    object["bytes_per_token"] = row.bytes_per_token;
    object["dispatches_per_token"] = cost.dispatches;
    object["barriers_per_token"] = cost.barriers;
    object["submits_per_token"] = cost.submits;
    object["dispatches_per_layer"] = cost.dispatches_per_layer;
    object["barriers_per_layer"] = cost.barriers_per_layer;
  }
  if (!row.counts.is_null()) object["counters"] = row.counts;
  return object;
}

std::string csv_cell(const json& value) {
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>(), out = "\"";
  for (const char letter : text) out += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return out + "\"";
}

void print_csv(const std::vector<json>& rows) {
  std::vector<std::string> columns;
  for (const auto& row : rows)
    for (const auto& [key, value] : row.items())
      if (!value.is_object() && std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
  for (std::size_t i = 0; i < columns.size(); ++i) std::printf("%s%s", i ? "," : "", columns[i].c_str());
  std::printf("\n");
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i)
      std::printf("%s%s", i ? "," : "", row.contains(columns[i]) ? csv_cell(row[columns[i]]).c_str() : "");
    std::printf("\n");
  }
}

void print_table(const std::vector<Row>& rows, const LoadedModel& loaded) {
  const TokenCost& cost = loaded.session->cost();
  const ModelFacts model = model_facts(*loaded.model);
  const bool is_virtual = loaded.device->facts().is_virtual;
  std::printf("| model | size | params | backend | test | t/s |\n| --- | ---: | ---: | --- | ---: | ---: |\n");
  for (const auto& row : rows)
    std::printf("| %s | %.2f MiB | %.2f M | %s | %s | %.2f ± %.2f |\n", model.type_name.c_str(),
                static_cast<f64>(model.size_bytes) / 1048576.0,
                static_cast<f64>(model.parameters) / 1e6, is_virtual ? "amlm, virtual" : "amlm",
                row.test.c_str(), row.mean, row.deviation);
  std::printf("\na decoded token (counted): %.3f MB of weights, %llu bytes of KV for each position; %u dispatches, %u "
              "barriers, %u submit; a layer: %.1f dispatches, %.1f barriers\n", static_cast<f64>(cost.weight_bytes) / 1e6,
              static_cast<unsigned long long>(cost.kv_bytes_per_position), cost.dispatches, cost.barriers, cost.submits,
              cost.dispatches_per_layer, cost.barriers_per_layer);
  if (is_virtual) std::printf("t/s are of the virtual gfx1151: the speed of this simulation, not of hardware\n");
  for (const auto& row : rows) {
    if (row.counts.is_null()) continue;
    std::printf("\n%s, instructions per token (waves, counted):", row.test.c_str());
    for (const auto& [key, value] : row.counts.items())
      if (value.is_number()) std::printf(" %s %.1f", key.c_str(), value.get<f64>() / row.tokens);
    std::printf("\n");
  }
}

int run(Options options, const Invocation& invocation) {
  options.model.quiet = true;
  options.model.context = std::max(options.model.context, std::max(options.prompt_tokens, options.decode_tokens + 1));
  auto loaded = load_model(options.model, invocation);
  if (!loaded) return report(loaded.error());
  if (options.counters && !loaded->device->facts().is_virtual)
    return report({ErrorCode::usage, 0, "--counters are counted by the virtual gfx1151: add --device virtual"});
  auto rows = measure_all(options, *loaded);
  if (!rows) return report(rows.error());
  std::vector<json> objects;
  for (const auto& row : *rows) objects.push_back(as_json(row, *loaded, options.model.file));
  if (options.as_json) {
    std::printf("%s\n", json(objects).dump(2).c_str());
  } else if (options.as_csv) {
    print_csv(objects);
  } else {
    print_table(*rows, *loaded);
  }
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("bench", "llama-bench's tests, and what a token costs");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model);
  command->add_option("-p,--n-prompt", options->prompt_tokens, "tokens of the prompt test; 0 = none")->default_val(512);
  command->add_option("-n,--n-gen", options->decode_tokens, "tokens of the decode test; 0 = none")->default_val(128);
  command->add_option("-r,--repetitions", options->repetitions, "runs of each test")->default_val(3)
      ->check(CLI::Range(1, 1000));
  auto* as_json_flag = command->add_flag("--json", options->as_json, "a JSON array");
  auto* as_csv_flag = command->add_flag("--csv", options->as_csv, "CSV with a header")->excludes(as_json_flag);
  command->add_flag("--md", options->as_md, "a Markdown table (the default)")->excludes(as_json_flag)->excludes(as_csv_flag);
  command->add_flag("--counters", options->counters, "instruction counts per class, from the virtual gfx1151");
  command->callback([options, &invocation] {
    catch_interrupts();
    invocation.exit_code = run(*options, invocation);
  });
}

}  // namespace amlm::tools
