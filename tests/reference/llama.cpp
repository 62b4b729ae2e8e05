#include "tests/reference/llama.h"

#include <algorithm>
#include <cmath>

#include "tests/reference/dequantize.h"

namespace amlm::reference {

namespace {

Result<std::vector<f32>> read(const Model& model, const Weight& weight) {
  std::vector<u8> bytes(weight.tensor->size_bytes);
  TRY_VOID(model.file().read(*weight.tensor, 0, bytes));
  return dequantize(weight.type, bytes);
}

// y = W x, W [rows][columns]
std::vector<f32> multiply(const std::vector<f32>& w, const std::vector<f32>& x) {
  const size_t columns = x.size();
  std::vector<f32> y(w.size() / columns);
  for (size_t row = 0; row < y.size(); ++row) {
    f64 sum = 0;
    for (size_t i = 0; i < columns; ++i) sum += static_cast<f64>(w[row * columns + i]) * x[i];
    y[row] = static_cast<f32>(sum);
  }
  return y;
}

void add(std::vector<f32>& x, const std::vector<f32>& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

}  // namespace

Result<Llama> Llama::load(const Model& model) {
  Llama out(model);
  out.embedding_ = TRY(read(model, model.embedding()));
  out.output_norm_ = TRY(read(model, model.output_norm()));
  out.output_ = TRY(read(model, model.output()));
  if (model.rope_factors().tensor) out.rope_factors_ = TRY(read(model, model.rope_factors()));
  for (const LayerWeights& w : model.layers()) {
    Layer layer;
    layer.attn_norm = TRY(read(model, w.attn_norm));
    layer.wq = TRY(read(model, w.wq));
    layer.wk = TRY(read(model, w.wk));
    layer.wv = TRY(read(model, w.wv));
    layer.wo = TRY(read(model, w.wo));
    layer.ffn_norm = TRY(read(model, w.ffn_norm));
    layer.gate = TRY(read(model, w.gate));
    layer.up = TRY(read(model, w.up));
    layer.down = TRY(read(model, w.down));
    out.layers_.push_back(std::move(layer));
  }
  out.reset();
  return out;
}

void Llama::reset() {
  keys_.assign(config_.layers, {});
  values_.assign(config_.layers, {});
  position_ = 0;
}

std::vector<f32> Llama::normed(const std::vector<f32>& x, const std::vector<f32>& weight) const {
  f64 squares = 0;
  for (const f32 value : x) squares += static_cast<f64>(value) * value;
  const f64 scale = 1 / std::sqrt(squares / static_cast<f64>(x.size()) + config_.epsilon);
  std::vector<f32> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) out[i] = static_cast<f32>(x[i] * scale * weight[i]);
  return out;
}

void Llama::rotate(std::vector<f32>& heads) const {
  const u32 pairs = config_.rope_dimensions / 2;
  for (size_t head = 0; head < heads.size(); head += config_.head_size) {
    for (u32 i = 0; i < pairs; ++i) {
      f64 frequency = std::pow(static_cast<f64>(config_.rope_base), -2.0 * i / config_.rope_dimensions);
      if (!rope_factors_.empty()) frequency /= rope_factors_[i];
      const f64 angle = position_ / static_cast<f64>(config_.rope_scale) * frequency;
      const f64 a = heads[head + 2 * i], b = heads[head + 2 * i + 1];
      heads[head + 2 * i] = static_cast<f32>(a * std::cos(angle) - b * std::sin(angle));
      heads[head + 2 * i + 1] = static_cast<f32>(a * std::sin(angle) + b * std::cos(angle));
    }
  }
}

void Llama::attention(const Layer& layer, std::vector<f32>& x, std::vector<f32>& keys, std::vector<f32>& values) {
  const std::vector<f32> y = normed(x, layer.attn_norm);
  std::vector<f32> q = multiply(layer.wq, y), k = multiply(layer.wk, y);
  const std::vector<f32> v = multiply(layer.wv, y);
  rotate(q);
  rotate(k);
  keys.insert(keys.end(), k.begin(), k.end());
  values.insert(values.end(), v.begin(), v.end());

  const u32 size = config_.head_size, row = config_.kv_rows();
  std::vector<f32> mixed(q.size());
  for (u32 head = 0; head < config_.heads; ++head) {
    const u32 kv = head / (config_.heads / config_.kv_heads) * size;
    std::vector<f64> scores(position_ + 1);
    for (u32 at = 0; at <= position_; ++at) {
      for (u32 i = 0; i < size; ++i) scores[at] += static_cast<f64>(q[head * size + i]) * keys[at * row + kv + i];
      scores[at] /= std::sqrt(static_cast<f64>(size));
    }
    const f64 greatest = *std::max_element(scores.begin(), scores.end());
    f64 sum = 0;
    for (f64& score : scores) sum += score = std::exp(score - greatest);
    for (u32 i = 0; i < size; ++i) {
      f64 value = 0;
      for (u32 at = 0; at <= position_; ++at) value += scores[at] / sum * values[at * row + kv + i];
      mixed[head * size + i] = static_cast<f32>(value);
    }
  }
  add(x, multiply(layer.wo, mixed));
}

void Llama::feed_forward(const Layer& layer, std::vector<f32>& x) {
  const std::vector<f32> y = normed(x, layer.ffn_norm);
  std::vector<f32> h = multiply(layer.gate, y);
  const std::vector<f32> up = multiply(layer.up, y);
  for (size_t i = 0; i < h.size(); ++i) h[i] = h[i] / (1 + std::exp(-h[i])) * up[i];
  add(x, multiply(layer.down, h));
}

std::vector<f32> Llama::step(u32 token) {
  const size_t width = config_.embedding;
  std::vector<f32> x(embedding_.begin() + static_cast<i64>(token * width),
                     embedding_.begin() + static_cast<i64>((token + 1) * width));
  for (u32 i = 0; i < config_.layers; ++i) {
    attention(layers_[i], x, keys_[i], values_[i]);
    feed_forward(layers_[i], x);
  }
  ++position_;
  return multiply(output_, normed(x, output_norm_));
}

u32 argmax(const std::vector<f32>& logits) {
  return static_cast<u32>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace amlm::reference
