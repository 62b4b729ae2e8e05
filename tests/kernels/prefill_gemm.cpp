// gemm_<type>_<epilogue> against sums in f64 of the weights as f16.
//
// Tolerance of one element: (8 + columns / 4) * 2^-24 of the sum of the products' magnitudes. A WMMA adds two
// products a step, rounds to 24 bits and truncates, towards zero on the whole, what it aligns: that is half of the
// worst case, and at 32 columns about a step of a single f16 weight.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "tests/kernels/prefill_support.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

namespace {

using kernels::WeightType;

enum class Epilogue : u8 { store, add };
struct Shape { u32 tokens, rows, columns; };
constexpr u32 canary = 0x7fc0beef;       // a NaN: reading it shows as well
constexpr u32 padding = 3;               // elements between the rows of c

struct Problem {
  Shape shape;
  Weights weights;
  std::vector<u16> a;
  std::vector<f32> before;               // c before: values where a result belongs, canaries between
};

Problem make_problem(std::mt19937_64& random, WeightType type, Shape shape, Epilogue epilogue) {
  Problem p{shape, random_weights(random, type, shape.rows, shape.columns), {}, {}};
  p.a = to_f16(random_values(random, static_cast<u64>(shape.tokens) * shape.columns, Spread::outliers));
  const u64 stride = shape.rows + padding;
  p.before.assign((shape.tokens - 1) * stride + shape.rows, std::bit_cast<f32>(canary));
  if (epilogue == Epilogue::add) {
    for (u64 t = 0; t < shape.tokens; ++t) {
      const std::vector<f32> row = random_values(random, shape.rows, Spread::even);
      std::memcpy(p.before.data() + t * stride, row.data(), shape.rows * 4);
    }
  }
  return p;
}

isa::RunReport run_gemm(Machine& machine, const std::string& kernel, Problem& p, u64 order_seed, std::vector<f32>& c) {
  machine.clear();
  c = p.before;
  kernels::GemmArgs args{.a = machine.map(p.a, readable, "a"), .c = machine.map(c, writable, "c"), .rows = p.shape.rows,
                         .columns = p.shape.columns, .tokens = p.shape.tokens, .row_stride = p.shape.rows + padding};
  for (u32 i = 0; i < 4; ++i) {
    if (!p.weights.planes[i].empty()) args.w.plane[i] = machine.map(p.weights.planes[i], readable, "weights");
  }
  const u32 groups_x = (p.shape.rows + kernels::gemm_group_rows - 1) / kernels::gemm_group_rows;
  const u32 groups_y = (p.shape.tokens + kernels::gemm_group_tokens - 1) / kernels::gemm_group_tokens;
  return machine.run(kernel, args, {groups_x, groups_y, 1}, order_seed);
}

// Counts elements that are off; says which was the first.
void compare(const Problem& p, const std::vector<f32>& c, Epilogue epilogue) {
  const auto [tokens, rows, columns] = p.shape;
  const u64 stride = rows + padding;
  std::vector<f32> a(p.a.size());
  for (u64 i = 0; i < a.size(); ++i) a[i] = reference::f16_to_f32(p.a[i]);
  for (u64 t = 0; t < tokens; ++t) {
    for (u64 r = 0; r < stride && t * stride + r < c.size(); ++r) {
      const f32 got = c[t * stride + r];
      INFO("token " << t << ", row " << r);
      if (r >= rows) {
        if (std::bit_cast<u32>(got) != canary) FAIL("canary overwritten");
        continue;
      }
      f64 sum = epilogue == Epilogue::add ? p.before[t * stride + r] : 0, size = std::fabs(sum), slack = 0;
      for (u64 k = 0; k < columns; ++k) {
        const f64 x = a[t * columns + k], low = p.weights.low[r * columns + k], high = p.weights.high[r * columns + k];
        sum += x * low;
        size += std::fabs(x * high);
        slack += std::fabs(x * (high - low));
      }
      const f64 tolerance = (8 + columns / 4.0) * 0x1p-24 * size + slack;
      if (!(std::fabs(got - sum) <= tolerance)) FAIL(got << " instead of " << sum << " +- " << tolerance);
    }
  }
}

void check_type(WeightType type, const std::vector<Shape>& shapes) {
  Machine machine;
  std::mt19937_64 random(test_seed());
  const u32 block = std::max<u32>(32, reference::block_elements(type));
  for (Shape shape : shapes) {
    shape.columns = (shape.columns + block - 1) / block * block;
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::add}) {
      const std::string kernel =
          "gemm_" + std::string(kernels::name(type)) + (epilogue == Epilogue::store ? "_store" : "_add");
      INFO(kernel << ": " << shape.tokens << " tokens, " << shape.rows << " rows, " << shape.columns << " columns, "
                  << "AMLM_TEST_SEED=" << test_seed());
      Problem p = make_problem(random, type, shape, epilogue);
      std::vector<f32> c;
      run_gemm(machine, kernel, p, random(), c);
      compare(p, c, epilogue);
    }
  }
}

constexpr WeightType all_types[] = {WeightType::f32,  WeightType::f16,  WeightType::bf16, WeightType::q8_0,
                                    WeightType::q4_0, WeightType::q4_k, WeightType::q6_k};
const std::vector<Shape> few{{1, 1, 32}, {17, 65, 288}, {33, 63, 768}, {129, 64, 256}};
const std::vector<Shape> many{{1, 1, 32},     {15, 16, 256}, {16, 63, 288}, {17, 64, 768}, {63, 65, 256},
                              {64, 256, 288}, {65, 64, 32},  {100, 1, 256}, {127, 65, 288}, {128, 64, 96},
                              {129, 63, 64},  {512, 65, 64}, {5, 1030, 64}, {31, 129, 1024}};

}  // namespace

TEST_CASE("gemm_f16 over odd shapes") { check_type(WeightType::f16, many); }
TEST_CASE("gemm_q8_0 over odd shapes") { check_type(WeightType::q8_0, many); }
TEST_CASE("gemm_q4_0") { check_type(WeightType::q4_0, few); }
TEST_CASE("gemm_q4_k") { check_type(WeightType::q4_k, few); }
TEST_CASE("gemm_q6_k") { check_type(WeightType::q6_k, few); }
TEST_CASE("gemm_bf16") { check_type(WeightType::bf16, few); }
TEST_CASE("gemm_f32") { check_type(WeightType::f32, few); }

TEST_CASE("gemm over random shapes", "[.][long]") {
  std::mt19937_64 random(test_seed());
  for (const WeightType type : all_types) {
    std::vector<Shape> shapes;
    for (u32 i = 0; i < 25; ++i)
      shapes.push_back({u32(1 + random() % 270), u32(1 + random() % 200), u32(32 * (1 + random() % 20))});
    check_type(type, shapes);
  }
}

TEST_CASE("gemm gives the same bits in every order of waves") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  Problem p = make_problem(random, WeightType::q4_k, {70, 130, 512}, Epilogue::add);
  std::vector<f32> first, again;
  run_gemm(machine, "gemm_q4_k_add", p, 1, first);
  for (u64 seed = 2; seed < 6; ++seed) {
    run_gemm(machine, "gemm_q4_k_add", p, seed, again);
    REQUIRE(std::memcmp(first.data(), again.data(), first.size() * 4) == 0);
  }
}

TEST_CASE("gemm needs each of its waits and barriers") {
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const WeightType type : all_types) {
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::add}) {
      const std::string kernel =
          "gemm_" + std::string(kernels::name(type)) + (epilogue == Epilogue::store ? "_store" : "_add");
      Problem p = make_problem(random, type, {40, 33, 256}, epilogue);
      std::vector<f32> c;
      machine.check_mutants(kernel, [&] { return run_gemm(machine, kernel, p, 1, c); });
    }
  }
}

// The table in gemm.inc, for eight K steps of one wave: what 256 more columns cost.
TEST_CASE("gemm main loops cost what their table says") {
  struct Cost { WeightType type; u64 valu, vmem_load; };
  Machine machine;
  std::mt19937_64 random(test_seed());
  for (const Cost& cost : {Cost{WeightType::f16, 32, 48}, Cost{WeightType::bf16, 224, 48},
                           Cost{WeightType::f32, 224, 64}, Cost{WeightType::q8_0, 240, 48},
                           Cost{WeightType::q4_0, 288, 48}, Cost{WeightType::q4_k, 372, 41},
                           Cost{WeightType::q6_k, 376, 51}}) {
    isa::Counters counts[2];
    for (u32 i = 0; i < 2; ++i) {
      Problem p = make_problem(random, cost.type, {128, 64, 256 + 256 * i}, Epilogue::store);
      std::vector<f32> c;
      counts[i] = run_gemm(machine, "gemm_" + std::string(kernels::name(cost.type)) + "_store", p, 1, c).counters;
    }
    INFO(kernels::name(cost.type));
    CHECK(counts[1].wmma - counts[0].wmma == 4 * 128);
    CHECK(counts[1].valu - counts[0].valu == 4 * cost.valu);
    CHECK(counts[1].vmem_load - counts[0].vmem_load == 4 * cost.vmem_load);
    CHECK(counts[1].lds - counts[0].lds == 4 * 240);
    CHECK(counts[1].barrier - counts[0].barrier == 4 * 8);
  }
}

// bf16 has values that f16 has not: the header of gemm_bf16 says what becomes of them.
TEST_CASE("gemm_bf16 at the ends of f16") {
  Machine machine;
  const std::vector<f32> values{0x1p-17f, 0x1.fep-17f, 0x1.02p-20f, 0x1p-25f, 65280.0f, 0x1p16f, -0x1.8p40f, -0x1p-16f};
  const std::vector<f32> kept{0x1p-17f, 0x1.fep-17f, 0x1p-20f, 0.0f, 65280.0f, 65504.0f, -65504.0f, -0x1p-16f};
  Problem p{{1, static_cast<u32>(values.size()), 32}, {}, std::vector<u16>(32, 0), {}};
  p.a[0] = 0x3c00;                       // only the first column counts
  p.before.assign(values.size(), 0);
  p.weights.planes[0].assign(values.size() * 64, 0);
  for (size_t r = 0; r < values.size(); ++r) {
    const u32 bits = std::bit_cast<u32>(values[r]);
    std::memcpy(p.weights.planes[0].data() + r * 64, reinterpret_cast<const u8*>(&bits) + 2, 2);
  }
  std::vector<f32> c;
  run_gemm(machine, "gemm_bf16_store", p, 1, c);
  for (size_t r = 0; r < values.size(); ++r) {
    INFO(values[r]);
    CHECK(std::fabs(c[r] - kept[r]) <= std::fabs(kept[r]) * 0x1p-20f);
  }
}

}  // namespace amlm::test
