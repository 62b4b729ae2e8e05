// Arithmetic in every MODE: f16 against sums of integers, scalar float against its vector twins, CLAMP of integers.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "tests/isa/alu_bench.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

using Wide = __int128;

u64 seed_of_test() { return test_seed(11); }

bool is_finite(u32 half) { return (half & 0x7c00) != 0x7c00; }

// A finite f16 in units of 2^-24.
Wide units(u32 half) {
  const u32 field = half >> 10 & 31;
  const Wide significand = (half & 0x3ff) | (field ? 0x400 : 0), value = significand << (field ? field - 1 : 0);
  return half & 0x8000 ? -value : value;
}

// `value` in units of 2^-48, not 0, rounded to f16.
u32 rounded(Wide value, u32 rounding) {
  const bool negative = value < 0;
  const Wide magnitude = negative ? -value : value;
  u32 top = 0;
  while (magnitude >> top > 1) ++top;
  const u32 drop = std::max(top, 34u) - 10;
  const Wide rest = magnitude & ((Wide(1) << drop) - 1), half = Wide(1) << (drop - 1);
  u32 result = u32(magnitude >> drop);
  const bool away = rounding == (negative ? 2 : 1);
  if (rounding == 0 ? rest > half || (rest == half && (result & 1)) : away && rest != 0) ++result;
  result += (drop - 24) << 10;
  if (result >= 0x7c00) result = rounding == 0 || away ? 0x7c00 : 0x7bff;
  return result | (negative ? 0x8000 : 0);
}

u32 some_half(std::mt19937& random) {
  const u32 value = random() & 0xffff;
  return random() % 4 == 0 ? value & 0x83ff : is_finite(value) ? value : value & 0xbfff;
}

constexpr u32 interesting[] = {0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x7f7fffff,
                               0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00001, 0x33800000, 0x38ffffff, 0x477ff000,
                               0x03ff0400, 0x0001fc01, 0x80018001, 0x3c003c01, 0x4f000000, 0xcf000001};

u32 some_word(std::mt19937& random) {
  if (random() % 3 == 0) return interesting[random() % std::size(interesting)];
  return random() % 3 == 0 ? random() & 0x83ff83ff : random();
}

// MODE: rounding of f32 and of f16, denormals of both, IEEE and DX10_CLAMP.
u32 some_mode(std::mt19937& random) { return (random() & 0xff) | 0x300; }

}  // namespace

TEST_CASE("packed f16 and v_fma_mixlo round as MODE says") {
  const u64 seed = seed_of_test();
  CAPTURE(seed);
  std::mt19937 random{u32(seed)};
  Bench bench;
  for (u32 round = 0; round < 1200; ++round) {
    const u32 rounding = round % 4;
    bench.wave.mode = 0x3f0 | rounding << 2;
    for (u32 lane = 0; lane < 32; ++lane)
      for (u32 v = 0; v < 3; ++v) bench.v(v, lane) = some_half(random) | some_half(random) << 16;
    bench.run("v_pk_fma_f16 v4, v0, v1, v2\nv_pk_add_f16 v5, v0, v1\nv_pk_mul_f16 v6, v0, v1\n"
              "v_fma_mixlo_f16 v7, v0, v1, v2 op_sel_hi:[1,1,1]\nv_fma_f16 v8, v0, v1, v2");
    for (u32 lane = 0; lane < 32; ++lane)
      for (u32 shift = 0; shift < 32; shift += 16) {
        const auto of = [&](u32 v) { return bench.v(v, lane) >> shift & 0xffff; };
        const u32 a = of(0), b = of(1), c = of(2);
        const Wide product = units(a) * units(b), sum = product + (units(c) << 24), both = (units(a) + units(b)) << 24;
        CAPTURE(rounding, a, b, c);
        if (sum != 0) REQUIRE(of(4) == rounded(sum, rounding));
        if (both != 0) REQUIRE(of(5) == rounded(both, rounding));
        if (product != 0) REQUIRE(of(6) == rounded(product, rounding));
        if (sum == 0 || shift != 0) continue;
        REQUIRE(of(7) == rounded(sum, rounding));
        REQUIRE(of(8) == rounded(sum, rounding));
      }
  }
  bench.wave.mode = 0x3f0;
  bench.fill(0, 0x3c00), bench.fill(1, 0x1000);
  bench.run("v_pk_add_f16 v5, v0, v1");
  CHECK(bench.v(5) == 0x3c00);   // the host's rounding is back
}

TEST_CASE("v_fma_mix_f32 is v_fma_f32 in every MODE") {
  std::mt19937 random{u32(seed_of_test())};
  Bench bench;
  for (u32 round = 0; round < 2000; ++round) {
    bench.wave.mode = some_mode(random);
    for (u32 lane = 0; lane < 32; ++lane)
      for (u32 v = 0; v < 3; ++v) bench.v(v, lane) = some_word(random);
    bench.run("v_fma_mix_f32 v4, v0, v1, v2\nv_fma_f32 v5, v0, v1, v2");
    for (u32 lane = 0; lane < 32; ++lane) {
      CAPTURE(bench.wave.mode, bench.v(0, lane), bench.v(1, lane), bench.v(2, lane));
      REQUIRE(bench.v(4, lane) == bench.v(5, lane));
    }
  }
}

TEST_CASE("scalar float gives what the vector instruction gives, in every MODE") {
  static constexpr const char* names[] = {
      "ceil_f32", "floor_f32", "trunc_f32", "rndne_f32", "cvt_f32_i32", "cvt_f32_u32", "cvt_i32_f32", "cvt_u32_f32",
      "cvt_f16_f32", "cvt_f32_f16", "ceil_f16", "floor_f16", "trunc_f16", "rndne_f16"};
  static constexpr const char* binary[] = {"add_f32", "sub_f32", "min_f32", "max_f32", "mul_f32", "cvt_pk_rtz_f16_f32",
                                           "add_f16", "sub_f16", "min_f16", "max_f16", "mul_f16"};
  static constexpr const char* relations[] = {"lt", "eq", "le", "gt", "lg", "ge", "o", "u", "nge", "nlg", "ngt", "nle",
                                              "neq", "nlt"};
  const u64 seed = seed_of_test();
  std::mt19937 random{u32(seed)};
  Bench bench;
  const auto same = [&](const std::string& name, const std::string& scalar, const std::string& vector, bool half) {
    for (u32 round = 0; round < 300; ++round) {
      bench.wave.mode = some_mode(random);
      const u32 a = some_word(random), b = some_word(random), c = some_word(random);
      bench.s(0) = a, bench.s(1) = b, bench.s(2) = c;
      bench.fill(0, a), bench.fill(1, b), bench.fill(2, half ? c & 0xffff : c);
      bench.run(scalar + "\n" + vector);
      CAPTURE(seed, name, bench.wave.mode, a, b, c);
      REQUIRE(bench.unknown == "");
      REQUIRE(bench.s(2) == (half ? bench.v(2) & 0xffff : bench.v(2)));
    }
  };
  const auto is_half = [](const std::string& name) { return name.ends_with("f16") || name == "cvt_f16_f32"; };
  for (const std::string name : names)
    same(name, "s_" + name + " s2, s0", "v_" + name + " v2, v0", name != "cvt_f32_f16" && is_half(name));
  for (const std::string name : binary)
    same(name, "s_" + name + " s2, s0, s1", "v_" + name + (name[1] == 'v' ? "_e64" : "") + " v2, v0, v1",
         name[0] != 'c' && is_half(name));
  same("fmac_f32", "s_fmac_f32 s2, s0, s1", "v_fmac_f32 v2, v0, v1", false);
  same("fmac_f16", "s_fmac_f16 s2, s0, s1", "v_fmac_f16 v2, v0, v1", true);
  same("fmaak", "s_fmaak_f32 s2, s0, s1, 0x00000123", "v_fmaak_f32 v2, v0, v1, 0x00000123", false);
  same("cvt_hi", "s_cvt_hi_f32_f16 s2, s0", "v_lshrrev_b32 v3, 16, v0\nv_cvt_f32_f16 v2, v3", false);
  for (const std::string relation : relations)
    for (const std::string type : {"f32", "f16"})
      for (u32 round = 0; round < 100; ++round) {
        bench.wave.mode = some_mode(random);
        const u32 a = some_word(random), b = round % 4 == 0 ? a : some_word(random);
        bench.s(0) = a, bench.s(1) = b;
        bench.fill(0, a), bench.fill(1, b);
        bench.run("s_cmp_" + relation + "_" + type + " s0, s1\nv_cmp_" + relation + "_" + type + " s4, v0, v1");
        CAPTURE(relation, type, bench.wave.mode, a, b);
        REQUIRE(bench.wave.scc == (bench.s(4) & 1));
      }
}

TEST_CASE("CLAMP saturates sums of differences, carries and 64-bit products") {
  Bench bench;
  bench.fill(0, 0xffffffff), bench.fill(1, 1), bench.fill(2, 0xfffffff0), bench.fill(3, 0xffffffff);
  bench.fill(4, 0xff00ff00), bench.fill(5, 0x00ff00ff);
  bench.run("v_sad_u8 v8, v4, v5, v2 clamp\nv_sad_hi_u8 v9, v4, v5, v2 clamp\nv_sad_u16 v10, v4, v5, v2 clamp\n"
            "v_sad_u32 v11, v4, v5, v2 clamp\nv_msad_u8 v12, v4, v5, v2 clamp\nv_sad_u8 v13, v4, v5, v2");
  for (u32 v = 8; v < 13; ++v) CHECK(bench.v(v) == 0xffffffff);
  CHECK(bench.v(13) == 0xfffffff0 + 4 * 255);
  bench.fill(6, 0xfff0ffff), bench.fill(7, 0x00010000);
  bench.fill(14, 0xff00ff00), bench.fill(15, 0xff00ff00);
  bench.run("v_qsad_pk_u16_u8 v[16:17], v[14:15], v5, v[6:7] clamp\nv_qsad_pk_u16_u8 v[18:19], v[14:15], v5, v[6:7]");
  CHECK(bench.v(16) == 0xfff0ffff);
  CHECK(bench.v(17) == 0x000103fc);
  CHECK(bench.v(18) == ((0xfff0u << 16) | (0xffff + 4 * 255 - 0x10000)));
  bench.fill(20, 0xfffffff0), bench.fill(21, 0xffffff00), bench.fill(22, 7), bench.fill(23, 5);
  bench.run("v_mqsad_u32_u8 v[24:27], v[14:15], v4, v[20:23] clamp");
  CHECK(bench.v(24) == 0xfffffff0);
  CHECK(bench.v(25) == 0xffffffff);
  CHECK(bench.v(26) == 7);
  CHECK(bench.v(27) == 5 + 2 * 255);   // against the reference's two bytes that are not 0
  bench.run("v_add_co_u32 v8, s4, v0, v1 clamp\nv_sub_co_u32 v9, s5, v1, v0 clamp\n"
            "v_add_co_ci_u32_e64 v10, s6, v0, v1, s4 clamp\nv_mad_u64_u32 v[12:13], s7, v0, v0, v[2:3] clamp");
  CHECK(bench.v(8) == 0xffffffff);
  CHECK(bench.s(4) == 0xffffffff);
  CHECK(bench.v(9) == 0);
  CHECK(bench.v(10) == 0xffffffff);
  CHECK(bench.v(12) == 0xffffffff);
  CHECK(bench.v(13) == 0xffffffff);
  bench.fill(2, 0), bench.fill(3, 0x80000000);
  bench.run("v_mad_i64_i32 v[12:13], s7, v0, v1, v[2:3] clamp\nv_cvt_i32_f32_e64 v14, v0 clamp");
  CHECK(bench.v(12) == 0);
  CHECK(bench.v(13) == 0x80000000);
}

TEST_CASE("v_mullit_f32, and DPP of v_dot2acc and of relative moves") {
  Bench bench;
  const auto put = [&](f32 a, f32 b, f32 c) {
    bench.fill(0, std::bit_cast<u32>(a)), bench.fill(1, std::bit_cast<u32>(b)), bench.fill(2, std::bit_cast<u32>(c));
    bench.run("v_mullit_f32 v3, v0, v1, v2");
    return std::bit_cast<f32>(bench.v(3));
  };
  CHECK(put(2, 3, 1) == 6);
  CHECK(put(2, 3, 0) == -0x1.fffffep127f);
  CHECK(put(2, -INFINITY, 1) == -0x1.fffffep127f);
  CHECK(put(2, NAN, 1) == -0x1.fffffep127f);
  CHECK(put(0, INFINITY, 1) == 0);
  for (u32 lane = 0; lane < 32; ++lane) bench.v(0, lane) = lane % 2 ? 0x40003c00 : 0x3c000000, bench.v(5, lane) = 100 + lane;
  bench.fill(1, 0x3c003c00), bench.fill(4, 0);
  bench.run("v_dot2acc_f32_f16_dpp v4, v0, v1 quad_perm:[1,1,3,3] row_mask:0xf bank_mask:0xf\n"
            "s_mov_b32 m0, 3\nv_movrels_b32_dpp v6, v2 row_shl:1 row_mask:0xf bank_mask:0xf bound_ctrl:1");
  CHECK(std::bit_cast<f32>(bench.v(4, 0)) == 3);
  CHECK(std::bit_cast<f32>(bench.v(4, 1)) == 3);
  CHECK(bench.v(6, 0) == 101);
  CHECK(bench.v(6, 15) == 0);
  CHECK(bench.v(6, 16) == 117);
}
