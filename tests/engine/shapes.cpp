// Models of every weight type and of odd shapes through the whole engine: logits against the plain forward pass, both
// by batch and by token. Runs on the virtual gfx1151 in strict mode, and unchanged on a real one.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "engine/model/model.h"
#include "engine/session.h"
#include "tests/engine/random_model.h"
#include "tests/reference/llama.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::tests;
using kernels::WeightType;

namespace {

Device& device() {
  static auto opened = Device::open({});
  INFO((opened ? "" : opened.error().sentence));
  REQUIRE(opened.has_value());
  return **opened;
}

u32 seed() { return static_cast<u32>(test_seed(1)); }

template <class T> void must(const Result<T>& result) {
  INFO((result ? "" : result.error().sentence));
  REQUIRE(result.has_value());
}

f64 difference(std::span<const f32> a, std::span<const f32> b) {
  f64 largest = 0, apart = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return INFINITY;
    largest = std::max(largest, std::fabs(static_cast<f64>(a[i])));
    apart = std::max(apart, std::fabs(static_cast<f64>(a[i]) - b[i]));
  }
  return apart / largest;
}

// `tokens` through the plain pass, as batches and as single tokens.
void compare(RandomModel shape, u32 tokens = 9, u32 batch = 6) {
  shape.seed = seed();
  INFO("seed " << shape.seed);
  const Bytes bytes = random_model(shape).build();
  auto file = GgufFile::parse(ByteSource::from_bytes(bytes, "random"));
  must(file);
  const auto model = Model::load(*std::move(file));
  must(model);
  std::vector<u32> ids;
  for (u32 i = 0; i < tokens; ++i) ids.push_back((i * 37 + 11) % shape.vocabulary);
  auto plain = reference::Llama::load(**model);
  must(plain);
  std::vector<f32> wanted;
  for (const u32 id : ids) wanted = plain->step(id);
  const auto session = Session::create(device(), **model, {.context = tokens + 3, .batch = batch});
  must(session);
  must((*session)->prefill(ids));
  CHECK(difference(wanted, (*session)->logits()) < 1e-2);
  (*session)->reset();
  must((*session)->prefill_by_token(ids));
  CHECK(difference(wanted, (*session)->logits()) < 1e-2);
}

}  // namespace

TEST_CASE("every weight type") {
  const auto type = GENERATE(WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0, WeightType::q4_0,
                             WeightType::q4_k, WeightType::q6_k);
  INFO(kernels::name(type));
  compare({.type = type});
}

TEST_CASE("types mixed inside a layer, an output of its own") {
  compare({.type = WeightType::q4_k, .value = WeightType::q6_k, .up = WeightType::q4_k, .output = WeightType::q6_k,
           .tied = false});
  compare({.type = WeightType::q8_0, .value = WeightType::f16, .up = WeightType::q4_0, .output = WeightType::f16,
           .tied = false});
}

TEST_CASE("heads of every size, shared and not, wider than the embedding") {
  const WeightType type = WeightType::f16;
  compare({.type = type, .embedding = 96, .feed_forward = 160, .heads = 3, .kv_heads = 1, .head_size = 32});
  compare({.type = type, .embedding = 96, .heads = 2, .kv_heads = 2, .head_size = 96});
  compare({.type = type, .embedding = 64, .heads = 4, .kv_heads = 1, .head_size = 128});
}

TEST_CASE("rope: of a part of the head, stretched, with factors") {
  compare({.type = WeightType::f16, .rope_dimensions = 32});
  compare({.type = WeightType::f16, .rope_scale = 4});
  compare({.type = WeightType::f16, .rope_factors = true});
}

TEST_CASE("vocabularies and widths that no group divides") {
  compare({.type = WeightType::f32, .embedding = 32, .feed_forward = 96, .heads = 1, .kv_heads = 1, .head_size = 32,
           .vocabulary = 265});
  compare({.type = WeightType::q8_0, .embedding = 288, .feed_forward = 352, .vocabulary = 333});
}

TEST_CASE("several splits of attention, several tiles of a batch") {
  compare({.type = WeightType::f16, .layers = 1, .embedding = 64, .feed_forward = 64, .heads = 2, .kv_heads = 1,
           .head_size = 32}, 300, 140);
}
