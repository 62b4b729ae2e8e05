#include "engine/plan.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/loader.h"

namespace amlm {

namespace {

constexpr u64 page_bytes = 4096;
constexpr u32 smallest_context = 256, context_step = 256, batch_limit = 1u << 16;

u64 pages(u64 size_bytes) { return (size_bytes + page_bytes - 1) / page_bytes * page_bytes; }

std::string mebibytes(u64 size_bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<f64>(size_bytes) / (1 << 20));
  return text;
}

GpuMap empty_map(const Model& model, u32 context) {
  GpuMap map;
  map.layers.resize(model.config().layers);
  map.context = context;
  return map;
}

void plan_activations(Plan& plan, const Model& model, bool all_logits) {
  const ModelConfig& c = model.config();
  const u64 n = plan.batch, groups = (c.vocabulary + kernels::gemv_group_rows - 1) / kernels::gemv_group_rows;
  const u64 splits = decode_splits(plan.context);
  const auto add = [&](const char* label, u64 size_bytes, MemoryUse use, u64 GpuMap::* address) {
    plan.activations.push_back({label, pages(size_bytes), use, address});
  };
  add("state", sizeof(kernels::State), MemoryUse::shared, &GpuMap::state);
  add("tokens", (u64{plan.context} + 1) * 4, MemoryUse::shared, &GpuMap::tokens);
  add("logits", u64{c.vocabulary} * 4, MemoryUse::shared, &GpuMap::logits);
  add("best", groups * 8, MemoryUse::gpu_only, &GpuMap::best);
  add("x", n * c.embedding * 4, MemoryUse::gpu_only, &GpuMap::x);
  add("q", n * c.q_rows() * 2, MemoryUse::gpu_only, &GpuMap::q);
  add("partial_out", u64{c.heads} * splits * c.head_size * 4, MemoryUse::gpu_only, &GpuMap::partial_out);
  add("partial_stat", u64{c.heads} * splits * 2 * 4, MemoryUse::gpu_only, &GpuMap::partial_stat);
  add("h", n * c.feed_forward * 2, MemoryUse::gpu_only, &GpuMap::h);
  add("gate_up", n * c.feed_forward * 2 * 4, MemoryUse::gpu_only, &GpuMap::gate_up);
  add("normed", n * c.embedding * 2, MemoryUse::gpu_only, &GpuMap::normed);
  add("qkv", n * (c.q_rows() + 2 * c.kv_rows()) * 4, MemoryUse::gpu_only, &GpuMap::qkv);
  add("attended", n * c.q_rows() * 2, MemoryUse::gpu_only, &GpuMap::attended);
  if (all_logits) add("batch_logits", n * c.vocabulary * 4, MemoryUse::shared, &GpuMap::batch_logits);
  const auto mixed = [](const LayerWeights& w) { return w.gate.type != w.up.type; };
  if (std::any_of(model.layers().begin(), model.layers().end(), mixed)) {
    const u64 ff_groups = (c.feed_forward + kernels::gemv_group_rows - 1) / kernels::gemv_group_rows;
    add("unused_best", 2 * ff_groups * 8, MemoryUse::gpu_only, &GpuMap::unused_best);
  }
}

// Any two submissions in a row together exceed the limit, so there are at most twice as many as the time asks for.
u64 submissions_bound(const Steps& steps, f64 limit_seconds) {
  if (limit_seconds <= 0) return 1;
  f64 seconds = 0;
  for (const Step& step : steps.steps()) seconds += step.seconds();
  return static_cast<u64>(std::ceil(2 * seconds / limit_seconds)) + 2;
}

void plan_commands(Plan& plan, const Model& model, const KernelSet& kernels, const PlanRequest& request) {
  const GpuMap map = empty_map(model, plan.context);
  const f64 limit_seconds = request.limit_seconds;
  Steps decode;
  decode_forward(decode, model, kernels, map, plan.context);
  plan.decode_kernarg_bytes = pages(decode.kernargs().size());
  plan.decode_ib_bytes = pages(ib_bytes_bound(decode, submissions_bound(decode, limit_seconds)));
  Steps prefill;
  prefill_forward(prefill, model, kernels, map,
                  {.first_position = plan.context - plan.batch, .tokens = plan.batch, .last_logits = true,
                   .batch_logits_from = request.all_logits ? 0 : ~0u});
  plan.prefill_kernarg_bytes = pages(prefill.kernargs().size());
  plan.prefill_ib_bytes = pages(ib_bytes_bound(prefill, submissions_bound(prefill, limit_seconds)));
}

void plan_cost(Plan& plan, const Model& model, const KernelSet& kernels, f64 limit_seconds) {
  const ModelConfig& c = model.config();
  Steps steps;
  decode_forward(steps, model, kernels, empty_map(model, plan.context), 0);
  plan.cost.weight_bytes = steps.cost().bytes;
  plan.cost.kv_bytes_per_position = u64{c.layers} * c.kv_rows() * 2 * 2;
  plan.cost.submits = static_cast<u32>(cut_submissions(steps, limit_seconds).size());
  plan.cost.dispatches = static_cast<u32>(steps.steps().size());
  plan.cost.barriers = steps.barriers();
  plan.cost.layers = c.layers;
  // The embedding, the logits and the choice stand outside the layers, with the last two's barriers.
  plan.cost.dispatches_per_layer = (plan.cost.dispatches - 3.0) / c.layers;
  plan.cost.barriers_per_layer = (plan.cost.barriers - 2.0) / c.layers;
}

std::unexpected<Error> does_not_fit(const Plan& plan, u32 fitting_context, const DeviceFacts& facts,
                                    const MemoryRoom& room) {
  const u64 need = plan.memory.total_bytes();
  const bool gtt = need > room.gtt_free_bytes;
  std::string sentence = "the model needs " + mebibytes(need) + " of GPU memory with a context of " +
                         std::to_string(plan.context) + " tokens, and ";
  sentence += gtt ? mebibytes(room.gtt_free_bytes) + " of GTT are free; "
                  : mebibytes(room.host_available_bytes) + " of this machine's memory can be had (MemAvailable less a "
                                                           "reserve); ";
  if (fitting_context != 0) sentence += "--ctx " + std::to_string(fitting_context) + " fits; or ";
  else sentence += "take a smaller model, or ";
  const u64 wanted_pages = (facts.gtt_total_bytes + need - std::min(need, room.gtt_free_bytes)) / page_bytes;
  sentence += gtt ? "raise the limit: boot with ttm.pages_limit=" + std::to_string(wanted_pages) + " or more"
                  : "close other programs";
  return fail(ErrorCode::memory, sentence);
}

}  // namespace

u64 MemoryPlan::total_bytes() const {
  u64 sum = 0;
  for (const Line& line : lines) sum += line.size_bytes;
  return sum;
}

std::string MemoryPlan::print(const DeviceFacts& facts, u64 gtt_free_bytes) const {
  std::string out;
  const auto line = [&](const std::string& what, u64 size_bytes) {
    const std::string size = mebibytes(size_bytes);
    out += "  " + what + std::string(what.size() < 36 ? 36 - what.size() : 1, ' ');
    out += std::string(size.size() < 14 ? 14 - size.size() : 1, ' ') + size + "\n";
  };
  for (const Line& entry : lines) line(entry.what, entry.size_bytes);
  line("total", total_bytes());
  line("GTT free of " + mebibytes(facts.gtt_total_bytes), gtt_free_bytes);
  return out;
}

Plan make_plan(const Model& model, const KernelSet& kernels, const PlanRequest& request) {
  const ModelConfig& c = model.config();
  Plan plan;
  plan.context = request.context;
  plan.batch = std::clamp(std::min(request.batch, request.context), 1u, batch_limit);
  plan.kv_layer_bytes = pages(u64{plan.context} * c.kv_rows() * 2);
  plan.rope_bytes = pages(u64{plan.context} * c.head_size / 2 * 2 * 4);
  plan_activations(plan, model, request.all_logits);
  plan_commands(plan, model, kernels, request);
  plan_cost(plan, model, kernels, request.limit_seconds);

  u64 weights = 0, activations = plan.rope_bytes;
  for (const Weight& weight : weights_to_load(model))
    weights += pages(plane_layout(weight.type, weight.rows, weight.columns).size_bytes);
  for (const PlannedBuffer& buffer : plan.activations) activations += buffer.size_bytes;
  plan.memory.lines = {
      {"weights", weights},
      {"KV cache, f16, " + std::to_string(plan.context) + " tokens", 2 * c.layers * plan.kv_layer_bytes},
      {"activations, " + std::to_string(plan.batch) + " tokens a batch", activations},
      {"command buffers", plan.decode_kernarg_bytes + plan.decode_ib_bytes +
                              2 * (plan.prefill_kernarg_bytes + plan.prefill_ib_bytes)}};
  return plan;
}

MemoryRoom read_memory_room(u64 gtt_free_bytes) {
  constexpr u64 reserve_bytes = u64{512} << 20;          // for everything else that runs, this process included
  MemoryRoom room{.gtt_free_bytes = gtt_free_bytes};
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    u64 kibibytes = 0;
    if (word != "MemAvailable:" || !(file >> kibibytes)) continue;
    room.host_available_bytes = kibibytes * 1024 - std::min(kibibytes * 1024, reserve_bytes);
    break;
  }
  return room;
}

Result<Plan> choose_plan(const Model& model, const KernelSet& kernels, const SessionOptions& options,
                         const DeviceFacts& facts, const MemoryRoom& room) {
  PlanRequest request{.context = options.context, .batch = options.batch, .all_logits = options.all_logits,
                      .limit_seconds = static_cast<f64>(facts.job_budget_ms()) / 1000};
  if (request.batch == 0) return fail(ErrorCode::usage, "a batch of 0 tokens was asked for; 1 is the least");
  constexpr u32 context_limit = 1u << 24;
  if (request.context > context_limit)
    return fail(ErrorCode::usage, "a context of " + std::to_string(request.context) + " tokens was asked for; " +
                                      std::to_string(context_limit) + " is the most");
  const bool chosen_by_us = request.context == 0;
  if (chosen_by_us) request.context = model.config().trained_context;
  const auto fits = [&](u32 context) {
    PlanRequest smaller = request;
    smaller.context = context;
    return make_plan(model, kernels, smaller).memory.total_bytes() <=
           std::min(room.gtt_free_bytes, room.host_available_bytes);
  };
  if (fits(request.context)) return make_plan(model, kernels, request);

  u32 low = 0, high = request.context / context_step;        // low steps fit (or none), high do not
  while (high > low + 1) {
    const u32 middle = low + (high - low) / 2;
    (fits(middle * context_step) ? low : high) = middle;
  }
  const u32 fitting = low * context_step;
  if (!chosen_by_us || fitting < smallest_context)
    return does_not_fit(make_plan(model, kernels, request), fitting, facts, room);
  request.context = fitting;
  return make_plan(model, kernels, request);
}

}  // namespace amlm
