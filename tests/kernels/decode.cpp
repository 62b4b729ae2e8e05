// Every decode kernel against the reference: odd shapes, worst cases and large values, strict, in several orders.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "tests/kernels/jobs/decode_jobs.h"
#include "tests/kernels/jobs/run_job.h"

namespace amlm::test {

namespace {

using kernels::WeightType;
using reference::Fill;

constexpr WeightType all_types[] = {WeightType::f32, WeightType::f16, WeightType::bf16, WeightType::q8_0,
                                    WeightType::q4_0, WeightType::q4_k, WeightType::q6_k};

bool fits(WeightType type, u32 columns) {
  return columns % (type == WeightType::q4_k || type == WeightType::q6_k ? 256 : 32) == 0;
}

// Right in strict mode, and the same bits in every order and in fast mode.
void require_right(const Job& job, u32 orders = 1) {
  std::vector<std::vector<u8>> first;
  for (u64 seed = 1; seed <= orders + 1; ++seed) {
    const isa::Mode mode = seed <= orders ? isa::Mode::strict : isa::Mode::fast;
    const JobResult result = run_job(job, {.mode = mode, .seed = seed});
    INFO(job.kernel << " (" << job.shape << "), AMLM_TEST_SEED=" << job_seed() << ", order seed " << seed);
    REQUIRE(result.problem == "");
    if (seed == 1) first = result.after;
    REQUIRE(result.after == first);
  }
}

// Rows around a workgroup's 16 and 32; columns below, at and past an iteration and a chunk of each type.
template <class Make>
void each_matrix(Make make) {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    for (const u32 columns : {32u, 256u, 288u, 768u, 2048u, 2304u, 4352u}) {
      if (!fits(type, columns)) continue;
      for (const u32 rows : {1u, 15u, 17u, 33u}) {
        if (rows != 17 && columns > 768) continue;
        require_right(make(random, MatrixShape{type, rows, columns, Fill::typical}), columns == 768 ? 3 : 1);
      }
    }
    for (const Fill fill : {Fill::worst, Fill::large}) require_right(make(random, MatrixShape{type, 5, 512, fill}));
  }
}

}  // namespace

TEST_CASE("embed looks rows up", "[decode]") {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    for (const u32 columns : {32u, 256u, 768u}) {
      if (fits(type, columns))
        require_right(embed_job(random, {type, 5, columns, Fill::typical}, {4, 0, 3, 5, ~0u}), 2);
    }
    for (const Fill fill : {Fill::worst, Fill::large}) require_right(embed_job(random, {type, 2, 256, fill}, {1}));
  }
}

TEST_CASE("down adds a product", "[decode]") { each_matrix(down_job); }
TEST_CASE("gate_up multiplies two products", "[decode]") { each_matrix(gate_up_job); }
TEST_CASE("logits finds the best of each workgroup", "[decode]") { each_matrix(logits_job); }

TEST_CASE("NaN never wins among the logits", "[decode]") {
  Random random(job_seed());
  constexpr u32 rows = 35, columns = 64;
  Job job = logits_job(random, {WeightType::f32, rows, columns});
  const f32 nan = NAN;
  for (const u32 row : {0u, 7u, 32u, 33u, 34u}) {          // some of the first workgroup, all of the second
    std::memcpy(job.regions[0].bytes.data() + row * columns * 4, &nan, 4);
  }
  job.verify = [](const auto& after) -> std::string {
    const auto logits = as<f32>(after[3]);
    const auto best = as<Best>(after[4]);
    u32 row = 1;
    for (u32 r = 1; r < 32; ++r) {
      if (logits[r] > logits[row]) row = r;
    }
    if (best[0].row != row || best[0].value != logits[row]) return "the best of the numbers";
    return best[1].row == 32 && best[1].value == -INFINITY ? "" : "what stands for a workgroup of NaN";
  };
  require_right(job, 2);
}

TEST_CASE("qkv turns q and k and fills the cache", "[decode]") {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    QkvShape shape{.type = type, .columns = 256, .heads = 4, .kv_heads = 2, .head_size = 64, .context = 7};
    for (const u32 position : {0u, 1u, 6u}) {
      shape.position = position;
      require_right(qkv_job(random, shape), 2);
    }
    for (const u32 head_size : {32u, 96u, 128u, 256u}) {
      shape.head_size = head_size;
      shape.q = head_size != 128;                          // several dispatches when the types differ
      shape.k = head_size != 32;
      shape.v = head_size != 256;
      require_right(qkv_job(random, shape));
    }
    shape = {.type = type, .columns = 512, .heads = 3, .kv_heads = 1, .head_size = 96, .context = 3, .position = 2};
    require_right(qkv_job(random, shape));
  }
}

TEST_CASE("attn_decode attends to the positions so far", "[decode]") {
  Random random(job_seed());
  for (const u32 position : {0u, 1u, 31u, 32u, 255u, 256u, 257u, 1023u}) {
    require_right(attn_decode_job(random, {{.heads = 2, .kv_heads = 1, .head_size = 64, .context = 1024}, 4, position}),
                  2);
  }
  for (const u32 head_size : {32u, 96u, 128u, 160u, 192u, 256u}) {
    require_right(
        attn_decode_job(random, {{.heads = 3, .kv_heads = 3, .head_size = head_size, .context = 600}, 3, 530}));
  }
  require_right(attn_decode_job(
      random, {{.heads = 1, .kv_heads = 1, .head_size = 64, .context = 2048}, 3, 1800}));   // splits of 768
}

TEST_CASE("attn_out puts splits together", "[decode]") {
  Random random(job_seed());
  const auto shape = [](u32 heads, u32 head_size, u32 splits, u32 position) {
    return DecodeAttentionShape{
        {.heads = heads, .kv_heads = 1, .head_size = head_size, .context = 1u << 16}, splits, position};
  };
  for (const WeightType type : all_types) {
    for (const u32 position : {0u, 255u, 256u, 257u, 1023u}) {
      require_right(attn_out_job(random, {type, 17, 256}, shape(4, 64, 4, position)));
    }
    require_right(attn_out_job(random, {type, 33, 768}, shape(8, 96, 16, 5000)), 3);
    require_right(attn_out_job(random, {type, 3, 2304}, shape(9, 256, 3, 3000)));
    require_right(attn_out_job(random, {type, 1, 4608}, shape(48, 96, 2, 300)));
    if (fits(type, 32)) require_right(attn_out_job(random, {type, 40, 32}, shape(1, 32, 1, 70)));
  }
}

TEST_CASE("argmax_final takes the best and moves on", "[decode]") {
  Random random(job_seed());
  for (const u32 count : {1u, 2u, 15u, 511u, 512u, 513u, 2048u, 2049u, 4096u, 5000u}) {
    std::vector<Best> best(count);
    for (u32 i = 0; i < count; ++i)
      best[i] = {static_cast<f32>(random() % 1000) - 500, i * 32 + static_cast<u32>(random() % 32)};
    require_right(argmax_final_job(best, 5, 9), 2);
    for (Best& one : best) one.value = -1;                 // ties: the lowest row
    std::swap(best[random() % count].row, best[0].row);
    require_right(argmax_final_job(best, 0, 4));
    best[random() % count].value = NAN;
    require_right(argmax_final_job(best, 7, 8));            // no room for the token
  }
  require_right(argmax_final_job({{NAN, 3}, {NAN, 1}}, 1, 3));
  require_right(argmax_final_job({{-INFINITY, 40}, {NAN, 1}}, 1, 3));
}

TEST_CASE("decode kernels over random shapes", "[.][long]") {
  Random random(job_seed());
  const auto below = [&](u32 limit) { return static_cast<u32>(random() % limit); };
  for (u32 round = 0; round < 300; ++round) {
    const WeightType type = all_types[below(7)];
    const u32 block = fits(type, 32) ? 32 : 256;
    const MatrixShape shape{type, 1 + below(100), block * (1 + below(5000 / block)), static_cast<Fill>(below(3))};
    require_right(down_job(random, shape), 2);
    require_right(gate_up_job(random, shape), 2);
    require_right(logits_job(random, shape), 2);
    const u32 head_size = 32 * (1 + below(8)), kv_heads = 1 + below(3), context = 1 + below(900);
    const u32 heads = kv_heads * (1 + below(4)), position = below(context), splits = 1 + below(16);
    require_right(attn_decode_job(random, {{heads, kv_heads, head_size, context}, splits, position}), 2);
    require_right(qkv_job(random, {.type = type, .columns = block * (1 + below(4)), .heads = heads, .kv_heads = kv_heads,
                                   .head_size = head_size, .context = 1 + position, .position = position}));
    if (heads * head_size % block != 0) continue;
    const DecodeAttentionShape attention{{heads, kv_heads, head_size, context}, splits, position};
    require_right(attn_out_job(random, {type, 1 + below(70), heads * head_size, Fill::typical}, attention), 2);
  }
}

}  // namespace amlm::test
