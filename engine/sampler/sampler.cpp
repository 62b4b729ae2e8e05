#include "engine/sampler/sampler.h"

#include <algorithm>
#include <cmath>

namespace amlm {

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  recent_.reserve(options_.repeat_last);
}

void Sampler::accept(u32 id) {
  if (options_.repeat_last == 0) return;
  if (recent_.size() < options_.repeat_last) {
    recent_.push_back(id);
    return;
  }
  recent_[recent_next_] = id;
  recent_next_ = (recent_next_ + 1) % recent_.size();
}

void Sampler::collect(std::span<const f32> logits) {
  candidates_.clear();
  candidates_.reserve(logits.size());
  for (u32 id = 0; id < logits.size(); ++id) candidates_.push_back({id, logits[id], 0});
  for (auto at = recent_.begin(); options_.repeat_penalty != 1.0f && at != recent_.end(); ++at) {
    if (*at >= candidates_.size() || std::find(recent_.begin(), at, *at) != at) continue;       // once each
    f32& logit = candidates_[*at].logit;
    // Dividing a negative logit would make it likelier.
    logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
  }
  std::erase_if(candidates_, [](const Candidate& candidate) { return std::isnan(candidate.logit); });
}

void Sampler::keep_top_k() {
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const size_t keep = options_.top_k == 0 ? candidates_.size() : std::min<size_t>(options_.top_k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<i64>(keep), candidates_.end(), likelier);
  candidates_.resize(keep);
}

void Sampler::softmax() {
  f64 sum = 0;
  const f32 greatest = candidates_.front().logit;
  for (Candidate& candidate : candidates_) {
    // Also where both are infinite.
    candidate.probability = candidate.logit == greatest ? 1.0f : std::exp(candidate.logit - greatest);
    sum += candidate.probability;
  }
  for (Candidate& candidate : candidates_) candidate.probability = static_cast<f32>(candidate.probability / sum);
}

// The fewest of the likeliest whose probabilities reach p.
void Sampler::keep_top_p() {
  if (options_.top_p >= 1) return;
  softmax();
  f64 sum = 0;
  size_t keep = 0;
  while (keep < candidates_.size()) {
    sum += candidates_[keep++].probability;
    if (sum >= options_.top_p) break;
  }
  candidates_.resize(keep);
}

// Those at least p times as likely as the likeliest.
void Sampler::keep_min_p() {
  if (options_.min_p <= 0) return;
  const f32 least = candidates_.front().logit + std::log(options_.min_p);
  size_t keep = 1;
  while (keep < candidates_.size() && candidates_[keep].logit >= least) ++keep;
  candidates_.resize(keep);
}

std::span<const Sampler::Candidate> Sampler::candidates(std::span<const f32> logits) {
  collect(logits);
  if (candidates_.empty()) return {};
  keep_top_k();
  keep_top_p();
  keep_min_p();
  if (options_.temperature <= 0) {
    candidates_.resize(1);
  } else {
    for (Candidate& candidate : candidates_) candidate.logit /= options_.temperature;
  }
  softmax();
  return candidates_;
}

u32 Sampler::sample(std::span<const f32> logits) {
  const std::span<const Candidate> left = candidates(logits);
  if (left.empty()) return 0;                  // all NaN: argmax_final's answer too
  // 53 random bits: the standard's distributions differ between libraries, this does not.
  const f64 draw = static_cast<f64>(random_() >> 11) * 0x1p-53;
  f64 sum = 0;
  u32 chosen = left.back().id;
  for (const Candidate& candidate : left) {
    sum += candidate.probability;
    if (draw >= sum) continue;
    chosen = candidate.id;
    break;
  }
  accept(chosen);
  return chosen;
}

}  // namespace amlm
