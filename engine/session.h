// A model on a device, ready to take tokens: what the tools see of the engine.
//
//   auto model = TRY(Model::open("model.gguf"));
//   auto session = TRY(Session::create(*device, *model, {.context = 1024}));
//   TRY_VOID(session->prefill(ids));
//   for (;;) { u32 id = TRY(session->next(sampler)); ... }
//
// Always holds: after create() nothing allocates; one CS ioctl per decoded token; the decode IB is never rewritten.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"
#include "engine/load_progress.h"

namespace amlm {

class Model;      // engine/model: GGUF, configuration, tokenizer
class Sampler;    // engine/sampler

// What create() will allocate, before it does.
struct MemoryPlan {
  struct Line { std::string what; u64 size_bytes = 0; };
  std::vector<Line> lines;                   // weights, KV cache, activations, command buffers, ...
  u64 total_bytes() const;
  std::string print(const DeviceFacts& facts, u64 gtt_free_bytes) const;   // the table a user sees
};

struct SessionOptions {
  u32 context = 0;                           // tokens; 0 = the model's own, at most what fits
  u32 batch = 512;                           // prefill tokens per batch
  bool all_logits = false;                   // keep logits of every prefill token (perplexity)
  // Greedy decoding submits this many tokens ahead of the one it returns: the GPU never waits for the CPU. Then
  // logits() may already be those of a later token; 0 keeps them in step.
  u32 decode_ahead = 0;
  std::chrono::milliseconds patience{0};     // with one submission that the kernel does not end; 0 = by the device
  bool recover = true;                       // after a GPU fault go on from the last good token; false: return it
  std::function<void(const Error&)> on_fault;     // told of each fault that recovery is tried for
  std::function<void(const MemoryPlan&)> on_plan;
  std::function<void(const LoadProgress&)> on_progress;
  const std::atomic<bool>* cancelled = nullptr;   // checked between submissions: ErrorCode::interrupted
};

// What one decoded token costs, from the plan (counted, not measured).
struct TokenCost {
  u64 weight_bytes = 0;                      // read once a token
  u64 kv_bytes_per_position = 0;             // read, for each position attended to
  u32 dispatches = 0, barriers = 0, submits = 0;
  u32 layers = 0;
  f64 dispatches_per_layer = 0, barriers_per_layer = 0;
};

struct SessionStats {
  u64 prefill_tokens = 0, decode_tokens = 0;
  f64 prefill_seconds = 0, decode_seconds = 0, load_seconds = 0;
  u64 recoveries = 0;
};

class Session {
 public:
  // Device and model outlive the session.
  static Result<std::unique_ptr<Session>> create(Device& device, const Model& model, const SessionOptions& options);
  ~Session();

  // Runs the prompt through the GPU in batches; afterwards logits() are those of its last token. A token that next()
  // returned and that is not yet in the context goes in first. too_long when the context cannot hold it all.
  Result<void> prefill(std::span<const u32> tokens);
  // The same, one token at a time through the decode path (tests compare both).
  Result<void> prefill_by_token(std::span<const u32> tokens);
  // The next token: greedy on the GPU when the sampler is greedy, else sampled from logits() on the CPU.
  // The token is taken into the context by the following call. too_long when the context is full.
  Result<u32> next(Sampler& sampler);
  // Forgets everything: position 0.
  void reset();

  u32 position() const;                      // tokens in the KV cache
  u32 context() const;
  std::span<const f32> logits() const;       // of the last token, vocabulary long
  // With all_logits: f32[tokens of the last prefill batch][vocabulary]. Rows before keep_logits_from() are stale.
  std::span<const f32> batch_logits() const;
  void keep_logits_from(u32 batch_token);    // for the next prefills; saves half of a perplexity window's output matrix

  const TokenCost& cost() const;
  const SessionStats& stats() const;
  const MemoryPlan& plan() const;
  const Model& model() const;
  std::string print_decode_ib() const;
  // The decode step's indirect buffer, CPU-mapped: tests mutate it.
  std::span<u32> decode_ib();

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl>);
  std::unique_ptr<Impl> impl_;
};

}  // namespace amlm
