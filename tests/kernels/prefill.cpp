// Every prefill kernel against the reference: odd shapes, worst cases, strict, in several orders; and the counts that
// the headers of the kernels state.
#include <catch2/catch.hpp>

#include "tests/kernels/jobs/prefill_jobs.h"
#include "tests/kernels/jobs/run_job.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

namespace {

using kernels::WeightType;
using reference::Fill;

constexpr WeightType all_types[] = {WeightType::f32,  WeightType::f16,  WeightType::bf16, WeightType::q8_0,
                                    WeightType::q4_0, WeightType::q4_k, WeightType::q6_k};

isa::Counters require_right(const Job& job, u32 orders = 1) {
  isa::Counters counters;
  for (u64 seed = 1; seed <= orders; ++seed) {
    const JobResult result = run_job(job, {.mode = isa::Mode::strict, .seed = seed});
    INFO(job.kernel << " (" << job.shape << "), AMLM_TEST_SEED=" << job_seed() << ", order seed " << seed);
    REQUIRE(result.problem == "");
    counters = result.counters;
  }
  return counters;
}

// Columns up to the next whole block of the type.
u32 whole_blocks(WeightType type, u32 columns) {
  const u32 block = std::max<u32>(32, reference::block_elements(type));
  return (columns + block - 1) / block * block;
}

struct Shape { u32 tokens, rows, columns; };

void check_gemm(Random& random, WeightType type, const Shape& shape, Fill fill = Fill::typical, u32 orders = 1) {
  for (const Epilogue epilogue : {Epilogue::store, Epilogue::add}) {
    require_right(gemm_job(random, {type, epilogue, shape.tokens, shape.rows, whole_blocks(type, shape.columns), fill}),
                  orders);
  }
}

}  // namespace

TEST_CASE("gemm over odd shapes", "[prefill]") {
  Random random(job_seed());
  for (const WeightType type : {WeightType::f16, WeightType::q8_0}) {
    for (const Shape& shape : {Shape{1, 1, 32}, Shape{15, 16, 256}, Shape{16, 63, 288}, Shape{17, 64, 768},
                               Shape{63, 65, 256}, Shape{64, 256, 288}, Shape{65, 64, 32}, Shape{100, 1, 256},
                               Shape{127, 65, 288}, Shape{128, 64, 96}, Shape{129, 63, 64}, Shape{512, 65, 64},
                               Shape{5, 4100, 32}, Shape{31, 129, 1024}}) {
      check_gemm(random, type, shape);
    }
  }
}

TEST_CASE("gemm of every type", "[prefill]") {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    for (const Shape& shape : {Shape{1, 1, 32}, Shape{17, 65, 288}, Shape{33, 63, 768}, Shape{129, 64, 256}})
      check_gemm(random, type, shape);
    check_gemm(random, type, {19, 70, 512}, Fill::worst);
    check_gemm(random, type, {70, 130, 256}, Fill::typical, 4);
  }
}

// bf16 has values that f16 has not: the header of gemm_bf16 says what becomes of them.
TEST_CASE("gemm_bf16 at the ends of f16", "[prefill]") {
  Random random(job_seed());
  const std::vector<f32> extremes{0x1p-17f, 0x1.fep-17f, 0x1.02p-20f, 0x1p-25f,
                                  65280.0f, 0x1p16f,     -0x1.8p40f,  -0x1p-16f};
  reference::Weights weights{WeightType::bf16, 8, 32, std::vector<u8>(8 * 64), std::vector<f32>(8 * 32)};
  for (u32 row = 0; row < 8; ++row) {
    const u32 bits = std::bit_cast<u32>(extremes[row]);
    weights.blocks[row * 64] = static_cast<u8>(bits >> 16);
    weights.blocks[row * 64 + 1] = static_cast<u8>(bits >> 24);
    weights.values[row * 32] = extremes[row];
  }
  require_right(gemm_job(random, {WeightType::bf16, Epilogue::store, 3, 8, 32}, weights));
}

TEST_CASE("gemm over random shapes", "[.][long]") {
  Random random(job_seed());
  for (const WeightType type : all_types) {
    for (u32 i = 0; i < 25; ++i) {
      const Shape shape{u32(1 + random() % 270), u32(1 + random() % 200), u32(32 * (1 + random() % 20))};
      check_gemm(random, type, shape);
    }
  }
}

TEST_CASE("attn_prefill over batch sizes and positions", "[prefill]") {
  Random random(job_seed());
  for (const PrefillAttentionShape& shape :
       {PrefillAttentionShape{2, 1, 64, 1, 0}, {2, 2, 64, 1, 31}, {2, 1, 64, 1, 32}, {4, 2, 64, 15, 0},
        {1, 1, 64, 16, 17}, {3, 1, 64, 17, 0}, {1, 1, 64, 63, 1}, {2, 1, 64, 64, 0}, {1, 1, 64, 65, 33},
        {1, 1, 64, 100, 100}}) {
    require_right(attn_prefill_job(random, shape), 2);
  }
}

TEST_CASE("attn_prefill for every head size", "[prefill]") {
  Random random(job_seed());
  for (const u32 size : {32u, 64u, 96u, 128u}) {
    require_right(attn_prefill_job(random, {4, 2, size, 66, 7}));
    require_right(attn_prefill_job(random, {6, 2, size, 1, 62}));
    require_right(attn_prefill_job(random, {2, 1, size, 70, 40, Scores::peaked}), 3);
    require_right(attn_prefill_job(random, {1, 1, size, 40, 10, Scores::growing}));
  }
}

TEST_CASE("attn_prefill over random shapes", "[.][long]") {
  Random random(job_seed());
  for (u32 i = 0; i < 60; ++i) {
    const u32 kv_heads = 1 + random() % 3, heads = kv_heads * u32(1 + random() % 4);
    const Scores scores[] = {Scores::even, Scores::peaked, Scores::growing};
    require_right(attn_prefill_job(random, {heads, kv_heads, u32(32 * (1 + random() % 4)), u32(1 + random() % 150),
                                            u32(random() % 300), scores[random() % 3]}));
  }
}

TEST_CASE("rmsnorm_f16 divides by the root mean square", "[prefill]") {
  Random random(job_seed());
  for (const u32 columns : {4u, 32u, 256u, 288u, 1024u, 1028u, 4096u})
    require_right(rmsnorm_f16_job(random, {3, columns}), 2);
}

TEST_CASE("swiglu_f16 multiplies silu of gate with up", "[prefill]") {
  Random random(job_seed());
  for (const u32 rows : {4u, 32u, 252u, 256u, 260u, 768u}) require_right(swiglu_f16_job(random, {3, rows}), 2);
}

TEST_CASE("rope_kv turns q and k and fills the cache", "[prefill]") {
  Random random(job_seed());
  for (const RopeShape& shape : {RopeShape{4, 2, 64, 40, 7, 5}, {1, 1, 32, 3, 0, 3}, {9, 3, 128, 9, 8, 1},
                                 {2, 1, 256, 6, 2, 4}, {3, 3, 96, 5, 3, 4}}) {   // the last one runs past the context
    require_right(rope_kv_job(random, shape), 2);
  }
}

// The canary of all tests above: a kernel that reads other inputs than the reference is found out, whichever they are.
TEST_CASE("a changed input of a prefill kernel shows", "[prefill]") {
  Random random(job_seed());
  std::vector<Job> jobs{attn_prefill_job(random, {2, 1, 64, 20, 40, Scores::peaked}),
                        rope_kv_job(random, {4, 2, 64, 40, 7, 5}), rmsnorm_f16_job(random, {3, 256}),
                        swiglu_f16_job(random, {3, 256})};
  for (const WeightType type : all_types) jobs.push_back(gemm_job(random, {type, Epilogue::add, 20, 30, 256}));
  for (const Job& job : jobs) {
    for (std::size_t i = 0; i < job.regions.size(); ++i) {
      if (job.regions[i].use == Use::output) continue;
      Job changed = job;
      auto& bytes = changed.regions[i].bytes;
      for (std::size_t at = 1; at < bytes.size(); at += 2) bytes[at] ^= 0x80;    // signs, and every other quant
      INFO(job.kernel << ": " << job.regions[i].label);
      CHECK(run_job(changed, {}).problem != "");
    }
  }
}

// The table in gemm.inc, for eight K steps of one wave: what 256 more columns cost.
TEST_CASE("gemm main loops cost what their table says", "[prefill]") {
  struct Cost { WeightType type; u64 valu, vmem_load; };
  Random random(job_seed());
  for (const Cost& cost : {Cost{WeightType::f16, 32, 48}, Cost{WeightType::bf16, 224, 48},
                           Cost{WeightType::f32, 224, 64}, Cost{WeightType::q8_0, 240, 48},
                           Cost{WeightType::q4_0, 288, 48}, Cost{WeightType::q4_k, 372, 41},
                           Cost{WeightType::q6_k, 376, 51}}) {
    isa::Counters counts[2];
    for (u32 i = 0; i < 2; ++i)
      counts[i] = require_right(gemm_job(random, {cost.type, Epilogue::store, 128, 64, 256 + 256 * i}));
    INFO(kernels::name(cost.type));
    CHECK(counts[1].wmma - counts[0].wmma == 4 * 128);
    CHECK(counts[1].valu - counts[0].valu == 4 * cost.valu);
    CHECK(counts[1].vmem_load - counts[0].vmem_load == 4 * cost.vmem_load);
    CHECK(counts[1].lds - counts[0].lds == 4 * 240);
    CHECK(counts[1].barrier - counts[0].barrier == 4 * 8);
  }
}

// The header of attn_prefill.s, for eight steps of one wave in which no maximum grows.
TEST_CASE("attn_prefill's step costs what its header says", "[prefill]") {
  struct Cost { u32 head_size; u64 wmma, valu, vmem_load, lds; };
  Random random(job_seed());
  for (const Cost& cost : {Cost{64, 16, 92, 6, 38}, Cost{128, 32, 100, 12, 72}}) {
    isa::Counters counts[2];
    for (u32 i = 0; i < 2; ++i)
      counts[i] = require_right(attn_prefill_job(random, {1, 1, cost.head_size, 64, 256 + 256 * i, Scores::equal}));
    INFO("head size " << cost.head_size);
    CHECK(counts[1].wmma - counts[0].wmma == 32 * cost.wmma);
    CHECK(counts[1].valu - counts[0].valu == 32 * (cost.valu - 16 - 8));
    CHECK(counts[1].trans - counts[0].trans == 32 * 16);
    CHECK(counts[1].dot - counts[0].dot == 32 * 8);
    CHECK(counts[1].vmem_load - counts[0].vmem_load == 32 * cost.vmem_load);
    CHECK(counts[1].lds - counts[0].lds == 32 * cost.lds);
  }
}

}  // namespace amlm::test
