// attn_prefill_<head_size> against a softmax in f64.
//
// Tolerance: P is truncated to f16 (2^-10 of itself, or 2^-24 where it is tiny) above and below the line, out
// rounded, and a score of magnitude s is off by about s * 2^-20 when it comes out of the WMMA; behind the last
// position stand NaNs.
#include <catch2/catch.hpp>
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/kernels/prefill_support.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

namespace {

struct Case {
  u32 heads, kv_heads, head_size, tokens, first_position;
  u32 context() const { return first_position + tokens + 5; }
};

// even: scores near 0; peaked: a few positions take all; growing: each position scores more than all before it.
enum class Scores : u8 { even, peaked, growing };

struct Problem {
  Case shape;
  std::vector<u16> q, k, v;
};

constexpr u16 nan_f16 = 0x7e01, canary = 0x7ead;

Problem make_problem(std::mt19937_64& random, const Case& c, Scores scores) {
  const u64 row = c.head_size;
  const f32 q_scale = scores == Scores::even ? 0.2f : 1.0f;
  std::vector<f32> q = random_values(random, u64(c.tokens) * c.heads * row, Spread::even);
  std::vector<f32> k = random_values(random, u64(c.kv_heads) * c.context() * row,
                                     scores == Scores::peaked ? Spread::outliers : Spread::even);
  const std::vector<f32> v = random_values(random, k.size(), Spread::outliers);
  for (f32& value : q) value = scores == Scores::growing ? std::fabs(value) : value * q_scale;
  if (scores == Scores::growing) {
    for (u64 i = 0; i < k.size(); ++i) k[i] = 0.01f * static_cast<f32>(i / row % c.context() + 1);
  }
  Problem p{c, to_f16(q), to_f16(k), to_f16(v)};
  for (u64 i = 0; i < k.size(); ++i) {
    if (i / row % c.context() >= c.first_position + c.tokens) p.k[i] = p.v[i] = nan_f16;
  }
  return p;
}

std::vector<u16> run_attention(Machine& machine, Problem& p, u64 order_seed, isa::RunReport* report_out = nullptr) {
  const Case& c = p.shape;
  machine.clear();
  std::vector<u16> out(p.q.size(), canary);
  const kernels::AttnPrefillArgs args{
      .q = machine.map(p.q, readable, "q"), .k_cache = machine.map(p.k, readable, "k"),
      .v_cache = machine.map(p.v, readable, "v"), .out = machine.map(out, writable, "out"), .heads = c.heads,
      .kv_heads = c.kv_heads, .head_size = c.head_size, .context = c.context(), .first_position = c.first_position,
      .tokens = c.tokens};
  const u32 groups = (c.tokens + kernels::attn_group_tokens - 1) / kernels::attn_group_tokens;
  const auto report =
      machine.run("attn_prefill_" + std::to_string(c.head_size), args, {c.heads, groups, 1}, order_seed);
  if (report_out) *report_out = report;
  return out;
}

std::vector<f32> to_f32(const std::vector<u16>& values) {
  std::vector<f32> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(), reference::f16_to_f32);
  return out;
}

struct Expected { f64 value, tolerance; };

// One query of one head: all its dimensions.
std::vector<Expected> attend(const Case& c, const f32* q, const f32* k, const f32* v, u32 positions) {
  std::vector<f64> weight(positions);
  f64 top = -INFINITY, sum = 0, score_error = 0;
  for (u32 p = 0; p < positions; ++p) {
    f64 size = 0;
    for (u32 d = 0; d < c.head_size; ++d) {
      weight[p] += static_cast<f64>(q[d]) * k[u64(p) * c.head_size + d];
      size += std::fabs(static_cast<f64>(q[d]) * k[u64(p) * c.head_size + d]);
    }
    top = std::max(top, weight[p]);
    score_error = std::max(score_error, size * 0x1p-20);
  }
  for (f64& w : weight) sum += w = std::exp(w - top);
  std::vector<Expected> out(c.head_size);
  for (u32 d = 0; d < c.head_size; ++d) {
    f64 value = 0, size = 0, largest = 0;
    for (u32 p = 0; p < positions; ++p) {
      const f64 x = v[u64(p) * c.head_size + d];
      value += weight[p] * x / sum;
      size += weight[p] * std::fabs(x) / sum;
      largest = std::max(largest, std::fabs(x));
    }
    out[d] = {value, size * (0x1.2p-10 + 2 * score_error) + 2 * positions * 0x1p-24 * largest / std::max(sum, 1.0) +
                         std::fabs(value) * 0x1p-11 + 0x1p-24};
  }
  return out;
}

void compare(const Problem& p, const std::vector<u16>& out) {
  const Case& c = p.shape;
  const std::vector<f32> q = to_f32(p.q), k = to_f32(p.k), v = to_f32(p.v);
  for (u32 t = 0; t < c.tokens; ++t) {
    for (u32 h = 0; h < c.heads; ++h) {
      const u64 row = (u64(t) * c.heads + h) * c.head_size;
      const u64 cache = u64(h / (c.heads / c.kv_heads)) * c.context() * c.head_size;
      const auto expected = attend(c, &q[row], &k[cache], &v[cache], c.first_position + t + 1);
      for (u32 d = 0; d < c.head_size; ++d) {
        const f64 got = reference::f16_to_f32(out[row + d]);
        INFO("token " << t << ", head " << h << ", dimension " << d);
        if (!(std::fabs(got - expected[d].value) <= expected[d].tolerance))
          FAIL(got << " instead of " << expected[d].value << " +- " << expected[d].tolerance);
      }
    }
  }
}

void check_cases(const std::vector<Case>& cases, Scores scores) {
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const Case& c : cases) {
    INFO(c.heads << " heads, " << c.kv_heads << " KV heads, head size " << c.head_size << ", " << c.tokens
                 << " tokens from " << c.first_position << ", AMLM_TEST_SEED=" << test_seed());
    Problem p = make_problem(random, c, scores);
    compare(p, run_attention(machine, p, random()));
  }
}

}  // namespace

TEST_CASE("attn_prefill over batch sizes and positions") {
  check_cases({{2, 1, 64, 1, 0}, {2, 2, 64, 1, 31}, {2, 1, 64, 1, 32}, {4, 2, 64, 15, 0}, {1, 1, 64, 16, 17},
               {3, 1, 64, 17, 0}, {1, 1, 64, 63, 1}, {2, 1, 64, 64, 0}, {1, 1, 64, 65, 33}, {1, 1, 64, 100, 100}},
              Scores::even);
}

TEST_CASE("attn_prefill for every head size") {
  for (const u32 size : {32u, 64u, 96u, 128u}) check_cases({{4, 2, size, 66, 7}, {6, 2, size, 1, 62}}, Scores::even);
}

TEST_CASE("attn_prefill with scores that a plain softmax would lose") {
  check_cases({{2, 1, 64, 70, 40}, {2, 2, 128, 33, 0}}, Scores::peaked);
  check_cases({{2, 1, 64, 70, 40}, {1, 1, 96, 40, 0}}, Scores::growing);
}

TEST_CASE("attn_prefill needs each of its waits and barriers") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const u32 size : {32u, 64u, 96u, 128u}) {
    Problem p = make_problem(random, {1, 1, size, 40, 70}, Scores::even);
    machine.check_mutants("attn_prefill_" + std::to_string(size), [&] {
      isa::RunReport report;
      run_attention(machine, p, 1, &report);
      return report;
    });
  }
}

// The header of attn_prefill.s, for eight steps of one wave in which no maximum grows.
TEST_CASE("attn_prefill's step costs what its header says") {
  struct Cost { u32 head_size; u64 wmma, valu, vmem_load, lds; };
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const Cost& cost : {Cost{64, 16, 92, 6, 38}, Cost{128, 32, 100, 12, 72}}) {
    isa::Counters counts[2];
    for (u32 i = 0; i < 2; ++i) {
      isa::RunReport report;
      Problem p = make_problem(random, {1, 1, cost.head_size, 64, 256 + 256 * i}, Scores::even);
      std::fill(p.q.begin(), p.q.end(), u16(0));
      run_attention(machine, p, 1, &report);
      counts[i] = report.counters;
    }
    INFO("head size " << cost.head_size);
    CHECK(counts[1].wmma - counts[0].wmma == 32 * cost.wmma);
    CHECK(counts[1].valu - counts[0].valu == 32 * (cost.valu - 16 - 8));
    CHECK(counts[1].trans - counts[0].trans == 32 * 16);
    CHECK(counts[1].dot - counts[0].dot == 32 * 8);
    CHECK(counts[1].vmem_load - counts[0].vmem_load == 32 * cost.vmem_load);
    CHECK(counts[1].lds - counts[0].lds == 32 * cost.lds);
  }
}

TEST_CASE("attn_prefill over random shapes", "[.][long]") {
  std::mt19937_64 random(test_seed());
  for (u32 i = 0; i < 60; ++i) {
    const u32 kv_heads = 1 + random() % 3, heads = kv_heads * u32(1 + random() % 4);
    const Scores scores[] = {Scores::even, Scores::peaked, Scores::growing};
    check_cases({{heads, kv_heads, u32(32 * (1 + random() % 4)), u32(1 + random() % 150), u32(random() % 300)}},
                scores[random() % 3]);
  }
}

TEST_CASE("attn_prefill gives the same bits in every order of waves") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  Problem p = make_problem(random, {2, 1, 64, 70, 50}, Scores::peaked);
  const std::vector<u16> first = run_attention(machine, p, 1);
  for (u64 seed = 2; seed < 6; ++seed) REQUIRE(run_attention(machine, p, seed) == first);
}

}  // namespace amlm::test
