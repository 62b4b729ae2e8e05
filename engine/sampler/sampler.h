// Chooses the next token from logits on the CPU. Definitions and order are llama.cpp's: repeat penalty, top-k, top-p,
// min-p, temperature, then a draw. Greedy sessions do not come here: the GPU chooses.
#pragma once

#include <random>
#include <span>
#include <vector>

#include "driver/base.h"

namespace amlm {

struct SamplerOptions {
  f32 temperature = 0.8f;        // 0: the likeliest
  u32 top_k = 40;                // 0: all
  f32 top_p = 0.95f;             // 1: all
  f32 min_p = 0.05f;             // 0: all
  f32 repeat_penalty = 1.0f;     // 1: none
  u32 repeat_last = 64;          // tokens the penalty looks back
  u64 seed = 0;                  // the same seed, options and logits give the same tokens
};

class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);

  // The GPU's own choice is this sampler's: the likeliest token, no penalty.
  bool is_greedy() const { return options_.temperature <= 0 && options_.repeat_penalty == 1.0f; }
  // A token of the prompt, or one that was chosen elsewhere: the penalty counts it.
  void accept(u32 id);
  // Chooses; accepts its choice. Logits that are NaN are never chosen. Allocates nothing once it has seen a vocabulary.
  u32 sample(std::span<const f32> logits);

  struct Candidate { u32 id; f32 logit; f32 probability; };
  // What is left after all filters, likeliest first, with probabilities that sum to 1. For tests.
  std::span<const Candidate> candidates(std::span<const f32> logits);

 private:
  void collect(std::span<const f32> logits);
  void keep_top_k();
  void keep_top_p();
  void keep_min_p();
  void softmax();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<u32> recent_;            // a ring of the last repeat_last tokens
  size_t recent_next_ = 0;
  std::vector<Candidate> candidates_;
};

}  // namespace amlm
