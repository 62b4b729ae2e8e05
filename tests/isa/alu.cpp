// Integer ALU instructions against references written from the guide's words: arithmetic, bits, carries, compares.
// Floats are in alu_float.cpp; cross-lane, packed, WMMA and MODE in alu_lanes.cpp.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>

#include "tests/isa/alu_cases.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

TEST_CASE("integers of 32 bits") {
  check_all({
      {"v_add_nc_u32 v8, v2, v4", [](const Words& w) { return a32(w) + b32(w); }},
      {"v_sub_nc_u32 v8, v2, v4", [](const Words& w) { return a32(w) - b32(w); }},
      {"v_subrev_nc_u32 v8, v2, v4", [](const Words& w) { return b32(w) - a32(w); }},
      {"v_add_nc_u32_e64 v8, v2, v4 clamp", [](const Words& w) { return limited(i64(a32(w)) + b32(w), 0, 0xffffffff); }},
      {"v_sub_nc_u32_e64 v8, v2, v4 clamp", [](const Words& w) { return limited(i64(a32(w)) - b32(w), 0, 0xffffffff); }},
      {"v_add_nc_i32 v8, v2, v4 clamp", [](const Words& w) { return limited(i64(ai(w)) + bi(w), INT32_MIN, INT32_MAX); }},
      {"v_mul_lo_u32 v8, v2, v4", [](const Words& w) { return a32(w) * b32(w); }},
      {"v_mul_hi_u32 v8, v2, v4", [](const Words& w) { return u64(a32(w)) * b32(w) >> 32; }},
      {"v_mul_hi_i32 v8, v2, v4", [](const Words& w) { return u64(i64(ai(w)) * bi(w)) >> 32; }},
      {"v_mul_u32_u24 v8, v2, v4", [](const Words& w) { return u64(a32(w) % 0x1000000) * (b32(w) % 0x1000000); }},
      {"v_mul_hi_u32_u24 v8, v2, v4", [](const Words& w) { return u64(a32(w) % 0x1000000) * (b32(w) % 0x1000000) >> 32; }},
      {"v_mad_u32_u24 v8, v2, v4, v6",
       [](const Words& w) { return u64(a32(w) % 0x1000000) * (b32(w) % 0x1000000) + c32(w); }},
      {"v_mad_i32_i24 v8, v2, v4, v6",
       [](const Words& w) {
         const i64 x = (a32(w) & 0xffffff) - ((a32(w) & 0x800000) << 1);
         const i64 y = (b32(w) & 0xffffff) - ((b32(w) & 0x800000) << 1);
         return u64(i64(i32(x)) * i32(y) + ci(w));
       }},
      {"v_lshlrev_b32 v8, v2, v4", [](const Words& w) { return u64(b32(w)) << (a32(w) % 32); }},
      {"v_lshrrev_b32 v8, v2, v4", [](const Words& w) { return b32(w) >> (a32(w) % 32); }},
      {"v_ashrrev_i32 v8, v2, v4", [](const Words& w) { return u64(i64(bi(w)) >> (a32(w) % 32)); }},
      {"v_and_b32 v8, v2, v4", [](const Words& w) { return w[0] & w[1]; }},
      {"v_or_b32 v8, v2, v4", [](const Words& w) { return w[0] | w[1]; }},
      {"v_xor_b32 v8, v2, v4", [](const Words& w) { return w[0] ^ w[1]; }},
      {"v_xnor_b32 v8, v2, v4", [](const Words& w) { return ~(w[0] ^ w[1]); }},
      {"v_not_b32 v8, v2", [](const Words& w) { return ~w[0]; }},
      {"v_min_i32 v8, v2, v4", [](const Words& w) { return u64(std::min(ai(w), bi(w))); }},
      {"v_max_i32 v8, v2, v4", [](const Words& w) { return u64(std::max(ai(w), bi(w))); }},
      {"v_min_u32 v8, v2, v4", [](const Words& w) { return std::min(a32(w), b32(w)); }},
      {"v_max_u32 v8, v2, v4", [](const Words& w) { return std::max(a32(w), b32(w)); }},
      {"v_med3_i32 v8, v2, v4, v6",
       [](const Words& w) {
         std::array<i32, 3> x{ai(w), bi(w), ci(w)};
         std::sort(x.begin(), x.end());
         return u64(x[1]);
       }},
      {"v_min3_u32 v8, v2, v4, v6", [](const Words& w) { return std::min({a32(w), b32(w), c32(w)}); }},
      {"v_maxmin_i32 v8, v2, v4, v6", [](const Words& w) { return u64(std::min(std::max(ai(w), bi(w)), ci(w))); }},
  });
}

TEST_CASE("three-operand and bit instructions of 32 bits") {
  check_all({
      {"v_xor3_b32 v8, v2, v4, v6", [](const Words& w) { return w[0] ^ w[1] ^ w[2]; }},
      {"v_or3_b32 v8, v2, v4, v6", [](const Words& w) { return w[0] | w[1] | w[2]; }},
      {"v_and_or_b32 v8, v2, v4, v6", [](const Words& w) { return (w[0] & w[1]) | w[2]; }},
      {"v_lshl_or_b32 v8, v2, v4, v6", [](const Words& w) { return u64(a32(w)) << (b32(w) % 32) | c32(w); }},
      {"v_lshl_add_u32 v8, v2, v4, v6", [](const Words& w) { return (u64(a32(w)) << (b32(w) % 32)) + c32(w); }},
      {"v_add_lshl_u32 v8, v2, v4, v6", [](const Words& w) { return u64(a32(w) + b32(w)) << (c32(w) % 32); }},
      {"v_add3_u32 v8, v2, v4, v6", [](const Words& w) { return w[0] + w[1] + w[2]; }},
      {"v_xad_u32 v8, v2, v4, v6", [](const Words& w) { return (w[0] ^ w[1]) + w[2]; }},
      {"v_bfi_b32 v8, v2, v4, v6",
       [](const Words& w) {
         u64 out = 0;
         for (int i = 0; i < 32; i++) out |= ((w[0] >> i & 1) != 0 ? w[1] : w[2]) & u64{1} << i;
         return out;
       }},
      {"v_bfe_u32 v8, v2, v4, v6",
       [](const Words& w) {
         u64 out = 0;
         for (u32 i = 0; i < c32(w) % 32; i++) out |= (i + b32(w) % 32 < 32 ? w[0] >> (i + b32(w) % 32) & 1 : 0) << i;
         return out;
       }},
      {"v_bfe_i32 v8, v2, v4, v6",
       [](const Words& w) {
         const u32 width = c32(w) % 32, offset = b32(w) % 32;
         u64 out = 0;
         for (u32 i = 0; i < 32 && width != 0; i++) {
           const u32 from = std::min(offset + std::min(i, width - 1), 31u);
           out |= (w[0] >> from & 1) << i;
         }
         return out;
       }},
      {"v_bfm_b32 v8, v2, v4", [](const Words& w) { return ((u64{1} << (a32(w) % 32)) - 1) << (b32(w) % 32); }},
  });
}

TEST_CASE("bytes, counts, reversals of 32 bits") {
  check_all({
      {"v_alignbit_b32 v8, v2, v4, v6", [](const Words& w) { return (u64(a32(w)) << 32 | b32(w)) >> (c32(w) % 32); }},
      {"v_alignbyte_b32 v8, v2, v4, v6", [](const Words& w) { return (u64(a32(w)) << 32 | b32(w)) >> (8 * (c32(w) % 4)); }},
      {"v_perm_b32 v8, v2, v4, v6",
       [](const Words& w) {
         u64 out = 0;
         const u8 data[8] = {u8(w[1]), u8(w[1] >> 8), u8(w[1] >> 16), u8(w[1] >> 24),
                             u8(w[0]), u8(w[0] >> 8), u8(w[0] >> 16), u8(w[0] >> 24)};
         for (int i = 0; i < 4; i++) {
           const u8 s = u8(w[2] >> (8 * i));
           u64 byte = 0xff;
           if (s < 8) byte = data[s];
           else if (s < 12) byte = (data[2 * (s - 8) + 1] & 0x80) != 0 ? 0xff : 0;
           else if (s == 12) byte = 0;
           out |= byte << (8 * i);
         }
         return out;
       }},
      {"v_bfrev_b32 v8, v2",
       [](const Words& w) {
         u64 out = 0;
         for (int i = 0; i < 32; i++) out |= (w[0] >> i & 1) << (31 - i);
         return out;
       }},
      {"v_clz_i32_u32 v8, v2", [](const Words& w) { return a32(w) == 0 ? ~u64{0} : u64(__builtin_clz(a32(w))); }},
      {"v_ctz_i32_b32 v8, v2", [](const Words& w) { return a32(w) == 0 ? ~u64{0} : u64(__builtin_ctz(a32(w))); }},
      {"v_cls_i32 v8, v2",
       [](const Words& w) {
         for (int i = 1; i < 32; i++)
           if ((w[0] >> (31 - i) & 1) != (w[0] >> 31 & 1)) return u64(i);
         return ~u64{0};
       }},
      {"v_bcnt_u32_b32 v8, v2, v4", [](const Words& w) { return u64(__builtin_popcount(a32(w))) + w[1]; }},
      {"v_sad_u8 v8, v2, v4, v6",
       [](const Words& w) {
         u64 sum = w[2];
         for (int i = 0; i < 4; i++) sum += u64(std::abs(int(u8(w[0] >> 8 * i)) - int(u8(w[1] >> 8 * i))));
         return sum;
       }},
      {"v_lerp_u8 v8, v2, v4, v6",
       [](const Words& w) {
         u64 out = 0;
         for (int i = 0; i < 32; i += 8) out |= ((w[0] >> i & 255) + (w[1] >> i & 255) + (w[2] >> i & 1)) / 2 << i;
         return out;
       }},
  });
}

TEST_CASE("integers of 16 and 64 bits") {
  check_all({
      {"v_add_nc_u16 v8, v2, v4", [](const Words& w) { return w[0] + w[1]; }, 16},
      {"v_mad_u16 v8, v2, v4, v6", [](const Words& w) { return w[0] * w[1] + w[2]; }, 16},
      {"v_mul_lo_u16 v8, v2, v4", [](const Words& w) { return w[0] * w[1]; }, 16},
      {"v_max_i16 v8, v2, v4", [](const Words& w) { return u64(std::max(i16(w[0]), i16(w[1]))); }, 16},
      {"v_ashrrev_i16 v8, v2, v4", [](const Words& w) { return u64(i16(w[1]) >> (w[0] % 16)); }, 16},
      {"v_add_nc_i16 v8, v2, v4 clamp", [](const Words& w) { return limited(i16(w[0]) + i16(w[1]), -32768, 32767); }, 16},
      {"v_mad_u32_u16 v8, v2, v4, v6", [](const Words& w) { return u64(u16(w[0])) * u16(w[1]) + w[2]; }},
      {"v_mad_i32_i16 v8, v2, v4, v6", [](const Words& w) { return u64(i64(i16(w[0])) * i16(w[1])) + w[2]; }},
      {"v_add_nc_u16 v8, v2, v4 op_sel:[1,0,0]", [](const Words& w) { return (w[0] >> 16) + w[1]; }, 16},
      {"v_cvt_i32_i16 v8, v2", [](const Words& w) { return u64(i64(i16(w[0]))); }},
      {"v_pack_b32_f16 v8, v2, v4", [](const Words& w) { return (w[0] & 0xffff) | (w[1] & 0xffff) << 16; }},
      {"v_cvt_pk_i16_i32 v8, v2, v4",
       [](const Words& w) { return (limited(ai(w), -32768, 32767) & 0xffff) | limited(bi(w), -32768, 32767) << 16; }},
      {"v_lshlrev_b64 v[8:9], v2, v[4:5]", [](const Words& w) { return w[1] << (w[0] % 64); }, 64},
      {"v_lshrrev_b64 v[8:9], v2, v[4:5]", [](const Words& w) { return w[1] >> (w[0] % 64); }, 64},
      {"v_ashrrev_i64 v[8:9], v2, v[4:5]", [](const Words& w) { return u64(i64(w[1]) >> (w[0] % 64)); }, 64},
      {"v_mad_u64_u32 v[8:9], s4, v2, v4, v[6:7]", [](const Words& w) { return u64(a32(w)) * b32(w) + w[2]; }, 64},
      {"v_mad_i64_i32 v[8:9], s4, v2, v4, v[6:7]", [](const Words& w) { return u64(i64(ai(w)) * bi(w)) + w[2]; }, 64},
      {"v_qsad_pk_u16_u8 v[8:9], v[2:3], v4, v[6:7]",
       [](const Words& w) {
         u64 out = 0;
         for (int i = 0; i < 4; i++) {
           u64 sum = w[2] >> (16 * i) & 0xffff;
           for (int k = 0; k < 4; k++) sum += u64(std::abs(int(u8(w[0] >> 8 * (i + k))) - int(u8(w[1] >> 8 * k))));
           out |= (sum & 0xffff) << (16 * i);
         }
         return out;
       }, 64},
  });
}

TEST_CASE("carries, borrows, masks") {
  std::mt19937 random(3);
  Bench bench;
  for (int round = 0; round < 100; round++) {
    fill(bench, random);
    const u32 exec = round % 3 == 0 ? ~0u : random(), carry_in = random(), old = random();
    bench.s(code_exec_lo) = exec;
    bench.s(code_vcc_lo) = carry_in;
    bench.s(10) = carry_in;
    bench.s(4) = bench.s(5) = bench.s(6) = bench.s(7) = old;
    bench.run(R"(v_add_co_u32 v8, s4, v2, v4
      v_sub_co_u32 v9, s5, v2, v4
      v_add_co_ci_u32 v10, s6, v2, v4, s10
      v_sub_co_ci_u32 v11, s7, v2, v4, s10
      v_cndmask_b32 v12, v2, v4, vcc_lo
      v_add_co_ci_u32 v13, vcc_lo, v2, v4, vcc_lo
      v_mad_i64_i32 v[14:15], s8, v2, v4, v[6:7])");
    u32 want[6] = {};
    for (u32 lane = 0; lane < 32; lane++) {
      if ((exec >> lane & 1) == 0) continue;
      const u64 a = bench.v(2, lane), b = bench.v(4, lane), c = carry_in >> lane & 1;
      REQUIRE(bench.v(8, lane) == u32(a + b));
      REQUIRE(bench.v(11, lane) == u32(a - b - c));
      REQUIRE(bench.v(12, lane) == (c != 0 ? b : a));
      REQUIRE(bench.v(13, lane) == u32(a + b + c));
      want[0] |= u32((a + b) >> 32) << lane;
      want[1] |= u32(a < b) << lane;
      want[2] |= u32((a + b + c) >> 32) << lane;
      want[3] |= u32(a < b + c) << lane;
      const __int128 exact = __int128(i64(i32(a)) * i32(b)) + i64(bench.v(6, lane) | u64(bench.v(7, lane)) << 32);
      want[4] |= u32(exact < 0) << lane;
    }
    REQUIRE(bench.s(4) == want[0]);
    REQUIRE(bench.s(5) == want[1]);
    REQUIRE(bench.s(6) == want[2]);
    REQUIRE(bench.s(7) == want[3]);
    REQUIRE(bench.s(code_vcc_lo) == want[2]);
    REQUIRE(bench.s(8) == want[4]);
  }
}

TEST_CASE("compares write 0 for inactive lanes; v_cmpx writes EXEC") {
  std::mt19937 random(4);
  Bench bench;
  for (int round = 0; round < 100; round++) {
    fill(bench, random);
    const u32 exec = random();
    bench.s(code_exec_lo) = exec;
    bench.s(4) = ~0u;
    bench.run("v_cmp_lt_i32 s4, v2, v4\nv_cmp_nge_f32 s5, v2, v4\nv_cmp_lg_f32 s6, v2, v4\nv_cmp_u_f32 s7, v2, v4\n"
              "v_cmp_gt_u64 s8, v[2:3], v[4:5]\nv_cmp_eq_u16 s9, v2, v4\nv_cmp_class_f32 vcc_lo, v2, v6");
    u32 want[7] = {};
    for (u32 lane = 0; lane < 32; lane++) {
      const u32 a = bench.v(2, lane), b = bench.v(4, lane);
      const f32 x = std::bit_cast<f32>(a), y = std::bit_cast<f32>(b);
      want[0] |= u32(i32(a) < i32(b)) << lane;
      want[1] |= u32(!(x >= y)) << lane;
      want[2] |= u32(x < y || y < x) << lane;
      want[3] |= u32(std::isunordered(x, y)) << lane;
      want[4] |= u32((a | u64(bench.v(3, lane)) << 32) > (b | u64(bench.v(5, lane)) << 32)) << lane;
      want[5] |= u32(u16(a) == u16(b)) << lane;
      u32 bit = 0;
      const bool negative = std::signbit(x);
      switch (std::fpclassify(x)) {
        case FP_NAN: bit = (a & 0x400000) != 0 ? 1 : 0; break;
        case FP_INFINITE: bit = negative ? 2 : 9; break;
        case FP_NORMAL: bit = negative ? 3 : 8; break;
        case FP_SUBNORMAL: bit = negative ? 4 : 7; break;
        default: bit = negative ? 5 : 6; break;
      }
      want[6] |= (bench.v(6, lane) >> bit & 1) << lane;
    }
    for (int k = 0; k < 6; k++) REQUIRE(bench.s(4 + k) == (want[k] & exec));
    REQUIRE(bench.s(code_vcc_lo) == (want[6] & exec));
    bench.run("v_cmpx_lt_i32 v2, v4");
    REQUIRE(bench.s(code_exec_lo) == (want[0] & exec));
  }
}

TEST_CASE("every row says rightly whether it executes") {
  for (u32 i = 0; i < opcode_count; i++) {
    Instruction in;
    in.opcode = in.y_opcode = Opcode(i);
    in.format = info(in.opcode).format;
    const bool bound = handler_for(in) != nullptr || memory_handler_for(in) != nullptr || flow_handler_for(in) != nullptr;
    INFO(info(in.opcode).name);
    if (bound != info(in.opcode).executed) CHECK(bound == info(in.opcode).executed);
  }
}

TEST_CASE("the checker of these tests notices a wrong instruction") {
  CHECK(!difference({"v_sub_nc_u32 v8, v2, v4", [](const Words& w) { return a32(w) + b32(w); }}, 1, 4).empty());
  CHECK(!difference({"v_lshrrev_b32 v8, v2, v4", [](const Words& w) { return u64(bi(w) >> (a32(w) & 31)); }}, 1, 4).empty());
}
