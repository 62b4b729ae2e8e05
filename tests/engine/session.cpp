// The session on a device: its logits against the plain forward pass, batches against single tokens, what it promises.
// Runs on the virtual gfx1151 in strict mode, and unchanged on a real one.
#include "engine/session.h"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "engine/loader.h"
#include "engine/model/model.h"
#include "engine/perplexity.h"
#include "engine/sampler/sampler.h"
#include "tests/engine/gguf_builder.h"
#include "tests/reference/llama.h"

using namespace amlm;

namespace {

Device& device() {
  static auto opened = Device::open({});
  INFO((opened ? "" : opened.error().sentence));
  REQUIRE(opened.has_value());
  return **opened;
}

std::string model_path() {
  const char* given = std::getenv("AMLM_MODEL");
  return given ? given : std::string(AMLM_DEMO_FOLDER) + "/fairytale-7m-q8_0.gguf";
}

const Model& demo_model() {
  static const auto model = Model::open(model_path());
  INFO((model ? "" : model.error().sentence));
  REQUIRE(model.has_value());
  return **model;
}

// Small enough that whole conversations take no time; its ids are 0..263.
const Model& tiny_model() {
  static const tests::Bytes bytes = tests::tiny_llama().build();
  static const auto model = [] {
    auto file = GgufFile::parse(ByteSource::from_bytes(bytes, "tiny"));
    REQUIRE(file.has_value());
    return Model::load(*std::move(file));
  }();
  REQUIRE(model.has_value());
  return **model;
}

std::unique_ptr<Session> make(const Model& model, const SessionOptions& options) {
  auto session = Session::create(device(), model, options);
  INFO((session ? "" : session.error().sentence));
  REQUIRE(session.has_value());
  return *std::move(session);
}

template <class T> void must(const Result<T>& result) {
  INFO((result ? "" : result.error().sentence));
  REQUIRE(result.has_value());
}

// Largest difference as a part of the largest logit.
f64 difference(std::span<const f32> a, std::span<const f32> b) {
  REQUIRE(a.size() == b.size());
  f64 largest = 0, apart = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    largest = std::max(largest, std::fabs(static_cast<f64>(a[i])));
    apart = std::max(apart, std::fabs(static_cast<f64>(a[i]) - b[i]));
  }
  return apart / largest;
}

Sampler greedy() { return Sampler({.temperature = 0}); }

std::vector<u32> generate(Session& session, std::span<const u32> prompt, u32 count) {
  Sampler sampler = greedy();
  must(session.prefill(prompt));
  std::vector<u32> out;
  for (u32 i = 0; i < count; ++i) {
    const auto id = session.next(sampler);
    must(id);
    out.push_back(*id);
  }
  return out;
}

const std::string prompt_text = "Once upon a time, there was a little girl named Lily.";

}  // namespace

TEST_CASE("logits of a batch and of single tokens are those of the plain forward pass") {
  const Model& model = demo_model();
  const auto prompt = model.tokenizer().encode(prompt_text);
  must(prompt);
  auto plain = reference::Llama::load(model);
  must(plain);
  std::vector<f32> wanted;
  for (const u32 id : *prompt) wanted = plain->step(id);

  const auto session = make(model, {.context = 64, .batch = 64});
  must(session->prefill_by_token(*prompt));
  const std::vector<f32> by_token(session->logits().begin(), session->logits().end());
  CHECK(difference(wanted, by_token) < 1e-2);
  REQUIRE(session->position() == prompt->size());
  session->reset();
  REQUIRE(session->position() == 0);
  must(session->prefill(*prompt));
  CHECK(difference(wanted, session->logits()) < 1e-2);
  CHECK(difference(by_token, session->logits()) < 1e-2);
}

TEST_CASE("greedy ids are the plain forward pass's; allocations, submissions, ahead") {
  const Model& model = tiny_model();
  const std::vector<u32> prompt{1, 100, 37, 200, 262, 5, 77, 100, 240, 13, 150};
  auto plain = reference::Llama::load(model);
  std::vector<f32> logits;
  for (const u32 id : prompt) logits = plain->step(id);
  std::vector<u32> wanted;
  constexpr u32 count = 20;
  for (u32 i = 0; i < count; ++i) {
    wanted.push_back(reference::argmax(logits));
    logits = plain->step(wanted.back());
  }
  const auto session = make(model, {.context = 64, .batch = 5});         // three batches: two slots take turns
  const u64 allocations = device().allocation_count();
  CHECK(generate(*session, prompt, count) == wanted);
  REQUIRE(session->stats().decode_tokens == count - 1);                  // the first came from the prompt
  REQUIRE(session->cost().submits == 1);
  REQUIRE(session->cost().dispatches_per_layer == 5);
  REQUIRE(session->print_decode_ib().find("DISPATCH_DIRECT") != std::string::npos);
  session->reset();
  must(session->prefill(std::span(prompt).first(7)));                    // a prompt in two pieces is the same
  CHECK(generate(*session, std::span(prompt).subspan(7), count) == wanted);
  REQUIRE(device().allocation_count() == allocations);

  const auto ahead = make(model, {.context = 64, .batch = 64, .decode_ahead = 3});
  CHECK(generate(*ahead, prompt, count) == wanted);
  ahead->reset();
}

TEST_CASE("a token that next() returned goes into the context before more text") {
  const auto session = make(tiny_model(), {.context = 32, .batch = 32, .decode_ahead = 2});
  std::vector<u32> text{1, 100, 101, 102};
  Sampler sampler = greedy();
  must(session->prefill(text));
  for (u32 i = 0; i < 3; ++i) {
    const auto id = session->next(sampler);
    must(id);
    text.push_back(*id);
  }
  REQUIRE(session->position() == text.size() - 1);
  const std::vector<u32> more{200, 40};
  must(session->prefill(more));
  text.insert(text.end(), more.begin(), more.end());
  REQUIRE(session->position() == text.size());
  const std::vector<f32> logits(session->logits().begin(), session->logits().end());
  session->reset();
  must(session->prefill(text));
  CHECK(difference(logits, session->logits()) < 1e-2);
}

TEST_CASE("a full context, a prompt too long, ids out of range") {
  const auto session = make(tiny_model(), {.context = 8, .batch = 8, .decode_ahead = 3});
  const std::vector<u32> nine(9, 40);
  const auto refused = session->prefill(nine);
  REQUIRE_FALSE(refused.has_value());
  REQUIRE(refused.error().code == ErrorCode::too_long);
  REQUIRE(session->prefill(std::vector<u32>{1, ~0u}).error().code == ErrorCode::usage);
  const auto stranger = session->prefill_by_token(std::vector<u32>{1, ~0u});
  REQUIRE_FALSE(stranger.has_value());
  REQUIRE(stranger.error().code == ErrorCode::usage);
  Sampler sampler = greedy();
  must(session->prefill(std::span(nine).first(6)));
  for (u32 i = 0; i < 3; ++i) must(session->next(sampler));              // tokens 6 and 7 fit, token 8 is only chosen
  const auto full = session->next(sampler);
  REQUIRE_FALSE(full.has_value());
  REQUIRE(full.error().code == ErrorCode::too_long);
  REQUIRE(session->position() == 8);
}

TEST_CASE("sampling repeats with its seed and is the CPU's choice") {
  const std::vector<u32> prompt{1, 50, 60};
  const auto session = make(tiny_model(), {.context = 64, .batch = 64});
  const auto draw = [&](u64 seed) {
    session->reset();
    Sampler sampler({.temperature = 1.5f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = seed});
    must(session->prefill(prompt));
    std::vector<u32> out;
    for (u32 i = 0; i < 12; ++i) {
      const auto id = session->next(sampler);
      must(id);
      out.push_back(*id);
    }
    return out;
  };
  const auto first = draw(3);
  CHECK(draw(4) != first);
  CHECK(draw(3) == first);
  // The choices entered the context: the same text as a prompt gives the same logits.
  const std::vector<f32> sampled(session->logits().begin(), session->logits().end());
  std::vector<u32> text = prompt;
  text.insert(text.end(), first.begin(), first.end() - 1);
  session->reset();
  must(session->prefill(text));
  CHECK(difference(sampled, session->logits()) < 1e-2);
}

TEST_CASE("greedy with tokens ahead, then sampling, then greedy: each sees the same text") {
  const auto session = make(tiny_model(), {.context = 64, .batch = 64, .decode_ahead = 3});
  std::vector<u32> text{1, 9, 8, 7};
  must(session->prefill(text));
  Sampler best = greedy(), random({.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 11});
  for (u32 i = 0; i < 12; ++i) {
    const auto id = session->next(i / 3 % 2 ? random : best);
    must(id);
    text.push_back(*id);
  }
  auto plain = reference::Llama::load(tiny_model());
  std::vector<f32> logits;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    logits = plain->step(text[i]);
    const bool greedy_choice = i >= 3 && (i - 3) / 3 % 2 == 0;
    if (greedy_choice) CHECK(reference::argmax(logits) == text[i + 1]);
  }
}

TEST_CASE("batch logits are each token's logits") {
  const std::vector<u32> prompt{1, 3, 5, 7, 11, 13, 17, 19, 23, 29};
  const auto session = make(tiny_model(), {.context = 32, .batch = 32, .all_logits = true});
  must(session->prefill(prompt));
  const u32 vocabulary = tiny_model().config().vocabulary;
  const std::vector<f32> all(session->batch_logits().begin(), session->batch_logits().end());
  REQUIRE(all.size() == prompt.size() * vocabulary);
  auto plain = reference::Llama::load(tiny_model());
  for (size_t i = 0; i < prompt.size(); ++i)
    CHECK(difference(plain->step(prompt[i]), std::span(all).subspan(i * vocabulary, vocabulary)) < 1e-2);
}

TEST_CASE("perplexity is llama.cpp's: second halves of windows that begin with BOS") {
  const Model& model = tiny_model();
  constexpr u32 window = 16;
  const std::string text = "ab abba b aab ba ab bbb aba ab ab aaab bab aab b a ab bb aa abab b\n";
  const auto tokens = model.tokenizer().encode(text.substr(0, text.size() - 1));
  must(tokens);
  REQUIRE(tokens->size() >= 2 * window);
  const u64 windows = tokens->size() / window;
  auto plain = reference::Llama::load(model);
  f64 sum = 0, squares = 0, count = 0;
  for (u64 w = 0; w < windows; ++w) {
    plain->reset();
    std::vector<f32> logits;
    for (u32 i = 0; i < window; ++i) {
      const u32 id = i == 0 ? 1 : (*tokens)[w * window + i];
      if (i > window / 2) {                      // the logits before it are of a token of the second half
        f64 all = 0;
        for (const f32 logit : logits) all += std::exp(static_cast<f64>(logit));
        const f64 loss = std::log(all) - logits[id];
        sum += loss;
        squares += loss * loss;
        ++count;
      }
      logits = plain->step(id);
    }
  }
  const auto session = make(model, {.context = window, .batch = window, .all_logits = true});
  u32 reports = 0;
  const auto report = measure_perplexity(*session, model, text, {.on_progress = [&](const auto&) { ++reports; }});
  must(report);
  REQUIRE(report->tokens_counted == count);
  REQUIRE(report->tokens_counted == windows * (window / 2 - 1));
  REQUIRE(reports == windows);
  REQUIRE(report->chunks == windows);
  CHECK(report->perplexity == Approx(std::exp(sum / count)).epsilon(0.01));
  const f64 variance = squares / count - sum / count * sum / count;
  CHECK(report->standard_error == Approx(std::sqrt(variance / (count - 1)) * std::exp(sum / count)).epsilon(0.02));
  REQUIRE(measure_perplexity(*session, model, "ab", {}).error().code == ErrorCode::usage);
  must(measure_perplexity(*session, model, text, {.chunks = 1}));
}

TEST_CASE("cancelling stops between submissions, and the session can go on") {
  std::atomic<bool> cancelled = false;
  const auto session = make(tiny_model(), {.context = 32, .batch = 4, .cancelled = &cancelled});
  const std::vector<u32> prompt{1, 3, 5, 7, 11, 13};
  cancelled = true;
  REQUIRE(session->prefill(prompt).error().code == ErrorCode::interrupted);
  cancelled = false;
  must(session->prefill(prompt));
  REQUIRE(session->position() == prompt.size());
}

TEST_CASE("the order in which workgroups and waves run changes no bit") {
  const auto set = reinterpret_cast<int (*)(const char*, const char*)>(dlsym(RTLD_DEFAULT, "amlm_vgpu_set"));
  if (!set) return;                                   // a real GPU has an order of its own
  const std::vector<u32> prompt{1, 20, 30, 40, 50, 60, 70};
  const auto session = make(tiny_model(), {.context = 64, .batch = 64});
  std::vector<u32> ids;
  std::vector<f32> logits;
  for (const char* seed : {"1", "2", "3", "4", "5", "6", "7", "8"}) {
    REQUIRE(set("seed", seed) == 0);
    session->reset();
    const std::vector<u32> now = generate(*session, prompt, 6);
    if (ids.empty()) {
      ids = now;
      logits.assign(session->logits().begin(), session->logits().end());
    }
    INFO("seed " << seed);
    CHECK(now == ids);
    CHECK(std::equal(logits.begin(), logits.end(), session->logits().begin()));
  }
}

namespace {

using SetOption = int (*)(const char*, const char*);

// Eight tokens behind `prompt`; the script holds from the fourth on. What came, and the error that ended it.
struct Outcome { std::vector<u32> ids; std::optional<Error> error; };
Outcome run_with(Session& session, std::span<const u32> prompt, SetOption set, const std::string& script) {
  Sampler sampler = greedy();
  Outcome outcome;
  session.reset();
  must(session.prefill(prompt));
  for (u32 i = 0; i < 8; ++i) {
    if (i == 3) REQUIRE(set("inject", script.c_str()) == 0);
    const auto id = session.next(sampler);
    if (!id) {
      outcome.error = id.error();
      break;
    }
    outcome.ids.push_back(*id);
  }
  REQUIRE(set("inject", "") == 0);
  return outcome;
}

}  // namespace

TEST_CASE("after a GPU fault generation goes on to the same tokens") {
  const std::vector<u32> prompt{1, 20, 30, 40, 50, 60};
  const u32 decode_ahead = GENERATE(0, 2);
  std::string told;
  const SessionOptions options{.context = 64, .batch = 64, .decode_ahead = decode_ahead,
                               .on_fault = [&](const Error& fault) { told = fault.sentence; }};
  const auto session = make(tiny_model(), options);
  const std::vector<u32> wanted = generate(*session, prompt, 8);
  const auto set = reinterpret_cast<SetOption>(dlsym(RTLD_DEFAULT, "amlm_vgpu_set"));
  if (!set) return;                                   // a real GPU does not fail on demand
  struct Row { const char* script; u64 recoveries; const char* says; };
  const Row rows[] = {
      {"CS nth 1: fail ECANCELED", 1, "not through our fault (ECANCELED)"},
      {"WAIT_CS nth 1: fail ENODATA", 1, "(ENODATA"},
      {"JOB nth 1: hang", 1, "did not finish within the job timeout of 2000 ms"},
      {"JOB nth 1: hang full", 1, "did not finish within the job timeout"},
      {"JOB nth 2: hang vram-lost", 1, "VRAM contents were lost"},
      {"JOB nth 1: soft-recovery", 1, "(ENODATA"},
      {"JOB nth 1: reset full", 1, "not through our fault (ECANCELED)"},
      {"JOB nth 1: reset vram-lost", 1, "VRAM contents were lost"},
      {"CS nth 1: reset vram-lost", 1, "VRAM contents were lost"},
      {"DISPATCH nth 5: page-fault at 0x1000 write", 1, "page fault: write at 0x1000, in no buffer"},
      {"DISPATCH nth 3: stall 3s", 1, "did not finish within the job timeout"},
      {"DISPATCH nth 4: hang; JOB nth 4: hang", 2, "did not finish"},
      {"CS nth 1: reset queue", 0, ""},
      {"CS nth 1-3: fail ENOMEM", 0, ""},
      {"CS nth 1: fail EINTR; WAIT_CS nth 2: fail EAGAIN", 0, ""},
      {"CS nth 1: gtt 64GiB; CS nth 3: gtt 0B", 0, ""},
  };
  for (const Row& row : rows) {
    INFO(row.script << ", decode_ahead " << decode_ahead);
    told.clear();
    const u64 before = session->stats().recoveries;
    const Outcome outcome = run_with(*session, prompt, set, row.script);
    if (outcome.error) FAIL(outcome.error->sentence);
    CHECK(outcome.ids == wanted);
    CHECK(session->stats().recoveries - before == row.recoveries);
    CHECK(told.empty() == (row.recoveries == 0));
    INFO(told);
    CHECK(told.find(row.says) != std::string::npos);
    CHECK((told.empty() || told.starts_with("after ")));
  }
}

TEST_CASE("a GPU fault that recovery does not mend ends with its error, and the next session works") {
  const std::vector<u32> prompt{1, 20, 30, 40, 50, 60};
  const auto set = reinterpret_cast<SetOption>(dlsym(RTLD_DEFAULT, "amlm_vgpu_set"));
  if (!set) return;                                   // a real GPU does not fail on demand
  const std::vector<u32> wanted = generate(*make(tiny_model(), {.context = 64, .batch = 64}), prompt, 8);
  using namespace std::chrono_literals;
  struct Row { const char* script; ErrorCode code; const char* says; std::chrono::milliseconds patience = 60s; };
  const Row rows[] = {
      {"JOB: hang", ErrorCode::gpu_fault, "did not finish within the job timeout"},
      {"CS: fail ECANCELED", ErrorCode::gpu_fault, "ECANCELED"},
      {"WAIT_CS: fail ETIME", ErrorCode::gpu_fault, "ETIME"},
      {"DISPATCH: page-fault at 0x1000", ErrorCode::gpu_fault, "page fault: read at 0x1000"},
      {"CS: fail ENODEV", ErrorCode::kernel, "the kernel refuses a submission: No such device"},
      {"CS nth 2: gtt 64GiB", ErrorCode::memory, "other processes use too much memory"},
      {"JOB nth 1: hang; CTX from 1: fail ENOMEM", ErrorCode::kernel, "refuses a new submission context"},
      {"JOB nth 1: stuck", ErrorCode::gpu_fault, "has not finished after 0.3 s, and the kernel has not cancelled", 300ms},
  };
  for (const Row& row : rows) {
    INFO(row.script);
    auto session = make(tiny_model(), {.context = 64, .batch = 64, .patience = row.patience});
    const Outcome outcome = run_with(*session, prompt, set, row.script);
    REQUIRE(outcome.error);
    INFO(outcome.error->sentence);
    CHECK(outcome.error->code == row.code);
    CHECK(outcome.error->sentence.find(row.says) != std::string::npos);
    CHECK(std::equal(outcome.ids.begin(), outcome.ids.end(), wanted.begin()));
    session.reset();
    CHECK(generate(*make(tiny_model(), {.context = 64, .batch = 64}), prompt, 8) == wanted);
  }
  const auto strict = make(tiny_model(), {.context = 64, .batch = 64, .recover = false});
  CHECK(run_with(*strict, prompt, set, "CS nth 1: fail ECANCELED").ids.size() == 3);
}

TEST_CASE("weights that change in GPU memory are found by name") {
  const Model& model = demo_model();
  auto weights = Weights::load(device(), model, {});
  must(weights);
  must(weights->verify({}));
  const Weight& weight = model.layers()[5].wv;
  u8& byte = weights->buffer(weight).data()[weight.tensor->size_bytes / 2];
  byte ^= 1;
  const auto changed = weights->verify({});
  REQUIRE_FALSE(changed.has_value());
  REQUIRE(changed.error().sentence.find("'blk.5.attn_v.weight'") != std::string::npos);
  byte ^= 1;
  must(weights->verify({}));
}

TEST_CASE("a model of zeros and a model of NaN are refused by name") {
  tests::GgufBuilder builder = tests::tiny_llama();
  const auto refused = [&](std::string_view part) {
    const tests::Bytes bytes = builder.build();
    auto file = GgufFile::parse(ByteSource::from_bytes(bytes, "test"));
    const auto model = Model::load(*std::move(file));
    must(model);
    const auto session = Session::create(device(), **model, {.context = 32, .batch = 32});
    REQUIRE_FALSE(session.has_value());
    INFO(session.error().sentence);
    REQUIRE(session.error().code == ErrorCode::bad_model);
    REQUIRE(session.error().sentence.find(part) != std::string::npos);
  };
  const f32 not_a_number = NAN;
  std::memcpy(builder.tensor("blk.0.ffn_up.weight").data.data() + 400, &not_a_number, 4);
  refused("tensor 'blk.0.ffn_up.weight' holds a number that is not finite");
  for (auto& tensor : builder.tensors) std::fill(tensor.data.begin(), tensor.data.end(), u8{0});
  refused("all zeros");
}
