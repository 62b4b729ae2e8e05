// Instructions of graphics and range reduction, four-byte sums, relative scalar moves: literal results.
#include <catch2/catch.hpp>

#include <bit>

#include "tests/isa/alu_bench.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

u32 bits(f32 x) { return std::bit_cast<u32>(x); }

}  // namespace

TEST_CASE("cube maps: face, S, T and twice the major axis") {
  struct Row {
    f32 x, y, z, face, s, t, axis;
  };
  static constexpr Row rows[] = {
      {1, 2, 3, 4, 1, -2, 6},   {1, 2, -3, 5, -1, -2, -6}, {1, 3, 2, 2, 1, 2, 6},    {1, -3, 2, 3, 1, -2, -6},
      {3, 1, 2, 0, -2, -1, 6},  {-3, 1, 2, 1, 2, -1, -6},  {2, -2, 2, 4, 2, 2, 4},   {2, -2, 1, 3, 2, -1, -4},
      {0, 0, -0.0f, 4, 0, -0.0f, 0}, {1e-40f, 0, 0, 4, 1e-40f, -0.0f, 0},   // subnormal: no magnitude
  };
  Bench bench;
  for (const Row& row : rows) {
    CAPTURE(row.x, row.y, row.z);
    bench.fill(2, bits(row.x)), bench.fill(3, bits(row.y)), bench.fill(4, bits(row.z));
    bench.run("v_cubeid_f32 v8, v2, v3, v4\nv_cubesc_f32 v9, v2, v3, v4\nv_cubetc_f32 v10, v2, v3, v4\n"
              "v_cubema_f32 v11, v2, v3, v4");
    CHECK(bench.unknown == "");
    CHECK(bench.v(8) == bits(row.face));
    CHECK(bench.v(9, 31) == bits(row.s));
    CHECK(bench.v(10) == bits(row.t));
    CHECK(bench.v(11) == bits(row.axis));
  }
}

TEST_CASE("v_trig_preop_f64: segments of 2/pi") {
  struct Row {
    u64 value;
    u32 segment;
    u64 expected;
  };
  static constexpr Row rows[] = {
      {0x400921fb54442d18, 0, 0x3fe45f306dc9c882}, {0xbff0000000000000, 0, 0x3fe45f306dc9c882},
      {0x400921fb54442d18, 1, 0x3c94a7f09d5f47d4}, {0x7ff0000000000000, 0, 0x0b43dd63f5f2f8bd},
      {0x7fefffffffffffff, 0, 0x0b43dd63f5f2f8bc}, {0x400921fb54442d18, 31, 0}, {0x400921fb54442d18, 33, 0x3c94a7f09d5f47d4},
  };
  Bench bench;
  for (const Row& row : rows) {
    CAPTURE(row.value, row.segment);
    bench.fill(2, u32(row.value)), bench.fill(3, u32(row.value >> 32)), bench.fill(4, row.segment);
    bench.run("v_trig_preop_f64 v[8:9], v[2:3], v4");
    CHECK(bench.v(8) == u32(row.expected));
    CHECK(bench.v(9) == u32(row.expected >> 32));
  }
}

TEST_CASE("v_mqsad_u32_u8: four masked sums") {
  Bench bench;
  bench.fill(2, 0x04030201), bench.fill(3, 0x00070605), bench.fill(4, 0x0a000a0a);   // byte 2 of the reference is masked
  for (u32 i = 0; i < 4; ++i) bench.fill(12 + i, i == 3 ? 0xffffffff : 100 * i);
  bench.run("v_mqsad_u32_u8 v[8:11], v[2:3], v4, v[12:15]");
  const u32 expected[] = {9 + 8 + 6, 100 + 8 + 7 + 5, 200 + 7 + 6 + 4, 6 + 5 + 3 - 1};
  for (u32 i = 0; i < 4; ++i) CHECK(bench.v(8 + i, 17) == expected[i]);
}

TEST_CASE("relative scalar moves") {
  Bench bench;
  bench.s(16) = 116, bench.s(17) = 117;
  bench.run("s_mov_b32 m0, 10\ns_movrels_b64 s[20:21], s[6:7]\ns_movreld_b64 s[12:13], -2\n"
            "s_mov_b32 m0, (20 << 16) | 10\ns_movrelsd_2_b32 s5, s7");
  CHECK(!bench.wave.fault);
  CHECK(bench.s(20) == 116);
  CHECK(bench.s(21) == 117);
  CHECK(bench.s(22) == 0xfffffffe);
  CHECK(bench.s(23) == 0xffffffff);
  CHECK(bench.s(25) == 117);   // the guide's example: s25 <= s17
  for (const char* wrong : {"s_mov_b32 m0, 1\ns_movrels_b64 s[20:21], s[6:7]", "s_mov_b32 m0, 100\ns_movreld_b64 s[6:7], 0",
                            "s_mov_b32 m0, 0\ns_movrelsd_2_b32 s5, 7"}) {
    Bench other;
    other.run(wrong);
    REQUIRE(other.wave.fault);
    CHECK(std::string(other.wave.fault->kind) == "register-range");
  }
}
