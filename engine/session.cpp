#include "engine/session.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "driver/queue.h"
#include "engine/forward.h"
#include "engine/loader.h"
#include "engine/plan.h"
#include "engine/sampler/sampler.h"

namespace amlm {

namespace {

using Clock = std::chrono::steady_clock;
f64 seconds_since(Clock::time_point start) { return std::chrono::duration<f64>(Clock::now() - start).count(); }

// cos and sin of every position and pair; pairs that do not turn have an angle of 0.
void fill_rope(const Model& model, u32 context, std::span<const f32> factors, f32* table) {
  const ModelConfig& c = model.config();
  const u32 pairs = c.head_size / 2, turning = c.rope_dimensions / 2;
  for (u32 pair = 0; pair < pairs; ++pair) {
    f64 frequency = 0;
    if (pair < turning) {
      frequency = std::pow(static_cast<f64>(c.rope_base), -2.0 * pair / c.rope_dimensions) / c.rope_scale;
      if (!factors.empty()) frequency /= factors[pair];
    }
    for (u64 position = 0; position < context; ++position) {
      const f64 angle = static_cast<f64>(position) * frequency;
      table[(position * pairs + pair) * 2] = static_cast<f32>(std::cos(angle));
      table[(position * pairs + pair) * 2 + 1] = static_cast<f32>(std::sin(angle));
    }
  }
}

Result<std::vector<f32>> read_rope_factors(const Model& model) {
  if (!model.rope_factors().tensor) return std::vector<f32>();
  std::vector<f32> factors(model.rope_factors().columns);
  TRY_VOID(model.file().read(*model.rope_factors().tensor, 0,
                             {reinterpret_cast<u8*>(factors.data()), factors.size() * sizeof(f32)}));
  for (const f32 factor : factors)
    if (!std::isfinite(factor) || factor <= 0)
      return fail(ErrorCode::bad_model, "tensor 'rope_freqs.weight' holds a factor that is not a positive number");
  return factors;
}

}  // namespace

// One of two sets of prefill commands: while the GPU runs one, the CPU writes the other.
struct PrefillSlot {
  Buffer kernargs, ib;
  u64 point = 0;            // of its last submission
};

struct Session::Impl {
  Device& device;
  const Model& model;
  SessionOptions options;
  Plan plan;
  CodeObject code;
  KernelSet kernels;
  Weights weights;
  std::vector<Buffer> activations, caches;
  Buffer rope, decode_kernargs, decode_ib;
  PrefillSlot slots[2];
  std::optional<Queue> queue;
  GpuMap map;
  f64 limit_seconds = 0;

  EncodedIbs decode;
  Steps steps;                             // of the prefill batch being written
  kernels::State* state = nullptr;
  u32* token_list = nullptr;               // GpuMap::tokens
  const f32* logits = nullptr;
  const f32* batch_logits = nullptr;
  u32 batch_tokens = 0;                    // of the last prefill batch
  u32 logits_from = 0;

  std::vector<u32> history;                // tokens in the cache, then the one that next() returned last
  u32 in_cache = 0;
  bool has_logits = false;                 // of token in_cache - 1, and the GPU's choice is in token_list[in_cache]
  std::vector<u64> ahead;                  // points of decode submissions beyond in_cache, oldest first
  u64 waited = 0;                          // the last point known to be reached
  std::optional<Error> lost;               // a fault that recovery did not mend: what the cache holds is unknown
  u32 last_fault_position = ~0u;
  SessionStats stats;

  Impl(Device& d, const Model& m, const SessionOptions& o) : device(d), model(m), options(o) {}

  bool cancelled() const { return options.cancelled && options.cancelled->load(); }
  Result<void> allocate();
  Result<void> write_rope();
  void map_weights();
  void write_decode();
  Result<void> accepts(std::span<const u32> tokens) const;
  Result<void> run_prefill(std::span<const u32> tokens);
  Result<void> submit_batch(const PrefillBatch& batch, PrefillSlot& slot);
  Result<u64> submit_decode();
  Result<void> wait(u64 point);
  Result<void> settle();
  Result<void> recover(const Error& fault);
  template <class Work> Result<void> guarded(Work&& work);
  Result<void> decode_pending();
  Result<void> greedy_step();
};

Result<void> Session::Impl::allocate() {
  for (const PlannedBuffer& planned : plan.activations) {
    Buffer buffer = TRY(device.allocate({.size_bytes = planned.size_bytes, .use = planned.use,
                                         .label = planned.label}));
    map.*planned.address = buffer.va();
    if (planned.use == MemoryUse::shared) std::memset(buffer.data(), 0, buffer.size_bytes());
    if (planned.address == &GpuMap::state) state = buffer.as<kernels::State>();
    if (planned.address == &GpuMap::tokens) token_list = buffer.as<u32>();
    if (planned.address == &GpuMap::logits) logits = buffer.as<f32>();
    if (planned.address == &GpuMap::batch_logits) batch_logits = buffer.as<f32>();
    activations.push_back(std::move(buffer));
  }
  map.layers.resize(model.config().layers);
  map.context = plan.context;
  for (u32 i = 0; i < model.config().layers; ++i) {
    const std::string layer = std::to_string(i);
    for (const bool is_key : {true, false}) {
      Buffer cache = TRY(device.allocate({.size_bytes = plan.kv_layer_bytes, .use = MemoryUse::gpu_only,
                                          .label = (is_key ? "k_cache." : "v_cache.") + layer}));
      (is_key ? map.layers[i].k_cache : map.layers[i].v_cache) = cache.va();
      caches.push_back(std::move(cache));
    }
  }
  const auto commands = [&](u64 size_bytes, const char* label) {
    return device.allocate({.size_bytes = size_bytes, .use = MemoryUse::shared, .label = label});
  };
  decode_kernargs = TRY(commands(plan.decode_kernarg_bytes, "decode kernargs"));
  decode_ib = TRY(commands(plan.decode_ib_bytes, "decode IB"));
  for (PrefillSlot& slot : slots) {
    slot.kernargs = TRY(commands(plan.prefill_kernarg_bytes, "prefill kernargs"));
    slot.ib = TRY(commands(plan.prefill_ib_bytes, "prefill IB"));
  }
  history.reserve(plan.context + 1);
  ahead.reserve(options.decode_ahead + 1);
  return {};
}

Result<void> Session::Impl::write_rope() {
  rope = TRY(device.allocate({.size_bytes = plan.rope_bytes, .use = MemoryUse::weights, .label = "rope"}));
  map.rope = rope.va();
  const std::vector<f32> factors = TRY(read_rope_factors(model));
  fill_rope(model, plan.context, factors, rope.as<f32>());
  return {};
}

void Session::Impl::map_weights() {
  map.embedding = weights.matrix(model.embedding());
  map.output = weights.matrix(model.output());
  map.output_norm = weights.vector(model.output_norm());
  for (u32 i = 0; i < model.config().layers; ++i) {
    const LayerWeights& w = model.layers()[i];
    GpuMap::Layer& layer = map.layers[i];
    layer.attn_norm = weights.vector(w.attn_norm);
    layer.ffn_norm = weights.vector(w.ffn_norm);
    layer.wq = weights.matrix(w.wq);
    layer.wk = weights.matrix(w.wk);
    layer.wv = weights.matrix(w.wv);
    layer.wo = weights.matrix(w.wo);
    layer.gate = weights.matrix(w.gate);
    layer.up = weights.matrix(w.up);
    layer.down = weights.matrix(w.down);
  }
}

void Session::Impl::write_decode() {
  Steps list;
  decode_forward(list, model, kernels, map, plan.context);
  decode = encode(list, limit_seconds, decode_kernargs, decode_ib);
  plan.cost.submits = static_cast<u32>(decode.ibs.size());
  plan.cost.dispatches = decode.counts.dispatches;
  plan.cost.barriers = decode.counts.barriers;
}

Result<std::unique_ptr<Session>> Session::create(Device& device, const Model& model, const SessionOptions& options) {
  const auto start = Clock::now();
  std::unique_ptr<Session> session(new Session(std::make_unique<Impl>(device, model, options)));
  Impl& impl = *session->impl_;
  impl.code = TRY(CodeObject::load(device, kernels::code_object(), "kernels"));
  impl.kernels = TRY(KernelSet::resolve(impl.code, model));
  const u64 gtt_free_bytes = TRY(device.gtt_free_bytes());
  impl.plan = TRY(choose_plan(model, impl.kernels, options, device.facts(), read_memory_room(gtt_free_bytes)));
  if (options.on_plan) options.on_plan(impl.plan.memory);
  impl.limit_seconds = static_cast<f64>(device.facts().job_budget_ms()) / 1000;
  impl.queue = TRY(Queue::create(device));
  TRY_VOID(impl.allocate());
  TRY_VOID(impl.write_rope());
  impl.weights = TRY(Weights::load(device, model, {options.on_progress, options.cancelled}));
  impl.map_weights();
  impl.write_decode();
  impl.stats.load_seconds = seconds_since(start);
  return session;
}

// --- Submitting ----------------------------------------------------------------------------------------------------

// Looks up now and then: what was submitted goes on after a cancellation, and settle() waits for it later.
Result<void> Session::Impl::wait(u64 point) {
  constexpr auto slice = std::chrono::milliseconds(250);
  // The kernel ends a job that hangs long before. A virtual GPU has no clock but its own.
  auto patience = options.patience;
  if (patience.count() == 0) patience = device.facts().is_virtual ? std::chrono::hours(24) : std::chrono::minutes(2);
  const auto start = Clock::now();
  for (;;) {
    auto result = queue->wait(point, std::min<std::chrono::milliseconds>(slice, patience));
    if (result) waited = std::max(waited, point);
    if (result || result.error().errno_value != ETIMEDOUT) return result;
    if (cancelled()) return fail(ErrorCode::interrupted, "interrupted");
    if (Clock::now() - start < patience) continue;
    lost = Queue::unfinished(patience);
    return std::unexpected(*lost);
  }
}

Result<void> Session::Impl::submit_batch(const PrefillBatch& batch, PrefillSlot& slot) {
  if (slot.point != 0) TRY_VOID(wait(slot.point));
  steps.clear();
  prefill_forward(steps, model, kernels, map, batch);
  const EncodedIbs encoded = encode(steps, limit_seconds, slot.kernargs, slot.ib);
  for (const BufferView& ib : encoded.ibs) {
    if (cancelled()) return fail(ErrorCode::interrupted, "interrupted");
    slot.point = TRY(queue->submit({&ib, 1}));
  }
  return {};
}

// Puts tokens at in_cache and after into the cache. Leaves the logits and the choice of the last.
Result<void> Session::Impl::run_prefill(std::span<const u32> tokens) {
  std::copy(tokens.begin(), tokens.end(), token_list + in_cache);
  // The prefill kernels do not read the state; the choice at the end takes the position of the last token from it.
  state->position = in_cache + static_cast<u32>(tokens.size()) - 1;
  state->token = tokens.back();
  u32 done = 0;
  for (u32 turn = 0; done < tokens.size(); ++turn) {
    if (cancelled()) return fail(ErrorCode::interrupted, "interrupted");
    const u32 count = std::min(plan.batch, static_cast<u32>(tokens.size()) - done);
    const bool last = done + count == tokens.size();
    TRY_VOID(submit_batch({.first_position = in_cache + done, .tokens = count, .last_logits = last,
                           .batch_logits_from = last && batch_logits ? logits_from : ~0u}, slots[turn % 2]));
    done += count;
    batch_tokens = count;
  }
  TRY_VOID(wait(queue->submitted()));
  in_cache += static_cast<u32>(tokens.size());
  has_logits = true;
  return {};
}

Result<u64> Session::Impl::submit_decode() {
  u64 point = 0;
  for (const BufferView& ib : decode.ibs) point = TRY(queue->submit({&ib, 1}));
  return point;
}

// Waits for what was submitted ahead and forgets it: its entries in the cache lie past in_cache and are written again.
Result<void> Session::Impl::settle() {
  if (lost) return std::unexpected(*lost);
  if (!ahead.empty()) has_logits = false;
  ahead.clear();
  return queue->submitted() > waited ? wait(queue->submitted()) : Result<void>();
}

// Whoever still runs may still write: there is nothing to go on with.
bool is_unfinished(const Error& error) { return error.errno_value == ETIMEDOUT; }

// A new context, the weights compared with their hashes, and the cache filled again from the tokens it held.
Result<void> Session::Impl::recover(const Error& fault) {
  if (!options.recover || fault.code != ErrorCode::gpu_fault || is_unfinished(fault) || last_fault_position == in_cache)
    return std::unexpected(fault);
  last_fault_position = in_cache;
  ++stats.recoveries;
  if (options.on_fault) options.on_fault(fault);
  lost = fault;                            // until the cache is whole again
  TRY_VOID(queue->recover());
  waited = queue->submitted();
  TRY_VOID(weights.verify({{}, options.cancelled}));
  ahead.clear();
  for (PrefillSlot& slot : slots) slot.point = 0;
  const u32 count = in_cache;
  in_cache = 0;
  has_logits = false;
  if (count != 0) TRY_VOID(run_prefill(std::span<const u32>(history).first(count)));
  lost.reset();
  return {};
}

// Work that may meet a GPU fault: once more after recovery, then the fault is the caller's.
template <class Work> Result<void> Session::Impl::guarded(Work&& work) {
  Result<void> result = work();
  if (result || result.error().code != ErrorCode::gpu_fault) return result;
  Error fault = result.error();
  fault.sentence = "after " + std::to_string(in_cache) + " tokens: " + fault.sentence;
  TRY_VOID(recover(fault));
  return work();
}

// Takes history[in_cache] into the cache; afterwards there are logits and a choice.
Result<void> Session::Impl::decode_pending() {
  if (cancelled()) return fail(ErrorCode::interrupted, "interrupted");
  state->token = history[in_cache];
  state->position = in_cache;
  token_list[in_cache] = history[in_cache];
  const u64 point = TRY(submit_decode());
  TRY_VOID(wait(point));
  ++in_cache;
  has_logits = true;
  return {};
}

// The same without the CPU in the loop: the GPU has its own choice in the state and goes on with it.
Result<void> Session::Impl::greedy_step() {
  if (cancelled()) return fail(ErrorCode::interrupted, "interrupted");
  if (ahead.empty()) {
    state->token = history[in_cache];
    state->position = in_cache;
    token_list[in_cache] = history[in_cache];
  }
  while (ahead.size() <= options.decode_ahead && in_cache + ahead.size() < plan.context)
    ahead.push_back(TRY(submit_decode()));
  const u64 point = ahead.front();
  ahead.erase(ahead.begin());
  TRY_VOID(wait(point));
  ++in_cache;
  has_logits = true;
  return {};
}

// --- What tools see ------------------------------------------------------------------------------------------------

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Session::~Session() {
  // Buffers may not die under the GPU. A wait that fails leaves nothing running: the kernel has ended the context.
  // The queue itself waits a little for one that it did not end.
  if (!impl_ || !impl_->queue || impl_->queue->submitted() <= impl_->waited) return;
  if (impl_->lost && is_unfinished(*impl_->lost)) return;
  impl_->options.cancelled = nullptr;
  (void)impl_->wait(impl_->queue->submitted());
}

// Room in the context, and ids of this vocabulary.
Result<void> Session::Impl::accepts(std::span<const u32> tokens) const {
  const u64 total = history.size() + tokens.size();
  if (total > plan.context)
    return fail(ErrorCode::too_long, "the text has " + std::to_string(total) + " tokens and the context " +
                                         std::to_string(plan.context) + "; shorten it or raise --ctx");
  for (const u32 id : tokens)
    if (id >= model.config().vocabulary)
      return fail(ErrorCode::usage, "token " + std::to_string(id) + " is not in the vocabulary of " +
                                        std::to_string(model.config().vocabulary));
  return {};
}

Result<void> Session::prefill(std::span<const u32> tokens) {
  Impl& impl = *impl_;
  TRY_VOID(impl.settle());
  TRY_VOID(impl.accepts(tokens));
  if (impl.history.size() + tokens.size() == impl.in_cache) return {};
  const auto start = Clock::now();
  const size_t before = impl.history.size();
  impl.history.insert(impl.history.end(), tokens.begin(), tokens.end());
  const Result<void> result = impl.guarded([&] {
    return impl.run_prefill(std::span<const u32>(impl.history).subspan(impl.in_cache));
  });
  if (!result) {
    impl.history.resize(std::max<size_t>(before, impl.in_cache));
    return result;
  }
  impl.stats.prefill_tokens += tokens.size();
  impl.stats.prefill_seconds += seconds_since(start);
  return {};
}

Result<void> Session::prefill_by_token(std::span<const u32> tokens) {
  Impl& impl = *impl_;
  TRY_VOID(impl.settle());
  TRY_VOID(impl.accepts(tokens));
  const auto start = Clock::now();
  impl.history.insert(impl.history.end(), tokens.begin(), tokens.end());
  while (impl.in_cache < impl.history.size()) TRY_VOID(impl.guarded([&] { return impl.decode_pending(); }));
  impl.stats.prefill_tokens += tokens.size();
  impl.stats.prefill_seconds += seconds_since(start);
  return {};
}

Result<u32> Session::next(Sampler& sampler) {
  Impl& impl = *impl_;
  check(!impl.history.empty(), "next() before prefill()");
  if (impl.lost) return std::unexpected(*impl.lost);
  const auto start = Clock::now();
  const bool greedy = sampler.is_greedy();
  const bool pending = impl.in_cache < impl.history.size();
  if (pending) {
    if (impl.in_cache >= impl.plan.context)
      return fail(ErrorCode::too_long, "the context of " + std::to_string(impl.plan.context) +
                                           " tokens is full; start again with a larger --ctx");
    if (!greedy) TRY_VOID(impl.settle());
    TRY_VOID(impl.guarded([&] { return greedy ? impl.greedy_step() : impl.decode_pending(); }));
    ++impl.stats.decode_tokens;
  }
  check(impl.has_logits, "logits of the last token");
  u32 id = 0;
  if (greedy) {
    id = impl.token_list[impl.in_cache];
    sampler.accept(id);
  } else {
    id = sampler.sample({impl.logits, impl.model.config().vocabulary});
  }
  impl.history.push_back(id);
  impl.stats.decode_seconds += seconds_since(start);
  return id;
}

void Session::reset() {
  (void)impl_->settle();           // a fault of abandoned work is met again by the next submission, or never
  impl_->history.clear();
  impl_->in_cache = 0;
  impl_->has_logits = false;
  impl_->last_fault_position = ~0u;
}

u32 Session::position() const { return impl_->in_cache; }
u32 Session::context() const { return impl_->plan.context; }
std::span<const f32> Session::logits() const { return {impl_->logits, impl_->model.config().vocabulary}; }
std::span<const f32> Session::batch_logits() const {
  if (!impl_->batch_logits) return {};
  return {impl_->batch_logits, u64{impl_->batch_tokens} * impl_->model.config().vocabulary};
}
void Session::keep_logits_from(u32 batch_token) { impl_->logits_from = batch_token; }
const TokenCost& Session::cost() const { return impl_->plan.cost; }
const SessionStats& Session::stats() const { return impl_->stats; }
const MemoryPlan& Session::plan() const { return impl_->plan.memory; }
const Model& Session::model() const { return impl_->model; }
std::span<u32> Session::decode_ib() {
  const BufferView& last = impl_->decode.ibs.back();
  return {impl_->decode_ib.as<u32>(), (last.va + last.size_bytes - impl_->decode_ib.va()) / 4};
}
std::string Session::print_decode_ib() const {
  std::string out;
  const auto name_of = [&](u64 va) {
    const std::string kernel = impl_->code.describe(va);
    return kernel.empty() ? impl_->device.describe(va) : kernel;
  };
  for (const BufferView& ib : impl_->decode.ibs)
    out += print_ib({impl_->decode_ib.as<const u32>(ib.va - impl_->decode_ib.va()), ib.size_bytes / 4}, ib.va, name_of);
  return out;
}

}  // namespace amlm
