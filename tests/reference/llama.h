// A Llama forward pass as the papers write it: f32 weights, sums in f64, one token at a time. Obviously right, slow.
#pragma once

#include <vector>

#include "driver/base.h"
#include "engine/model/model.h"

namespace amlm::reference {

class Llama {
 public:
  // Reads and dequantizes every weight of the model, which must outlive this.
  static Result<Llama> load(const Model& model);

  // Takes the token at the next position and returns its logits, vocabulary long.
  std::vector<f32> step(u32 token);
  void reset();
  u32 position() const { return position_; }

 private:
  struct Layer { std::vector<f32> attn_norm, wq, wk, wv, wo, ffn_norm, gate, up, down; };
  explicit Llama(const Model& model) : config_(model.config()) {}
  void attention(const Layer& layer, std::vector<f32>& x, std::vector<f32>& keys, std::vector<f32>& values);
  void feed_forward(const Layer& layer, std::vector<f32>& x);
  void rotate(std::vector<f32>& heads) const;
  std::vector<f32> normed(const std::vector<f32>& x, const std::vector<f32>& weight) const;

  ModelConfig config_;
  std::vector<f32> embedding_, output_norm_, output_, rope_factors_;
  std::vector<Layer> layers_;
  std::vector<std::vector<f32>> keys_, values_;      // of each layer: [position][kv_heads * head_size]
  u32 position_ = 0;
};

// The index of the greatest; of equals the first.
u32 argmax(const std::vector<f32>& logits);

}  // namespace amlm::reference
