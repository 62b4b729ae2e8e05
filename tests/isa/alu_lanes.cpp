// ALU instructions beyond one lane and one mode: DPP, permlane, lane reads, packed halves, dot products, WMMA, VOPD,
// MODE, omod, clamp, and the scalar unit's conditions.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>

#include "isa/execute/silicon_dot.h"
#include "tests/isa/alu_bench.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

u32 bits(f32 x) { return std::bit_cast<u32>(x); }

u32 half_of(f32 x) {   // numbers that are exact in f16
  if (x == 0) return 0;
  int exponent;
  const f32 m = std::frexp(std::fabs(x), &exponent);
  return u32(x < 0 ? 0x8000 : 0) | u32(exponent - 1 + 15) << 10 | (u32(m * 2048) & 0x3ff);
}

}  // namespace

TEST_CASE("DPP16: where each control reads from") {
  // Lane i holds 10 i + 3; expectations as tinygrad's hardware test states them (test/amd/hw/test_dpp.py).
  struct Expected {
    const char* control;
    std::vector<std::pair<u32, u32>> lanes;
  };
  const u32 kept = 0xdeadbeef;
  const std::vector<Expected> cases = {
      {"quad_perm:[3,2,1,0]", {{0, 33}, {1, 23}, {2, 13}, {3, 3}, {4, 73}}},
      {"row_shl:1 bound_ctrl:1", {{0, 13}, {7, 83}, {14, 153}, {15, 0}, {16, 173}}},
      {"row_shr:1 bound_ctrl:1", {{0, 0}, {1, 3}, {8, 73}, {15, 143}, {16, 0}, {17, 163}}},
      {"row_ror:1", {{0, 153}, {1, 3}, {15, 143}, {16, 313}}},
      {"row_mirror", {{0, 153}, {5, 103}, {8, 73}, {16, 313}}},
      {"row_half_mirror", {{0, 73}, {7, 3}, {8, 153}, {15, 83}, {16, 233}}},
      {"row_shl:1 row_mask:0x5 bound_ctrl:1", {{0, 13}, {15, 0}, {16, kept}, {32, 333}, {47, 0}, {48, kept}}},
      {"row_shl:1 bank_mask:0x5 bound_ctrl:1", {{0, 13}, {3, 43}, {4, kept}, {8, 93}, {12, kept}}},
      {"row_shl:1", {{14, 153}, {15, kept}, {31, kept}, {63, kept}}},
      {"row_share:5", {{0, 53}, {15, 53}, {16, 213}, {63, 533}}},
      {"row_xmask:3", {{0, 33}, {1, 23}, {5, 63}, {17, 183}}},
  };
  for (const Expected& c : cases) {
    Bench bench(64);
    for (u32 lane = 0; lane < 64; lane++) bench.v(0, lane) = 10 * lane + 3;
    bench.fill(1, kept);
    bench.fill(2, 0);
    bench.run("v_or_b32_dpp v1, v0, v2 " + std::string(c.control));
    for (const auto& [lane, value] : c.lanes) {
      INFO(c.control << " lane " << lane);
      CHECK(bench.v(1, lane) == value);
    }
  }
}

TEST_CASE("DPP: inactive source lanes, DPP8, compare") {
  Bench bench;
  for (u32 lane = 0; lane < 32; lane++) bench.v(0, lane) = 100 + lane, bench.v(1, lane) = 7;
  bench.s(code_exec_lo) = 0xfffffff0;   // lanes 0-3 inactive
  bench.run("v_mov_b32_dpp v1, v0 row_ror:4");
  CHECK(bench.v(1, 4) == 7);            // would read lane 0: not written
  CHECK(bench.v(1, 8) == 104);
  CHECK(bench.v(1, 0) == 7);            // itself inactive
  bench.run("v_mov_b32_dpp v1, v0 row_ror:4 bound_ctrl:1");
  CHECK(bench.v(1, 4) == 0);
  bench.run("v_mov_b32_dpp v1, v0 row_ror:4 fi:1");
  CHECK(bench.v(1, 4) == 100);
  bench.run("v_mov_b32_dpp v2, v0 dpp8:[7,6,5,4,3,2,1,0]");
  CHECK(bench.v(2, 8) == 115);
  CHECK(bench.v(2, 4) == 0);            // reads inactive lane 3: zero, as with bound control
  bench.s(code_exec_lo) = ~0u;
  bench.run("v_cmp_eq_u32_dpp vcc_lo, v0, v0 row_share:3 row_mask:0x1");
  CHECK(bench.s(code_vcc_lo) == 0x8);   // row 1 is masked: its bits are 0
  bench.run("v_add_nc_u32_e64_dpp v3, v0, v0 quad_perm:[1,1,1,1]");
  CHECK(bench.v(3, 6) == 105 + 106);
}

TEST_CASE("reads and writes of single lanes") {
  Bench bench;
  for (u32 lane = 0; lane < 32; lane++) bench.v(0, lane) = 1000 + lane;
  bench.s(code_exec_lo) = 0xff00;
  bench.s(3) = 33;
  bench.run("v_readfirstlane_b32 s4, v0\nv_readlane_b32 s5, v0, 2\nv_readlane_b32 s6, v0, s3\nv_writelane_b32 v0, s4, 30");
  CHECK(bench.s(4) == 1008);
  CHECK(bench.s(5) == 1002);    // EXEC does not matter
  CHECK(bench.s(6) == 1001);    // lane number mod 32
  CHECK(bench.v(0, 30) == 1008);
  bench.s(code_exec_lo) = 0;
  bench.run("v_readfirstlane_b32 s4, v0");
  CHECK(bench.s(4) == 1000);    // no lane: lane 0
  Bench wide(64);
  for (u32 lane = 0; lane < 64; lane++) wide.v(0, lane) = lane;
  wide.s(code_exec_lo) = 0;
  wide.s(code_exec_hi) = 0x10;
  wide.run("v_readfirstlane_b32 s4, v0\nv_readlane_b32 s5, v0, 63");
  CHECK(wide.s(4) == 36);
  CHECK(wide.s(5) == 63);
  wide.s(code_exec_lo) = wide.s(code_exec_hi) = ~0u;
  wide.run("v_permlane64_b32 v1, v0\nv_mbcnt_lo_u32_b32 v2, -1, 0\nv_mbcnt_hi_u32_b32 v2, -1, v2");
  CHECK(wide.v(1, 3) == 35);
  CHECK(wide.v(1, 40) == 8);
  for (u32 lane = 0; lane < 64; lane++) REQUIRE(wide.v(2, lane) == lane);
}

TEST_CASE("permlane16 and permlanex16") {
  Bench bench;
  for (u32 lane = 0; lane < 32; lane++) bench.v(0, lane) = lane, bench.v(1, lane) = 99;
  bench.s(4) = 0x76543210;
  bench.s(5) = 0xfedcba98;
  bench.s(6) = 0x89abcdef;
  bench.s(7) = 0x01234567;
  bench.run("v_permlane16_b32 v1, v0, s6, s7\nv_permlanex16_b32 v2, v0, s4, s5");
  for (u32 lane = 0; lane < 32; lane++) {
    REQUIRE(bench.v(1, lane) == (lane & 16) + 15 - (lane & 15));
    REQUIRE(bench.v(2, lane) == (lane ^ 16));
  }
  bench.s(code_exec_lo) = 0xffff;
  bench.run("v_permlanex16_b32 v1, v0, s4, s5");
  CHECK(bench.v(1, 3) == 12);         // the other row is inactive: not written
  bench.run("v_permlanex16_b32 v1, v0, s4, s5 op_sel:[0,1]");
  CHECK(bench.v(1, 3) == 0);          // bound control: zero
  bench.run("v_permlanex16_b32 v1, v0, s4, s5 op_sel:[1,0]");
  CHECK(bench.v(1, 3) == 19);         // fetch inactive
}

TEST_CASE("packed halves: selects, negation, constants") {
  Bench bench;
  bench.fill(0, half_of(2) | half_of(3) << 16);
  bench.fill(1, half_of(5) | half_of(7) << 16);
  bench.fill(2, half_of(1) | half_of(-1) << 16);
  bench.run(R"(v_pk_mul_f16 v3, v0, v1
    v_pk_mul_f16 v4, v0, v1 op_sel:[1,0] op_sel_hi:[0,1]
    v_pk_fma_f16 v5, v0, v1, v2 neg_lo:[1,0,0] neg_hi:[0,0,1]
    v_pk_add_f16 v6, v0, 1.0
    v_pk_add_f16 v7, v0, 1.0 op_sel_hi:[1,0]
    v_pk_fmac_f16 v2, v0, v1
    v_pk_add_u16 v8, v0, -1
    v_pk_max_f16 v9, v0, v1
    v_pk_mul_f16 v10, v0, v1 clamp)");
  CHECK(bench.v(3, 5) == (half_of(10) | half_of(21) << 16));
  CHECK(bench.v(4, 5) == (half_of(15) | half_of(14) << 16));
  CHECK(bench.v(5, 5) == (half_of(-9) | half_of(22) << 16));
  CHECK(bench.v(6, 5) == (half_of(3) | half_of(3) << 16));      // the high half of an inline float is 0
  CHECK(bench.v(7, 5) == (half_of(3) | half_of(4) << 16));
  CHECK(bench.v(2, 5) == (half_of(11) | half_of(20) << 16));
  CHECK(bench.v(8, 5) == (u16(half_of(2) - 1) | (half_of(3) - 1) << 16));   // an inline integer has 32 bits
  CHECK(bench.v(9, 5) == (half_of(5) | half_of(7) << 16));
  CHECK(bench.v(10, 5) == (half_of(1) | half_of(1) << 16));
  bench.fill(0, 0x7fff8000);
  bench.fill(1, 0x0001ffff);
  bench.run("v_pk_add_i16 v3, v0, v1 clamp\nv_pk_add_i16 v4, v0, v1\nv_pk_lshlrev_b16 v5, 4, v1 op_sel_hi:[0,1]\n"
            "v_pk_ashrrev_i16 v6, 1, v0 op_sel_hi:[0,1]");
  CHECK(bench.v(3, 0) == 0x7fff8000);
  CHECK(bench.v(4, 0) == 0x80007fff);
  CHECK(bench.v(5, 0) == 0x0010fff0);
  CHECK(bench.v(6, 0) == 0x3fffc000);
}

TEST_CASE("dot products") {
  Bench bench;
  std::mt19937 random(5);
  for (int round = 0; round < 50; round++) {
    for (u32 lane = 0; lane < 32; lane++)
      for (u32 r = 0; r < 3; r++) bench.v(r, lane) = random();
    bench.run("v_dot4_i32_iu8 v4, v0, v1, v2 neg_lo:[1,0,0]\nv_dot4_u32_u8 v5, v0, v1, v2\n"
              "v_dot8_i32_iu4 v6, v0, v1, v2 neg_lo:[1,1,0]\nv_dot4_i32_iu8 v7, v0, v1, v2 neg_lo:[1,1,0] clamp\n"
              "v_dot2_f32_f16 v8, v0, v1, v2\nv_dot2_f32_bf16 v9, v0, v1, v2");
    for (u32 lane = 0; lane < 32; lane++) {
      const u32 a = bench.v(0, lane), b = bench.v(1, lane), c = bench.v(2, lane);
      i64 mixed = i32(c), plain = c, fours = i32(c), both = i32(c);
      for (int i = 0; i < 32; i += 8) {
        mixed += i64(i8(a >> i)) * u8(b >> i);
        plain += i64(u8(a >> i)) * u8(b >> i);
        both += i64(i8(a >> i)) * i8(b >> i);
      }
      for (int i = 0; i < 32; i += 4) fours += i64(i8(a >> i << 4) >> 4) * (i8(b >> i << 4) >> 4);
      REQUIRE(bench.v(4, lane) == u32(mixed));
      REQUIRE(bench.v(5, lane) == u32(plain));
      REQUIRE(bench.v(6, lane) == u32(fours));
      REQUIRE(bench.v(7, lane) == u32(std::min<i64>(std::max<i64>(both, INT32_MIN), INT32_MAX)));
      REQUIRE(bench.v(8, lane) == silicon::dot2_f32(silicon::Factor::f16, a, b, c));
      REQUIRE(bench.v(9, lane) == silicon::dot2_f32(silicon::Factor::bf16, a, b, c));
    }
  }
  // Inline constants, captured on gfx1100 (rocjitsu, gfx11_dot2_test): f16 ones in the low half, bf16 ones in both.
  bench.fill(0, half_of(1) | half_of(2) << 16);
  bench.run("v_dot2_f32_f16 v4, 1.0, v0, 0\nv_dot2_f32_f16 v5, 1.0, v0, 0 op_sel_hi:[0,1,0]\n"
            "v_dot2_f32_f16 v6, 1, v0, 0 op_sel_hi:[0,1,0]");
  CHECK(bench.v(4) == 0x3f800000);
  CHECK(bench.v(5) == 0x40400000);
  CHECK(bench.v(6) == 0x34400000);
  bench.fill(0, 0x40003f80);
  bench.run("v_dot2_f32_bf16 v4, 1.0, v0, 0");
  CHECK(bench.v(4) == 0x40400000);
  for (u32 lane = 0; lane < 32; lane++) bench.v(0, lane) = lane % 2 != 0 ? 0x40003f80 : 0x3f803f80;
  bench.fill(1, 0x3f803f80);
  bench.fill(2, 0);
  // v_dot2_f32_bf16_e64_dpp v4, v0, v1, v2 quad_perm:[1,0,3,2], which LLVM 19 cannot spell
  bench.run(".long 0xcc1a4004, 0x1c0a02fa, 0xff00b100");
  CHECK(bench.v(4, 0) == 0x40400000);
  CHECK(bench.v(4, 1) == 0x40000000);
  bench.fill(0, half_of(1) | half_of(2) << 16);
  bench.fill(7, 0);
  bench.run("v_dot2acc_f32_f16 v7, 1.0, v0");
  CHECK(bench.v(7) == 0x3f800000);
}

namespace {

// Fragments of small positive integers: products and sums are exact in the silicon's adder.
struct Matrices {
  u32 a[16][16], b[16][16], c[16][16];
  explicit Matrices(u32 seed, u32 limit) {
    std::mt19937 random(seed);
    for (auto* m : {a, b, c})
      for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) m[i][j] = random() % limit;
  }
  i64 product(int i, int j, i64 (*value)(u32) = [](u32 x) { return i64(x); }) const {
    i64 sum = c[i][j];
    for (int k = 0; k < 16; k++) sum += value(a[i][k]) * value(b[k][j]);
    return sum;
  }
};

// A in v[0..], B in v[8..], C in v[16..] of the bench; f16 factors.
void place_f16(Bench& bench, const Matrices& m, bool half_sums) {
  for (u32 lane = 0; lane < bench.wave.lanes; lane++)
    for (u32 v = 0; v < 8; v++) {
      const u32 i = lane % 16;
      bench.v(v, lane) = half_of(f32(m.a[i][2 * v])) | half_of(f32(m.a[i][2 * v + 1])) << 16;
      bench.v(8 + v, lane) = half_of(f32(m.b[2 * v][i])) | half_of(f32(m.b[2 * v + 1][i])) << 16;
      const u32 rows = bench.wave.lanes / 16, row = rows * v + lane / 16;
      if (row < 16) bench.v(16 + v, lane) = half_sums ? half_of(f32(m.c[row][i])) | 0xabcd0000 : bits(f32(m.c[row][i]));
    }
}

}  // namespace

TEST_CASE("WMMA: layout, EXEC ignored, constants") {
  for (const u32 lanes : {32u, 64u}) {
    const Matrices m(lanes, 9);
    Bench bench(lanes);
    place_f16(bench, m, false);
    bench.s(code_exec_lo) = 1;
    bench.s(code_exec_hi) = 0;
    const bool narrow = lanes == 32;
    bench.run(narrow ? "v_wmma_f32_16x16x16_f16 v[24:31], v[0:7], v[8:15], v[16:23]"
                     : "v_wmma_f32_16x16x16_f16 v[24:27], v[0:7], v[8:15], v[16:19]");
    bench.run(narrow ? "v_wmma_f32_16x16x16_f16 v[32:39], v[0:7], v[8:15], 1.0"
                     : "v_wmma_f32_16x16x16_f16 v[32:35], v[0:7], v[8:15], 1.0");
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 16; j++) {
        const u32 rows = lanes / 16, v = u32(i) / rows, lane = 16 * (u32(i) % rows) + u32(j);
        REQUIRE(bench.v(24 + v, lane) == bits(f32(m.product(i, j))));
        REQUIRE(bench.v(32 + v, lane) == bits(f32(m.product(i, j) - m.c[i][j] + 1)));
      }
    // 16-bit results: the half that OPSEL does not choose stays.
    place_f16(bench, m, true);
    for (u32 v = 0; v < 8; v++) bench.fill(24 + v, 0x12345678);
    bench.run(narrow ? "v_wmma_f16_16x16x16_f16 v[24:31], v[0:7], v[8:15], v[16:23]"
                     : "v_wmma_f16_16x16x16_f16 v[24:27], v[0:7], v[8:15], v[16:19]");
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 16; j++) {
        const u32 rows = lanes / 16, v = u32(i) / rows, lane = 16 * (u32(i) % rows) + u32(j);
        REQUIRE(bench.v(24 + v, lane) == (0x12340000 | half_of(f32(m.product(i, j)))));
      }
  }
}

TEST_CASE("WMMA of integers, all signs") {
  const Matrices m(77, 256);
  for (const u32 part : {8u, 4u})
    for (u32 signs = 0; signs < 4; signs++) {
      Bench bench;
      const u32 count = part / 2, each = 32 / part, mask = (1u << part) - 1;
      for (u32 lane = 0; lane < 32; lane++) {
        for (u32 v = 0; v < count; v++) {
          bench.v(v, lane) = bench.v(8 + v, lane) = 0;
          for (u32 e = 0; e < each; e++) {
            bench.v(v, lane) |= (m.a[lane % 16][v * each + e] & mask) << (part * e);
            bench.v(8 + v, lane) |= (m.b[v * each + e][lane % 16] & mask) << (part * e);
          }
        }
        for (u32 v = 0; v < 8; v++) bench.v(16 + v, lane) = m.c[2 * v + lane / 16][lane % 16];
      }
      const std::string neg = " neg_lo:[" + std::to_string(signs & 1) + "," + std::to_string(signs >> 1) + ",0]";
      bench.run(part == 8 ? "v_wmma_i32_16x16x16_iu8 v[24:31], v[0:3], v[8:11], v[16:23]" + neg
                          : "v_wmma_i32_16x16x16_iu4 v[24:31], v[0:1], v[8:9], v[16:23]" + neg);
      const auto value = [&](u32 x, bool is_signed) {
        const i64 y = x & mask;
        return is_signed && y >= 1 << (part - 1) ? y - (1 << part) : y;
      };
      for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
          i64 want = m.c[i][j];
          for (int k = 0; k < 16; k++) want += value(m.a[i][k], (signs & 1) != 0) * value(m.b[k][j], (signs & 2) != 0);
          REQUIRE(bench.v(u32(24 + i / 2), u32(16 * (i % 2) + j)) == u32(want));
        }
    }
}

TEST_CASE("VOPD: both halves read the old registers") {
  Bench bench;
  bench.fill(0, bits(2.0f));
  bench.fill(1, bits(3.0f));
  bench.fill(3, bits(10.0f));
  bench.run("v_dual_mov_b32 v0, v1 :: v_dual_mov_b32 v1, v0");
  CHECK(bench.v(0, 9) == bits(3.0f));
  CHECK(bench.v(1, 9) == bits(2.0f));
  bench.s(code_exec_lo) = 0x0000ffff;
  bench.run("v_dual_fmac_f32 v3, v0, v1 :: v_dual_add_nc_u32 v2, 5, v0");
  CHECK(bench.v(3, 9) == bits(16.0f));
  CHECK(bench.v(3, 20) == bits(10.0f));
  CHECK(bench.v(2, 9) == bits(3.0f) + 5);
  bench.s(code_exec_lo) = ~0u;
  bench.s(code_vcc_lo) = 0x5;
  bench.run("v_dual_cndmask_b32 v4, v0, v1 :: v_dual_fmaak_f32 v5, v1, v0, 0x3f800000");
  CHECK(bench.v(4, 0) == bits(2.0f));
  CHECK(bench.v(4, 1) == bits(3.0f));
  CHECK(bench.v(5, 1) == bits(7.0f));
  // Flushed denormals take the slow way and must still not see the other half's result.
  bench.wave.mode = 0x3c0;
  bench.fill(0, 1);
  bench.fill(1, bits(3.0f));
  bench.fill(2, bits(4.0f));
  bench.run("v_dual_add_f32 v0, v1, v1 :: v_dual_add_f32 v1, v0, v2");
  CHECK(bench.v(0, 3) == bits(6.0f));
  CHECK(bench.v(1, 3) == bits(4.0f));
}

TEST_CASE("MODE: denormals and rounding") {
  Bench bench;
  bench.fill(0, 0x00000123);
  bench.fill(1, bits(0x1p-126f));
  bench.fill(2, bits(0.5f));
  bench.run("v_add_f32 v3, v0, v0\nv_mul_f32 v4, v1, v2");
  CHECK(bench.v(3) == 0x246);
  CHECK(bench.v(4) == 0x00400000);
  bench.wave.mode = 0x3c0;              // f32 flushed both ways
  bench.run("v_add_f32 v3, v0, v0\nv_mul_f32 v4, v1, v2\nv_mov_b32 v5, v0\nv_max_f32 v6, v0, v0");
  CHECK(bench.v(3) == 0);
  CHECK(bench.v(4) == 0);
  CHECK(bench.v(5) == 0x123);           // a move is no arithmetic
  CHECK(bench.v(6) == 0);
  bench.wave.mode = 0x3d0;              // inputs kept, outputs flushed
  bench.run("v_add_f32 v3, v0, v0\nv_cvt_f64_f32 v[6:7], v0");
  CHECK(bench.v(3) == 0);
  CHECK((bench.v(6) | u64(bench.v(7)) << 32) == std::bit_cast<u64>(0x123 * 0x1p-149));
  const u32 want[4] = {bits(1.0f), bits(1 + 0x1p-23f), bits(1.0f), bits(1.0f)};
  const u32 want_negative[4] = {bits(-1.0f), bits(-1.0f), bits(-1 - 0x1p-23f), bits(-1.0f)};
  bench.fill(0, bits(1.0f));
  bench.fill(1, bits(0x1p-30f));
  for (u32 rounding = 0; rounding < 4; rounding++) {
    bench.wave.mode = 0x3f0 | rounding;
    bench.run("v_add_f32 v3, v0, v1\nv_sub_f32_e64 v4, -v0, v1");
    CHECK(bench.v(3) == want[rounding]);
    CHECK(bench.v(4) == want_negative[rounding]);
    bench.wave.mode = 0x3f0 | rounding << 2;
    bench.fill(5, bits(1 + 0x1p-12f));
    bench.run("v_cvt_f16_f32 v6, v5\nv_add_f32 v3, v0, v1");
    CHECK(u16(bench.v(6)) == (rounding == 1 ? 0x3c01 : 0x3c00));
    CHECK(bench.v(3) == bits(1.0f));    // f32 has its own field
  }
  bench.wave.mode = 0x3f0;
  bench.run("v_add_f32 v3, v0, v1");
  CHECK(bench.v(3) == bits(1.0f));      // the host's rounding is back
}

TEST_CASE("omod and clamp") {
  Bench bench;
  bench.fill(0, bits(3.0f));
  bench.fill(1, bits(-0.25f));
  bench.fill(2, 0x7fc00000);
  bench.run("v_mul_f32_e64 v3, v0, v0 mul:2\nv_add_f32_e64 v4, v0, v1 clamp\nv_add_f32_e64 v5, v1, v1 clamp\n"
            "v_add_f32_e64 v6, v2, v0 clamp");
  CHECK(bench.v(3) == bits(9.0f));      // IEEE: omod does nothing
  CHECK(bench.v(4) == bits(1.0f));
  CHECK(bench.v(5) == 0);
  CHECK(bench.v(6) == 0);               // DX10_CLAMP
  bench.wave.mode = 0x0c0;              // IEEE off, DX10_CLAMP off, f32 denormals flushed
  bench.run("v_mul_f32_e64 v3, v0, v0 mul:2\nv_mul_f32_e64 v4, v0, v0 div:2\nv_add_f32_e64 v6, v2, v0 clamp\n"
            "v_mul_f32_e64 v5, v0, -v1 clamp mul:4");
  CHECK(bench.v(3) == bits(18.0f));
  CHECK(bench.v(4) == bits(4.5f));
  CHECK(std::isnan(std::bit_cast<f32>(bench.v(6))));
  CHECK(bench.v(5) == bits(1.0f));
  bench.fill(0, 0x80000000);
  bench.run("v_mul_f32_e64 v3, v0, 1.0 mul:2");
  CHECK(bench.v(3) == 0);               // -0 becomes +0
}

TEST_CASE("scalar unit: results and SCC") {
  Bench bench;
  struct Expected {
    const char* assembly;
    u32 s0, s1;
    u32 result;
    bool scc;
  };
  const Expected cases[] = {
      {"s_add_u32 s2, s0, s1", 0xffffffff, 1, 0, true},
      {"s_add_i32 s2, s0, s1", 0x7fffffff, 1, 0x80000000, true},
      {"s_sub_u32 s2, s0, s1", 1, 2, 0xffffffff, true},
      {"s_sub_i32 s2, s0, s1", 0x80000000, 1, 0x7fffffff, true},
      {"s_min_i32 s2, s0, s1", 0xffffffff, 1, 0xffffffff, true},
      {"s_max_u32 s2, s0, s1", 5, 5, 5, true},
      {"s_and_b32 s2, s0, s1", 0xf0, 0x0f, 0, false},
      {"s_nand_b32 s2, s0, s1", 0xffffffff, 0xffffffff, 0, false},
      {"s_lshl_b32 s2, s0, s1", 1, 33, 2, true},
      {"s_ashr_i32 s2, s0, s1", 0x80000000, 31, 0xffffffff, true},
      {"s_bfe_u32 s2, s0, s1", 0x12345678, 0x00080008, 0x56, true},
      {"s_bfe_i32 s2, s0, s1", 0x0000f000, 0x0004000c, 0xffffffff, true},
      {"s_lshl2_add_u32 s2, s0, s1", 0x40000000, 1, 1, true},
      {"s_absdiff_i32 s2, s0, s1", 3, 10, 7, true},
      {"s_bcnt1_i32_b32 s2, s0", 0xf00f, 0, 8, true},
      {"s_quadmask_b32 s2, s0", 0x00f00001, 0, 0x21, true},
      {"s_wqm_b32 s2, s0", 0x00100001, 0, 0x00f0000f, true},
      {"s_abs_i32 s2, s0", 0x80000000, 0, 0x80000000, true},
  };
  for (const Expected& c : cases) {
    bench.s(0) = c.s0;
    bench.s(1) = c.s1;
    bench.wave.scc = !c.scc;
    bench.run(c.assembly);
    INFO(c.assembly);
    CHECK(bench.s(2) == c.result);
    CHECK(bench.wave.scc == c.scc);
  }
  bench.wave.scc = true;
  bench.s(0) = 0xffffffff;
  bench.s(1) = 0;
  bench.run("s_addc_u32 s2, s0, s1\ns_cselect_b32 s3, 7, 8\ns_movk_i32 s4, 0x8000\ns_mul_hi_u32 s5, s0, s0\n"
            "s_pack_lh_b32_b16 s6, s0, s4");
  CHECK(bench.s(2) == 0);
  CHECK(bench.s(3) == 7);
  CHECK(bench.s(4) == 0xffff8000);
  CHECK(bench.s(5) == 0xfffffffe);
  CHECK(bench.s(6) == 0xffffffff);
  bench.s(code_exec_lo) = 0xff;
  bench.s(7) = 0x0f0;
  bench.run("s_and_saveexec_b32 s8, s7\ns_mov_b32 null, s7\ns_mov_b32 s9, null");
  CHECK(bench.s(8) == 0xff);
  CHECK(bench.s(code_exec_lo) == 0xf0);
  CHECK(bench.wave.scc);
  CHECK(bench.s(9) == 0);
  bench.run("s_and_not1_wrexec_b32 s8, s7");   // source & ~EXEC
  CHECK(bench.s(code_exec_lo) == 0);
  CHECK(!bench.wave.scc);
  bench.s(0) = bits(1.5f);
  bench.s(1) = bits(2.5f);
  bench.run("s_mul_f32 s2, s0, s1\ns_cvt_i32_f32 s3, s1\ns_cmp_lt_f32 s0, s1\ns_cvt_f16_f32 s4, s0\ns_fmac_f32 s0, s1, s1");
  CHECK(bench.s(2) == bits(3.75f));
  CHECK(bench.s(3) == 2);
  CHECK(bench.wave.scc);
  CHECK(bench.s(4) == half_of(1.5f));
  CHECK(bench.s(0) == bits(7.75f));
  bench.run("s_setreg_imm32_b32 hwreg(HW_REG_MODE, 4, 2), 1\ns_getreg_b32 s2, hwreg(HW_REG_MODE, 4, 4)");
  CHECK(bench.wave.mode == 0x3d0);
  CHECK(bench.s(2) == 0xd);
}
