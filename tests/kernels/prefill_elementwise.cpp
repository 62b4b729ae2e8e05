// rmsnorm_f16, swiglu_f16 and rope_kv against f64. Tolerance: half an f16 step of the result, and 2^-20 of it for the
// f32 arithmetic and the 1 ulp of v_exp, v_rcp and v_rsq.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/prefill_support.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

namespace {

constexpr u16 canary = 0x7ead;           // a NaN

void check_f16(u16 got, f64 expected, f64 size) {
  const f64 tolerance = std::fabs(expected) * 0x1p-11 + size * 0x1p-20 + 0x1p-25;
  const f64 value = reference::f16_to_f32(got);
  if (!(std::fabs(value - expected) <= tolerance)) FAIL(value << " instead of " << expected << " +- " << tolerance);
}
void check_f16(u16 got, f64 expected) { check_f16(got, expected, std::fabs(expected)); }

}  // namespace

TEST_CASE("rmsnorm_f16") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const u32 columns : {4u, 32u, 256u, 288u, 1024u, 1028u, 4096u}) {
    const u32 tokens = 3;
    std::vector<f32> x = random_values(random, u64(tokens) * columns, Spread::outliers);
    for (u32 i = 0; i < columns; ++i) x[2 * columns + i] *= 1e-4f;       // epsilon counts in the last token
    std::vector<f32> weight = random_values(random, columns, Spread::even);
    std::vector<u16> y(x.size(), canary);
    machine.clear();
    const kernels::RmsnormArgs args{.x = machine.map(x, readable, "x"),
                                    .weight = machine.map(weight, readable, "weight"),
                                    .y = machine.map(y, writable, "y"), .columns = columns, .epsilon = 1e-5f};
    if (columns == 1028)
      machine.check_mutants("rmsnorm_f16", [&] { return machine.run("rmsnorm_f16", args, {tokens, 1, 1}, 1); });
    machine.run("rmsnorm_f16", args, {tokens, 1, 1}, random());
    for (u32 t = 0; t < tokens; ++t) {
      f64 square = 0;
      for (u32 i = 0; i < columns; ++i) square += f64(x[t * columns + i]) * x[t * columns + i];
      const f64 scale = 1 / std::sqrt(square / columns + args.epsilon);
      for (u32 i = 0; i < columns; ++i) {
        INFO("columns " << columns << ", token " << t << ", element " << i << ", AMLM_TEST_SEED=" << test_seed());
        check_f16(y[t * columns + i], x[t * columns + i] * scale * weight[i]);
      }
    }
  }
}

TEST_CASE("swiglu_f16") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const u32 rows : {4u, 32u, 252u, 256u, 260u, 768u}) {
    const u32 tokens = 3;
    std::vector<f32> gate_up = random_values(random, u64(tokens) * 2 * rows, Spread::outliers);
    gate_up[0] = 200, gate_up[1] = -200, gate_up[2] = -87.5f, gate_up[3] = 0;
    std::vector<u16> h(u64(tokens) * rows, canary);
    machine.clear();
    const kernels::SwigluArgs args{.gate_up = machine.map(gate_up, readable, "gate_up"),
                                   .h = machine.map(h, writable, "h"), .rows = rows};
    const std::array<u32, 3> groups{(rows + 255) / 256, tokens, 1};
    if (rows == 260) machine.check_mutants("swiglu_f16", [&] { return machine.run("swiglu_f16", args, groups, 1); });
    machine.run("swiglu_f16", args, groups, random());
    for (u32 t = 0; t < tokens; ++t) {
      for (u32 i = 0; i < rows; ++i) {
        const f64 gate = gate_up[u64(t) * 2 * rows + i], up = gate_up[u64(t) * 2 * rows + rows + i];
        INFO("rows " << rows << ", token " << t << ", element " << i << ", AMLM_TEST_SEED=" << test_seed());
        // exp2 takes -gate * log2(e) rounded to f32: off by a rounding of up to 150.
        const f64 expected = gate / (1 + std::exp(-gate)) * up;
        check_f16(h[u64(t) * rows + i], expected, std::fabs(expected) * (1 + std::fabs(gate)));
      }
    }
  }
}

TEST_CASE("rope_kv") {
  struct Case { u32 heads, kv_heads, head_size, context, first_position, tokens; };
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const Case c : {Case{4, 2, 64, 40, 7, 5}, Case{1, 1, 32, 3, 0, 3}, Case{9, 3, 128, 9, 8, 1},
                       Case{2, 1, 256, 6, 2, 4}, Case{3, 3, 96, 5, 3, 4}}) {   // the last one runs past the context
    const u32 all_heads = c.heads + 2 * c.kv_heads, size = c.head_size;
    std::vector<f32> qkv = random_values(random, u64(c.tokens) * all_heads * size, Spread::outliers);
    std::vector<f32> rope(u64(c.context) * size);
    for (u64 i = 0; i < rope.size(); i += 2) {
      const f64 angle = f64(i / size) * std::pow(10000.0, -f64(i % size) / size);
      rope[i] = static_cast<f32>(std::cos(angle)), rope[i + 1] = static_cast<f32>(std::sin(angle));
    }
    std::vector<u16> q(u64(c.tokens) * c.heads * size, canary), k(u64(c.kv_heads) * c.context * size, canary), v = k;
    machine.clear();
    const kernels::RopeKvArgs args{
        .qkv = machine.map(qkv, readable, "qkv"), .rope = machine.map(rope, readable, "rope"),
        .q = machine.map(q, writable, "q"), .k_cache = machine.map(k, writable, "k"),
        .v_cache = machine.map(v, writable, "v"), .heads = c.heads, .kv_heads = c.kv_heads, .head_size = size,
        .context = c.context, .first_position = c.first_position};
    if (size == 256)                     // two passes, and waves without a head
      machine.check_mutants("rope_kv", [&] { return machine.run("rope_kv", args, {c.tokens, 1, 1}, 1); });
    machine.run("rope_kv", args, {c.tokens, 1, 1}, random());
    std::vector<bool> written(k.size());
    for (u32 t = 0; t < c.tokens && c.first_position + t < c.context; ++t) {
      const u32 position = c.first_position + t;
      for (u32 h = 0; h < all_heads; ++h) {
        const f32* from = &qkv[(u64(t) * all_heads + h) * size];
        const bool is_q = h < c.heads, is_v = h >= c.heads + c.kv_heads;
        const u64 kv_head = is_v ? h - c.heads - c.kv_heads : h - c.heads;
        const u64 row = is_q ? (u64(t) * c.heads + h) * size : (kv_head * c.context + position) * size;
        for (u32 i = 0; i < size; ++i) {
          const f64 cosine = rope[u64(position) * size + i / 2 * 2], sine = rope[u64(position) * size + i / 2 * 2 + 1];
          const f64 even = from[i / 2 * 2], odd = from[i / 2 * 2 + 1];
          f64 expected = is_v ? from[i] : i % 2 ? even * sine + odd * cosine : even * cosine - odd * sine;
          if (is_q) expected /= std::sqrt(f64(size));
          INFO("head size " << size << ", token " << t << ", head " << h << ", dimension " << i);
          check_f16((is_q ? q : is_v ? v : k)[row + i], expected, std::fabs(even) + std::fabs(odd));
          if (!is_q) written[row + i] = true;
        }
      }
    }
    for (u64 i = 0; i < k.size(); ++i) {
      if (!written[i] && (k[i] != canary || v[i] != canary)) FAIL("cache element " << i << " overwritten");
    }
  }
}

}  // namespace amlm::test
