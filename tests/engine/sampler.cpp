// The sampler's filters by hand-made cases, and its draws by their frequencies (fixed seed: no luck involved).
#include "engine/sampler/sampler.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

using namespace amlm;

namespace {

// All filters off.
SamplerOptions plain() {
  return {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .repeat_last = 64, .seed = 1};
}

std::vector<u32> ids(std::span<const Sampler::Candidate> candidates) {
  std::vector<u32> out;
  for (const auto& candidate : candidates) out.push_back(candidate.id);
  return out;
}

std::vector<f32> logs(const std::vector<f64>& probabilities) {
  std::vector<f32> out;
  for (const f64 p : probabilities) out.push_back(static_cast<f32>(std::log(p)));
  return out;
}

}  // namespace

TEST_CASE("draws follow the probabilities") {
  const std::vector<f64> wanted{0.5, 0.25, 0.15, 0.1};
  Sampler sampler(plain());
  std::map<u32, u32> counts;
  constexpr u32 draws = 20'000;
  for (u32 i = 0; i < draws; ++i) ++counts[sampler.sample(logs(wanted))];
  for (u32 id = 0; id < wanted.size(); ++id) {
    const f64 deviation = std::sqrt(draws * wanted[id] * (1 - wanted[id]));
    REQUIRE(std::abs(counts[id] - draws * wanted[id]) < 4 * deviation);
  }
}

TEST_CASE("temperature sharpens and flattens") {
  SamplerOptions options = plain();
  options.temperature = 0.5f;
  Sampler sharp(options);
  REQUIRE(sharp.candidates(logs({0.8, 0.2}))[0].probability == Approx(0.64 / (0.64 + 0.04)));
  options.temperature = 0;
  Sampler greedy(options);
  REQUIRE(greedy.is_greedy());
  REQUIRE(greedy.sample(std::vector<f32>{1, 5, 5, 2}) == 1);       // of equals the lower, as argmax_final
  options.repeat_penalty = 1.1f;
  REQUIRE_FALSE(Sampler(options).is_greedy());
}

TEST_CASE("top-k, top-p and min-p keep what llama.cpp keeps") {
  const std::vector<f32> logits = logs({0.1, 0.4, 0.05, 0.3, 0.15});
  SamplerOptions options = plain();
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1, 3, 4, 0, 2});
  options.top_k = 2;
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1, 3});
  options.top_k = 100;
  REQUIRE(Sampler(options).candidates(logits).size() == 5);
  options = plain();
  options.top_p = 0.75f;                                          // 0.4 + 0.3 < 0.75 <= 0.4 + 0.3 + 0.15
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1, 3, 4});
  options.top_p = 0;
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1});
  options = plain();
  options.min_p = 0.3f;                                           // of 0.4: 0.12
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1, 3, 4});
  options.min_p = 1;
  REQUIRE(ids(Sampler(options).candidates(logits)) == std::vector<u32>{1});
}

TEST_CASE("filters come before the temperature, top-p after top-k") {
  // A high temperature must not let min-p keep more.
  SamplerOptions options = plain();
  options.min_p = 0.5f;
  options.temperature = 100;
  REQUIRE(Sampler(options).candidates(logs({0.6, 0.2, 0.2})).size() == 1);
  // After top-k = 2 the two are 0.75 and 0.25: the first reaches 0.7.
  options = plain();
  options.top_k = 2;
  options.top_p = 0.7f;
  REQUIRE(Sampler(options).candidates(logs({0.6, 0.2, 0.2})).size() == 1);
}

TEST_CASE("the repeat penalty divides positive logits and multiplies negative ones, once") {
  SamplerOptions options = plain();
  options.repeat_penalty = 2;
  Sampler sampler(options);
  for (const u32 id : {0u, 0u, 1u, 99u}) sampler.accept(id);
  const auto left = sampler.candidates(std::vector<f32>{4, -1, 1.5f});
  std::map<u32, f32> logits;
  for (const auto& candidate : left) logits[candidate.id] = candidate.logit;
  REQUIRE(logits[0] == 2);
  REQUIRE(logits[1] == -2);
  REQUIRE(logits[2] == 1.5f);
  options.repeat_last = 2;
  Sampler forgetful(options);
  for (const u32 id : {0u, 1u, 2u}) forgetful.accept(id);
  for (const auto& candidate : forgetful.candidates(std::vector<f32>{4, 4, 4}))
    REQUIRE(candidate.logit == (candidate.id == 0 ? 4 : 2));
}

TEST_CASE("seeds repeat; NaN and infinities do no harm") {
  const std::vector<f32> logits(100, 1.0f);
  SamplerOptions options = plain();
  Sampler a(options), b(options);
  options.seed = 2;
  Sampler c(options);
  u32 differences = 0;
  for (u32 i = 0; i < 50; ++i) {
    const u32 id = a.sample(logits);
    REQUIRE(b.sample(logits) == id);
    differences += c.sample(logits) != id;
  }
  REQUIRE(differences > 30);
  constexpr f32 nan_value = std::numeric_limits<f32>::quiet_NaN(), infinity = std::numeric_limits<f32>::infinity();
  for (u32 i = 0; i < 20; ++i) {
    REQUIRE(Sampler(options).sample(std::vector<f32>{nan_value, 1, nan_value}) == 1);
    REQUIRE(Sampler(options).sample(std::vector<f32>{0, infinity, -infinity}) == 1);
  }
  REQUIRE(Sampler(options).sample(std::vector<f32>{nan_value, nan_value}) == 0);
  REQUIRE(Sampler(options).sample(std::vector<f32>{-infinity, -infinity}) <= 1);
}
