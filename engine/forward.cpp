#include "engine/forward.h"

#include <algorithm>

namespace amlm {

namespace {

using namespace kernels;

constexpr u64 f16_bytes = 2, f32_bytes = 4;

u32 groups_of(u32 count, u32 size) { return (count + size - 1) / size; }
u32 gemv_groups(u32 rows) { return groups_of(rows, gemv_group_rows); }
const Kernel* of(const KernelSet::ByType& table, WeightType type) { return table[static_cast<u32>(type)]; }
u64 bytes_of(const Weight& weight) { return weight.tensor->size_bytes; }

// A matrix and `tokens` vectors.
StepCost product(u64 weight_bytes, u32 rows, u32 columns, u32 tokens) {
  return {weight_bytes, 2.0 * rows * columns * tokens};
}

StepCost product(const Weight& weight, u32 tokens = 1) {
  return product(bytes_of(weight), weight.rows, weight.columns, tokens);
}

// One dispatch for each type among wq, wk, wv; they write different places, so no barrier stands between.
void decode_qkv(Steps& out, const ModelConfig& c, const KernelSet& kernel, const GpuMap& gpu, const LayerWeights& w,
                const GpuMap::Layer& layer) {
  for (const WeightType type : distinct_types({w.wq, w.wk, w.wv})) {
    QkvArgs args{.wq = layer.wq, .wk = layer.wk, .wv = layer.wv, .x = gpu.x, .norm_weight = layer.attn_norm,
                 .rope = gpu.rope, .state = gpu.state, .q = gpu.q, .k_cache = layer.k_cache, .v_cache = layer.v_cache,
                 .columns = c.embedding, .q_rows = 0, .k_rows = 0, .v_rows = 0, .head_size = c.head_size,
                 .context = gpu.context, .epsilon = c.epsilon, .padding = 0};
    StepCost cost;
    const auto take = [&](const Weight& weight, u32& rows) {
      if (weight.type != type) return;
      rows = weight.rows;
      cost.bytes += bytes_of(weight);
    };
    take(w.wq, args.q_rows);
    take(w.wk, args.k_rows);
    take(w.wv, args.v_rows);
    const u32 groups = gemv_groups(args.q_rows) + gemv_groups(args.k_rows) + gemv_groups(args.v_rows);
    out.dispatch(of(kernel.qkv, type), args, {groups, 1, 1}, cost);
  }
}

// h = silu(gate) * up. Of one type it is one kernel, else two plain products and the elementwise part.
void decode_gate_up(Steps& out, const ModelConfig& c, const KernelSet& kernel, const GpuMap& gpu, const LayerWeights& w,
                    const GpuMap::Layer& layer) {
  if (w.gate.type == w.up.type) {
    const GateUpArgs args{.wg = layer.gate, .wu = layer.up, .x = gpu.x, .norm_weight = layer.ffn_norm, .h = gpu.h,
                          .rows = c.feed_forward, .columns = c.embedding, .epsilon = c.epsilon, .padding = 0};
    out.dispatch(of(kernel.gate_up, w.gate.type), args, {groups_of(c.feed_forward, gate_up_group_rows), 1, 1},
                 {bytes_of(w.gate) + bytes_of(w.up), 0});
    return;
  }
  const u64 best_bytes = u64{gemv_groups(c.feed_forward)} * 8;
  LogitsArgs args{.w = layer.gate, .x = gpu.x, .norm_weight = layer.ffn_norm, .logits = gpu.gate_up,
                  .best = gpu.unused_best, .rows = c.feed_forward, .columns = c.embedding, .epsilon = c.epsilon,
                  .padding = 0};
  out.dispatch(of(kernel.logits, w.gate.type), args, {gemv_groups(c.feed_forward), 1, 1}, {bytes_of(w.gate), 0});
  args.w = layer.up;
  args.logits = gpu.gate_up + c.feed_forward * f32_bytes;
  args.best = gpu.unused_best + best_bytes;
  out.dispatch(of(kernel.logits, w.up.type), args, {gemv_groups(c.feed_forward), 1, 1}, {bytes_of(w.up), 0});
  out.barrier();
  out.dispatch(kernel.swiglu_f16, SwigluArgs{.gate_up = gpu.gate_up, .h = gpu.h, .rows = c.feed_forward, .padding = 0},
               {groups_of(c.feed_forward, 256), 1, 1}, {});
}

// Logits of one row of x, the greedy choice, and the step to the next position.
void choose_token(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu, u64 x) {
  const ModelConfig& c = model.config();
  const u32 groups = gemv_groups(c.vocabulary);
  out.barrier();
  out.dispatch(of(kernel.logits, model.output().type),
               LogitsArgs{.w = gpu.output, .x = x, .norm_weight = gpu.output_norm, .logits = gpu.logits,
                          .best = gpu.best, .rows = c.vocabulary, .columns = c.embedding, .epsilon = c.epsilon,
                          .padding = 0},
               {groups, 1, 1}, {bytes_of(model.output()), 0});
  out.barrier();
  out.dispatch(kernel.argmax_final,
               ArgmaxFinalArgs{.best = gpu.best, .state = gpu.state, .tokens = gpu.tokens, .count = groups,
                               .capacity = gpu.context + 1},
               {1, 1, 1}, {});
}

void embed(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu, u64 ids, u32 tokens) {
  const ModelConfig& c = model.config();
  out.dispatch(of(kernel.embed, model.embedding().type),
               EmbedArgs{.table = gpu.embedding, .tokens = ids, .x = gpu.x, .columns = c.embedding,
                         .rows = c.vocabulary},
               {tokens, 1, 1}, {bytes_of(model.embedding()) / c.vocabulary * tokens, 0});
}

// The pieces of a batch that come again and again.
struct Batch {
  Steps& out;
  const Model& model;
  const KernelSet& kernel;
  const GpuMap& gpu;
  u32 tokens;

  void norm(u64 weight) const {
    const ModelConfig& c = model.config();
    out.dispatch(kernel.rmsnorm_f16,
                 RmsnormArgs{.x = gpu.x, .weight = weight, .y = gpu.normed, .columns = c.embedding,
                             .epsilon = c.epsilon},
                 {tokens, 1, 1}, {u64{tokens} * c.embedding * (f32_bytes + f16_bytes), 0});
  }
  // c[t][row_stride] = or += a[t] * W for the first `count` tokens at `a`.
  void gemm(const KernelSet::ByType& table, const Weight& weight, const Matrix& matrix, u64 a, u64 c, u32 row_stride,
            u32 count) const {
    out.dispatch(of(table, weight.type),
                 GemmArgs{.w = matrix, .a = a, .c = c, .rows = weight.rows, .columns = weight.columns, .tokens = count,
                          .row_stride = row_stride},
                 {groups_of(weight.rows, gemm_group_rows), groups_of(count, gemm_group_tokens), 1},
                 product(weight, count));
  }
  void store(const Weight& weight, const Matrix& matrix, u64 c, u32 row_stride) const {
    gemm(kernel.gemm_store, weight, matrix, gpu.normed, c, row_stride, tokens);
  }
  void add(const Weight& weight, const Matrix& matrix, u64 a) const {
    gemm(kernel.gemm_add, weight, matrix, a, gpu.x, model.config().embedding, tokens);
  }
};

}  // namespace

u32 decode_splits(u32 context) { return std::min(groups_of(context, decode_split_tokens), decode_max_splits); }

void decode_forward(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu, u32 cost_position) {
  const ModelConfig& c = model.config();
  const u32 splits = decode_splits(gpu.context);
  const u64 kv_bytes = u64{cost_position} * c.kv_rows() * 2 * f16_bytes;

  embed(out, model, kernel, gpu, gpu.state + offsetof(State, token), 1);

  for (u32 i = 0; i < c.layers; ++i) {
    const LayerWeights& w = model.layers()[i];
    const GpuMap::Layer& layer = gpu.layers[i];

    out.barrier();                                                          // x
    decode_qkv(out, c, kernel, gpu, w, layer);

    out.barrier();                                                          // q and the cache
    out.dispatch(kernel.attn_decode,
                 AttnDecodeArgs{.q = gpu.q, .k_cache = layer.k_cache, .v_cache = layer.v_cache, .state = gpu.state,
                                .partial_out = gpu.partial_out, .partial_stat = gpu.partial_stat, .heads = c.heads,
                                .kv_heads = c.kv_heads, .head_size = c.head_size, .context = gpu.context,
                                .splits = splits, .padding = 0},
                 {c.heads, splits, 1}, {kv_bytes, 0});

    out.barrier();                                                          // partial sums
    out.dispatch(of(kernel.attn_out, w.wo.type),
                 AttnOutArgs{.wo = layer.wo, .partial_out = gpu.partial_out, .partial_stat = gpu.partial_stat,
                             .state = gpu.state, .x = gpu.x, .rows = c.embedding, .columns = c.q_rows(),
                             .heads = c.heads, .head_size = c.head_size, .splits = splits, .padding = 0},
                 {gemv_groups(c.embedding), 1, 1}, {bytes_of(w.wo), 0});

    out.barrier();                                                          // x
    decode_gate_up(out, c, kernel, gpu, w, layer);

    out.barrier();                                                          // h
    out.dispatch(of(kernel.down, w.down.type),
                 DownArgs{.w = layer.down, .h = gpu.h, .x = gpu.x, .rows = c.embedding, .columns = c.feed_forward},
                 {gemv_groups(c.embedding), 1, 1}, {bytes_of(w.down), 0});
  }

  choose_token(out, model, kernel, gpu, gpu.x);
}

void prefill_forward(Steps& out, const Model& model, const KernelSet& kernel, const GpuMap& gpu,
                     const PrefillBatch& batch) {
  const ModelConfig& c = model.config();
  const u32 n = batch.tokens;
  const u32 qkv_stride = c.q_rows() + 2 * c.kv_rows();
  const Batch step{out, model, kernel, gpu, n};

  embed(out, model, kernel, gpu, gpu.tokens + u64{batch.first_position} * sizeof(u32), n);

  for (u32 i = 0; i < c.layers; ++i) {
    const LayerWeights& w = model.layers()[i];
    const GpuMap::Layer& layer = gpu.layers[i];

    out.barrier();                                                          // x
    step.norm(layer.attn_norm);

    out.barrier();                                                          // normed
    step.store(w.wq, layer.wq, gpu.qkv, qkv_stride);
    step.store(w.wk, layer.wk, gpu.qkv + c.q_rows() * f32_bytes, qkv_stride);
    step.store(w.wv, layer.wv, gpu.qkv + (c.q_rows() + c.kv_rows()) * f32_bytes, qkv_stride);

    out.barrier();                                                          // qkv
    out.dispatch(kernel.rope_kv,
                 RopeKvArgs{.qkv = gpu.qkv, .rope = gpu.rope, .q = gpu.q, .k_cache = layer.k_cache,
                            .v_cache = layer.v_cache, .heads = c.heads, .kv_heads = c.kv_heads,
                            .head_size = c.head_size, .context = gpu.context, .first_position = batch.first_position,
                            .padding = 0},
                 {n, 1, 1}, {u64{n} * qkv_stride * (f32_bytes + f16_bytes), 0});

    out.barrier();                                                          // q and the cache
    const f64 keys = batch.first_position + n;
    out.dispatch(kernel.attn_prefill,
                 AttnPrefillArgs{.q = gpu.q, .k_cache = layer.k_cache, .v_cache = layer.v_cache, .out = gpu.attended,
                                 .heads = c.heads, .kv_heads = c.kv_heads, .head_size = c.head_size,
                                 .context = gpu.context, .first_position = batch.first_position, .tokens = n},
                 {c.heads, groups_of(n, attn_group_tokens), 1}, {0, 4.0 * n * keys * c.q_rows()});

    out.barrier();                                                          // attended
    step.add(w.wo, layer.wo, gpu.attended);

    out.barrier();                                                          // x
    step.norm(layer.ffn_norm);

    out.barrier();                                                          // normed
    step.store(w.gate, layer.gate, gpu.gate_up, 2 * c.feed_forward);
    step.store(w.up, layer.up, gpu.gate_up + c.feed_forward * f32_bytes, 2 * c.feed_forward);

    out.barrier();                                                          // gate and up
    out.dispatch(kernel.swiglu_f16,
                 SwigluArgs{.gate_up = gpu.gate_up, .h = gpu.h, .rows = c.feed_forward, .padding = 0},
                 {groups_of(c.feed_forward, 256), n, 1}, {u64{n} * c.feed_forward * (2 * f32_bytes + f16_bytes), 0});

    out.barrier();                                                          // h
    step.add(w.down, layer.down, gpu.h);
  }

  if (batch.batch_logits_from < n) {
    out.barrier();                                                          // x
    step.norm(gpu.output_norm);
    out.barrier();                                                          // normed
    const u64 from = batch.batch_logits_from;
    step.gemm(kernel.gemm_store, model.output(), gpu.output, gpu.normed + from * c.embedding * f16_bytes,
              gpu.batch_logits + from * c.vocabulary * f32_bytes, c.vocabulary, n - batch.batch_logits_from);
  }
  if (batch.last_logits) choose_token(out, model, kernel, gpu, gpu.x + u64{n - 1} * c.embedding * f32_bytes);
}

}  // namespace amlm
