// amlm bench: llama-bench's tests and columns, and what a token costs: bytes, dispatches, barriers, submits, instructions.
#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
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
using ordered = nlohmann::ordered_json;

constexpr u32 most_tokens = 1 << 24;   // no context is longer (engine)

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
  std::vector<f64> seconds;        // one a repetition
  u64 bytes_per_token = 0;
  json counts;                     // instructions of one repetition, from the virtual GPU
  std::vector<f64> rates() const {
    std::vector<f64> all;
    for (const f64 run : seconds) all.push_back(tokens / run);
    return all;
  }
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

// One run of a test: its time, and with --counters what the virtual GPU counted in that time.
struct Timed {
  f64 seconds = 0;
  json counts;
};

template <class Work>
Result<Timed> timed(bool counters, Work&& work) {
  const json before = counters ? read_virtual_counters() : json();
  const auto start = std::chrono::steady_clock::now();
  TRY_VOID(work());
  const f64 seconds = std::chrono::duration<f64>(std::chrono::steady_clock::now() - start).count();
  return Timed{seconds, counters ? subtract_counters(read_virtual_counters(), before) : json()};
}

Result<Timed> time_prompt(Session& session, std::span<const u32> ids, bool counters) {
  session.reset();
  return timed(counters, [&] { return session.prefill(ids); });
}

// The first token is the prompt's own and costs no step: it is taken before the clock starts.
Result<Timed> time_decode(Session& session, u32 count, u32 first, bool counters) {
  session.reset();
  Sampler greedy(SamplerOptions{.temperature = 0});
  TRY_VOID(session.prefill(std::span(&first, 1)));
  (void)TRY(session.next(greedy));
  return timed(counters, [&]() -> Result<void> {
    for (u32 i = 0; i < count; ++i) (void)TRY(session.next(greedy));
    return {};
  });
}

// Mean and sample deviation.
std::pair<f64, f64> spread(const std::vector<f64>& samples) {
  f64 mean = 0, squares = 0;
  for (const f64 sample : samples) mean += sample / static_cast<f64>(samples.size());
  for (const f64 sample : samples) squares += (sample - mean) * (sample - mean);
  return {mean, samples.size() > 1 ? std::sqrt(squares / static_cast<f64>(samples.size() - 1)) : 0};
}

template <class Run>
Result<Row> measure(std::string test, u32 tokens, u32 repetitions, bool counters, Run&& run_once) {
  Row row{.test = std::move(test), .tokens = tokens, .seconds = {}, .bytes_per_token = 0, .counts = {}};
  (void)TRY(run_once(false));   // warm-up: page faults, the virtual GPU's decoded programs
  for (u32 i = 0; i < repetitions; ++i) {
    if (interrupted()) return fail(ErrorCode::interrupted, "interrupted");
    Timed done = TRY(run_once(counters && i == 0));
    row.seconds.push_back(done.seconds);
    if (!done.counts.is_null()) row.counts = std::move(done.counts);
  }
  return row;
}

Result<std::vector<Row>> measure_all(const Options& options, LoadedModel& loaded) {
  Session& session = *loaded.session;
  const u32 vocabulary = loaded.model->config().vocabulary;
  std::vector<Row> rows;
  if (options.prompt_tokens != 0) {
    const auto ids = bench_tokens(options.prompt_tokens, vocabulary);
    rows.push_back(TRY(measure(fmt::format("pp{}", options.prompt_tokens), options.prompt_tokens, options.repetitions,
                               options.counters, [&](bool count) { return time_prompt(session, ids, count); })));
  }
  if (options.decode_tokens != 0) {
    const u32 first = bench_tokens(1, vocabulary)[0];
    rows.push_back(TRY(measure(fmt::format("tg{}", options.decode_tokens), options.decode_tokens, options.repetitions,
                               options.counters, [&](bool count) {
                                 return time_decode(session, options.decode_tokens, first, count);
                               })));
    rows.back().bytes_per_token = session.cost().weight_bytes +
                                  session.cost().kv_bytes_per_position * options.decode_tokens / 2;
  }
  return rows;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  return text;
}

// llama-bench's names in llama-bench's order, as far as amlm has the thing; then ours.
ordered as_json(const Row& row, const LoadedModel& loaded, const ModelOptions& options) {
  const DeviceFacts& facts = loaded.device->facts();
  const TokenCost& cost = loaded.session->cost();
  const bool decode = row.test.starts_with("tg");
  const ModelFacts model = model_facts(*loaded.model);
  std::vector<f64> nanoseconds;
  for (const f64 run : row.seconds) nanoseconds.push_back(run * 1e9);
  const auto [mean_ns, deviation_ns] = spread(nanoseconds);
  const auto [mean, deviation] = spread(row.rates());
  ordered object = {{"build_commit", AMLM_VERSION}, {"gpu_info", facts.marketing_name},
                    {"backends", facts.is_virtual ? "amlm (virtual gfx1151)" : "amlm"},
                    {"model_filename", loaded.file}, {"model_type", model.type_name}, {"model_size", model.size_bytes},
                    {"model_n_params", model.parameters}, {"n_batch", options.batch}, {"type_k", "f16"},
                    {"type_v", "f16"}, {"n_prompt", decode ? 0 : row.tokens}, {"n_gen", decode ? row.tokens : 0},
                    {"n_depth", 0}, {"test_time", now_utc()}, {"avg_ns", std::llround(mean_ns)},
                    {"stddev_ns", std::llround(deviation_ns)}, {"avg_ts", mean}, {"stddev_ts", deviation},
                    {"test", row.test}, {"virtual", facts.is_virtual}};
  object["samples_ts"] = row.rates();
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

std::string csv_cell(const ordered& value) {
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>(), out = "\"";
  for (const char letter : text) out += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  return out + "\"";
}

void print_csv(const std::vector<ordered>& rows) {
  std::vector<std::string> columns;
  for (const auto& row : rows)
    for (const auto& [key, value] : row.items())
      if (value.is_primitive() && std::ranges::find(columns, key) == columns.end()) columns.push_back(key);
  for (std::size_t i = 0; i < columns.size(); ++i) std::printf("%s%s", i ? "," : "", columns[i].c_str());
  std::printf("\n");
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < columns.size(); ++i)
      std::printf("%s%s", i ? "," : "", row.contains(columns[i]) ? csv_cell(row[columns[i]]).c_str() : "");
    std::printf("\n");
  }
}

// "7.45 MiB", and from a thousand of them on "1.20 GiB", as llama-bench has it.
std::string scaled(u64 value, f64 unit, const char* name, f64 step, const char* greater) {
  const f64 units = static_cast<f64>(value) / unit;
  return units < step ? fmt::format("{:.2f} {}", units, name) : fmt::format("{:.2f} {}", units / step, greater);
}

void print_table(const std::vector<Row>& rows, const LoadedModel& loaded) {
  const TokenCost& cost = loaded.session->cost();
  const ModelFacts model = model_facts(*loaded.model);
  const bool is_virtual = loaded.device->facts().is_virtual;
  std::printf("| model | size | params | backend | test | t/s |\n| --- | ---: | ---: | --- | ---: | ---: |\n");
  for (const auto& row : rows) {
    const auto [mean, deviation] = spread(row.rates());
    std::printf("| %s | %s | %s | %s | %s | %.2f ± %.2f |\n", model.type_name.c_str(),
                scaled(model.size_bytes, 1048576.0, "MiB", 1024, "GiB").c_str(),
                scaled(model.parameters, 1e6, "M", 1000, "B").c_str(), is_virtual ? "amlm, virtual" : "amlm",
                row.test.c_str(), mean, deviation);
  }
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
  if (options.prompt_tokens == 0 && options.decode_tokens == 0)
    return report({ErrorCode::usage, 0, "-p 0 and -n 0 leave nothing to measure"});
  options.model.quiet = true;
  options.model.context = std::max(options.model.context, std::max(options.prompt_tokens, options.decode_tokens + 1));
  auto loaded = load_model(options.model, invocation);
  if (!loaded) return report(loaded.error());
  if (options.counters && !loaded->device->facts().is_virtual)
    return report({ErrorCode::usage, 0, "--counters are counted by the virtual gfx1151: add --device virtual"});
  auto rows = measure_all(options, *loaded);
  if (!rows) return report(rows.error());
  std::vector<ordered> objects;
  for (const auto& row : *rows) objects.push_back(as_json(row, *loaded, options.model));
  if (options.as_json) {
    std::printf("%s\n", ordered(objects).dump(2, ' ', false, ordered::error_handler_t::replace).c_str());
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
  command->get_option("--ctx")->description("context in tokens; as many as the tests need when left out");
  command->add_option("-p,--n-prompt", options->prompt_tokens, "tokens of the prompt test; 0 = none")->default_val(512)
      ->check(CLI::Range(0u, most_tokens));
  command->add_option("-n,--n-gen", options->decode_tokens, "tokens of the decode test; 0 = none")->default_val(128)
      ->check(CLI::Range(0u, most_tokens));
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
