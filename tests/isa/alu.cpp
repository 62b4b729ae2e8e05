// ALU instructions against references written from the guide's words, on random and nasty inputs: integers, carries,
// compares, conversions, f32, f16, f64. Cross-lane, packed, WMMA and MODE are in alu_lanes.cpp.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/isa/alu_bench.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

using Words = std::array<u64, 3>;   // sources of one lane

struct Case {
  const char* assembly;             // sources v[2:3], v[4:5], v[6:7] (or v2, v4, v6), result v8 or v[8:9]
  std::function<u64(const Words&)> reference;
  u32 result_bits = 32;
};

constexpr u32 nasty[] = {0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
                         0x7fffff, 0x800000, 0xffffff, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
                         0x3c00, 0xbc00, 0x7bff, 0x7c00, 0xfc00, 0x3ff, 0x400, 0x7e00,
                         0x3f800000, 0xbf800000, 0x40490fdb, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00001,
                         0x00000001, 0x007fffff, 0x00800000, 0x4f000000, 0xcf000000, 0x4effffff, 0x3effffff, 0x3f000001};

u32 pick(std::mt19937& random) {
  switch (random() % 4) {
    case 0: return nasty[random() % std::size(nasty)];
    case 1: return random() & 0xff;
    case 2: return 0x3f800000 + (random() % 0x06000000) - 0x03000000 + (random() & 0x80000000);   // floats near one
    default: return random();
  }
}

void fill(Bench& bench, std::mt19937& random) {
  for (u32 r = 0; r < 16; r++)
    for (u32 lane = 0; lane < 32; lane++) bench.v(r, lane) = pick(random);
}

// The first difference as a sentence, or nothing.
std::string difference(const Case& c, u32 seed, u32 rounds) {
  std::mt19937 random(seed);
  Bench bench;
  const std::vector<u32> code = assemble(c.assembly);
  for (u32 round = 0; round < rounds; round++) {
    fill(bench, random);
    const u32 exec = round % 2 == 0 ? ~0u : random();
    bench.s(code_exec_lo) = exec;
    LaneArray old_low = {}, old_high = {};
    for (u32 lane = 0; lane < 32; lane++) old_low[lane] = bench.v(8, lane), old_high[lane] = bench.v(9, lane);
    std::array<Words, 32> sources;
    for (u32 lane = 0; lane < 32; lane++)
      for (u32 k = 0; k < 3; k++) sources[lane][k] = bench.v(2 + 2 * k, lane) | u64(bench.v(3 + 2 * k, lane)) << 32;
    std::vector<u32> window = code;
    window.resize(3);
    bench.run_words(window);
    if (!bench.unknown.empty()) return bench.unknown + " has no handler";
    if (bench.wave.fault) return bench.wave.fault->sentence;
    for (u32 lane = 0; lane < 32; lane++) {
      const u64 got = bench.v(8, lane) | (c.result_bits == 64 ? u64(bench.v(9, lane)) << 32 : 0);
      u64 want = old_low[lane] | (c.result_bits == 64 ? u64(old_high[lane]) << 32 : 0);
      if ((exec >> lane & 1) != 0) {
        const u64 value = c.reference(sources[lane]);
        want = c.result_bits == 16 ? (want & 0xffff0000) | (value & 0xffff) : c.result_bits == 32 ? u32(value) : value;
      }
      if (got == want) continue;
      char text[200];
      std::snprintf(text, sizeof text, "%s lane %u (%016lx %016lx %016lx): got %016lx want %016lx", c.assembly, lane,
                    sources[lane][0], sources[lane][1], sources[lane][2], got, want);
      return text;
    }
  }
  return "";
}

void check_all(std::initializer_list<Case> cases, u32 rounds = 60) {
  for (const Case& c : cases) {
    const std::string text = difference(c, 17, rounds);
    INFO(text);
    CHECK(text.empty());
  }
}

u32 a32(const Words& w) { return u32(w[0]); }
u32 b32(const Words& w) { return u32(w[1]); }
u32 c32(const Words& w) { return u32(w[2]); }
i32 ai(const Words& w) { return i32(w[0]); }
i32 bi(const Words& w) { return i32(w[1]); }
i32 ci(const Words& w) { return i32(w[2]); }
u64 limited(i64 x, i64 low, i64 high) { return u64(std::min(std::max(x, low), high)); }

}  // namespace

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
      {"v_mad_u32_u24 v8, v2, v4, v6", [](const Words& w) { return u64(a32(w) % 0x1000000) * (b32(w) % 0x1000000) + c32(w); }},
      {"v_mad_i32_i24 v8, v2, v4, v6",
       [](const Words& w) {
         const i64 x = (a32(w) & 0xffffff) - ((a32(w) & 0x800000) << 1), y = (b32(w) & 0xffffff) - ((b32(w) & 0x800000) << 1);
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

namespace {

f32 f(u64 bits) { return std::bit_cast<f32>(u32(bits)); }
f64 d(u64 bits) { return std::bit_cast<f64>(bits); }
u64 bits(f32 x) { return std::bit_cast<u32>(x); }
u64 bits(f64 x) { return std::bit_cast<u64>(x); }

// The NaN that an instruction gives for NaN sources: the first of them, quieted.
template <class F>
auto ordered(F function) {
  return [function](const Words& w) -> u64 {
    for (const u64 x : w)
      if (std::isnan(f(x))) return u32(x) | 0x400000;
    const f32 result = function(f(w[0]), f(w[1]), f(w[2]));
    return std::isnan(result) ? 0xffc00000 : bits(result);
  };
}
template <class F>
auto ordered_two(F function) {
  return [function](const Words& w) -> u64 {
    for (int k = 0; k < 2; k++)
      if (std::isnan(f(w[k]))) return u32(w[k]) | 0x400000;
    const f32 result = function(f(w[0]), f(w[1]));
    return std::isnan(result) ? 0xffc00000 : bits(result);
  };
}

u64 saturated(f64 x, f64 low, f64 high) { return std::isnan(x) ? 0 : x < low ? u64(i64(low)) : x > high ? u64(i64(high)) : u64(i64(x)); }

// An exact value to f16, to nearest even, by its definition: the nearest multiple of the last place.
u16 to_f16(f64 x) {
  if (std::isnan(x)) return 0x7e00;
  const u16 sign = std::signbit(x) ? 0x8000 : 0;
  const f64 magnitude = std::fabs(x);
  if (magnitude >= 65520) return sign | 0x7c00;
  const int place = std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14) - 10;
  const f64 steps = std::nearbyint(std::ldexp(magnitude, -place));
  return u16(sign | u32(steps) + (u32(place + 24) << 10));
}
f64 from_f16(u64 h) {
  const f64 sign = (h & 0x8000) != 0 ? -1 : 1;
  const u32 field = h >> 10 & 31, fraction = h & 0x3ff;
  if (field == 31) return fraction != 0 ? std::numeric_limits<f64>::quiet_NaN() : sign * HUGE_VAL;
  return sign * (field == 0 ? fraction * 0x1p-24 : std::ldexp(1 + fraction * 0x1p-10, int(field) - 15));
}
template <class F>
auto halves(F function) {
  return [function](const Words& w) -> u64 {
    const f64 x = from_f16(w[0]), y = from_f16(w[1]), z = from_f16(w[2]);
    return to_f16(function(x, y, z));
  };
}

// Like difference(), but any NaN equals any NaN.
void check_halves(std::initializer_list<Case> cases) {
  for (const Case& c : cases) {
    Bench bench;
    std::mt19937 random(23);
    std::vector<u32> code = assemble(c.assembly);
    code.resize(3);
    for (int round = 0; round < 400; round++) {
      fill(bench, random);
      if (round % 2 == 0)   // close exponents
        for (u32 r = 2; r < 8; r += 2)
          for (u32 lane = 0; lane < 32; lane++) bench.v(r, lane) = (random() & 0x83ff) | (10 + random() % 10) << 10;
      std::array<Words, 32> sources;
      for (u32 lane = 0; lane < 32; lane++) sources[lane] = {bench.v(2, lane), bench.v(4, lane), bench.v(6, lane)};
      bench.run_words(code);
      for (u32 lane = 0; lane < 32; lane++) {
        const u16 got = u16(bench.v(8, lane)), want = u16(c.reference(sources[lane]));
        const bool both_nan = (got & 0x7fff) > 0x7c00 && (want & 0x7fff) > 0x7c00;
        INFO(c.assembly << std::hex << " " << sources[lane][0] << " " << sources[lane][1] << " " << sources[lane][2]);
        if (got != want && !both_nan) REQUIRE(got == want);
      }
    }
  }
}

}  // namespace

TEST_CASE("f32 arithmetic and conversions") {
  check_all({
      {"v_add_f32 v8, v2, v4", ordered_two([](f32 x, f32 y) { return x + y; })},
      {"v_sub_f32 v8, v2, v4", ordered_two([](f32 x, f32 y) { return x - y; })},
      {"v_mul_f32 v8, v2, v4", ordered_two([](f32 x, f32 y) { return x * y; })},
      {"v_fma_f32 v8, v2, v4, v6",
       [](const Words& w) -> u64 {
         const f32 x = f(w[0]), y = f(w[1]), z = f(w[2]);
         if (std::isnan(x)) return u32(w[0]) | 0x400000;
         if (std::isnan(y)) return u32(w[1]) | 0x400000;
         if (std::isnan(x * y)) return 0xffc00000;
         if (std::isnan(z)) return u32(w[2]) | 0x400000;
         const f32 result = std::fma(x, y, z);
         return std::isnan(result) ? 0xffc00000 : bits(result);
       }},
      {"v_add_f32_e64 v8, -v2, |v4|", [](const Words& w) -> u64 {
         const u32 x = a32(w) ^ 0x80000000, y = b32(w) & 0x7fffffff;
         if (std::isnan(f(x))) return x | 0x400000;
         if (std::isnan(f(y))) return y | 0x400000;
         return bits(f(x) + f(y)) | (std::isnan(f(x) + f(y)) ? 0xffc00000 : 0);
       }},
      {"v_cvt_i32_f32 v8, v2", [](const Words& w) { return saturated(std::trunc(f(w[0])), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_u32_f32 v8, v2", [](const Words& w) { return saturated(std::trunc(f(w[0])), 0, 0x1p32 - 1); }},
      {"v_cvt_floor_i32_f32 v8, v2", [](const Words& w) { return saturated(std::floor(f64(f(w[0]))), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_nearest_i32_f32 v8, v2", [](const Words& w) { return saturated(std::floor(f64(f(w[0])) + 0.5), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_f32_i32 v8, v2", [](const Words& w) { return bits(f32(ai(w))); }},
      {"v_cvt_f32_u32 v8, v2", [](const Words& w) { return bits(f32(a32(w))); }},
      {"v_cvt_f32_ubyte2 v8, v2", [](const Words& w) { return bits(f32(w[0] >> 16 & 255)); }},
      {"v_cvt_pk_i16_f32 v8, v2, v4",
       [](const Words& w) {
         return (saturated(std::trunc(f(w[0])), -32768, 32767) & 0xffff) | saturated(std::trunc(f(w[1])), -32768, 32767) << 16;
       }},
      {"v_trunc_f32 v8, v2", [](const Words& w) { return std::isnan(f(w[0])) ? a32(w) | 0x400000 : bits(std::trunc(f(w[0]))); }},
      {"v_rndne_f32 v8, v2", [](const Words& w) { return std::isnan(f(w[0])) ? a32(w) | 0x400000 : bits(std::nearbyint(f(w[0]))); }},
      {"v_floor_f32 v8, v2", [](const Words& w) { return std::isnan(f(w[0])) ? a32(w) | 0x400000 : bits(std::floor(f(w[0]))); }},
      {"v_fract_f32 v8, v2",
       [](const Words& w) -> u64 {
         if (std::isnan(f(w[0]))) return a32(w) | 0x400000;
         if (std::isinf(f(w[0]))) return 0xffc00000;
         return bits(std::min(f32(f64(f(w[0])) - std::floor(f64(f(w[0])))), std::nextafter(1.0f, 0.0f)));
       }},
      {"v_min_f32 v8, v2, v4",
       [](const Words& w) -> u64 {
         const u32 x = a32(w), y = b32(w);
         const auto signaling = [](u32 v) { return std::isnan(f(v)) && (v & 0x400000) == 0; };
         if (signaling(x)) return x | 0x400000;
         if (signaling(y)) return y | 0x400000;
         if (std::isnan(f(x))) return std::isnan(f(y)) ? x : y;
         if (std::isnan(f(y))) return x;
         if (f(x) == f(y)) return std::signbit(f(x)) ? x : y;
         return f(x) < f(y) ? x : y;
       }},
      {"v_med3_f32 v8, v2, v4, 0",
       [](const Words& w) -> u64 {
         std::array<f32, 3> x{f(w[0]), f(w[1]), 0.0f};
         if (std::isnan(x[0]) || std::isnan(x[1])) {
           for (int k = 0; k < 2; k++)
             if (std::isnan(x[k]) && (w[k] & 0x400000) == 0) return std::min(0.0f, 0.0f), 0;   // checked elsewhere
           const f32 low = std::isnan(x[0]) ? x[1] : x[0];
           return std::isnan(low) ? 0 : low < 0 || std::signbit(low) ? bits(low) : 0;
         }
         std::sort(x.begin(), x.end(), [](f32 p, f32 q) { return p < q || (p == q && std::signbit(p) && !std::signbit(q)); });
         return bits(x[1]);
       }},
      {"v_ldexp_f32 v8, v2, v4",
       [](const Words& w) { return std::isnan(f(w[0])) ? a32(w) | 0x400000 : bits(f32(std::ldexp(f(w[0]), std::clamp(bi(w), -999, 999)))); }},
      {"v_mul_dx9_zero_f32 v8, v2, v4",
       [](const Words& w) -> u64 {
         if (f(w[0]) == 0 || f(w[1]) == 0) return 0;
         return ordered_two([](f32 x, f32 y) { return x * y; })(w);
       }},
  });
}

TEST_CASE("f64") {
  check_all({
      {"v_add_f64 v[8:9], v[2:3], v[4:5]",
       [](const Words& w) -> u64 {
         for (int k = 0; k < 2; k++)
           if (std::isnan(d(w[k]))) return w[k] | u64{1} << 51;
         const f64 sum = d(w[0]) + d(w[1]);
         return std::isnan(sum) ? 0xfff8000000000000 : bits(sum);
       }, 64},
      {"v_fma_f64 v[8:9], v[2:3], v[4:5], 1.0",
       [](const Words& w) -> u64 {
         for (int k = 0; k < 2; k++)
           if (std::isnan(d(w[k]))) return w[k] | u64{1} << 51;
         const f64 sum = std::fma(d(w[0]), d(w[1]), 1.0);
         return std::isnan(sum) ? 0xfff8000000000000 : bits(sum);
       }, 64},
      {"v_cvt_i32_f64 v8, v[2:3]", [](const Words& w) { return saturated(std::trunc(d(w[0])), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_f64_u32 v[8:9], v2", [](const Words& w) { return bits(f64(a32(w))); }, 64},
      {"v_cvt_f64_f32 v[8:9], v2",
       [](const Words& w) { return std::isnan(f(w[0])) ? bits(f64(f(a32(w) | 0x400000))) : bits(f64(f(w[0]))); }, 64},
      {"v_ceil_f64 v[8:9], v[2:3]", [](const Words& w) { return std::isnan(d(w[0])) ? w[0] | u64{1} << 51 : bits(std::ceil(d(w[0]))); }, 64},
  });
}

TEST_CASE("f16") {
  check_halves({
      {"v_add_f16 v8, v2, v4", halves([](f64 x, f64 y, f64) { return x + y; })},
      {"v_sub_f16 v8, v2, v4", halves([](f64 x, f64 y, f64) { return x - y; })},
      {"v_mul_f16 v8, v2, v4", halves([](f64 x, f64 y, f64) { return x * y; })},
      // Exact in 64 bits of significand wherever rounding to 11 could tell.
      {"v_fma_f16 v8, v2, v4, v6", [](const Words& w) -> u64 {
         const f64 x = from_f16(w[0]), y = from_f16(w[1]), z = from_f16(w[2]);
         const f64 sum = x * y + z;
         if (!std::isfinite(sum)) return to_f16(sum);
         const long double exact = static_cast<long double>(x) * y + z;
         const f64 rounded = f64(exact);   // never on a tie of f16 unless exact
         const u16 half = to_f16(rounded);
         if (static_cast<long double>(rounded) == exact) return half;
         return to_f16(std::nextafter(rounded, static_cast<long double>(rounded) < exact ? HUGE_VAL : -HUGE_VAL));
       }},
      {"v_cvt_f16_f32 v8, v2", [](const Words& w) -> u64 {
         return to_f16(f64(f(w[0])));
       }},
      {"v_cvt_f16_u16 v8, v2", [](const Words& w) -> u64 { return to_f16(u16(w[0])); }},
      {"v_rndne_f16 v8, v2", halves([](f64 x, f64, f64) { return std::nearbyint(x); })},
      {"v_ceil_f16 v8, v2", halves([](f64 x, f64, f64) { return std::ceil(x); })},
      {"v_cvt_u16_f16 v8, v2", [](const Words& w) -> u64 { return saturated(std::trunc(from_f16(w[0])), 0, 65535); }},
  });
  check_all({
      {"v_cvt_f32_f16 v8, v2", [](const Words& w) -> u64 {
         if ((w[0] & 0x7fff) > 0x7c00) return (w[0] & 0x8000) << 16 | 0x7fc00000 | (w[0] & 0x3ff) << 13;
         return bits(f32(from_f16(w[0])));
       }},
      {"v_cvt_pk_rtz_f16_f32 v8, v2, v4", [](const Words& w) -> u64 {
         u64 out = 0;
         for (int k = 0; k < 2; k++) {
           const f64 x = f(w[k]);
           const u64 sign = u32(w[k]) >> 31 << 15;
           u64 half;
           if (std::isnan(x)) half = sign | 0x7e00 | (w[k] >> 13 & 0x1ff);
           else if (std::isinf(x)) half = sign | 0x7c00;
           else if (std::fabs(x) >= 65504) half = sign | 0x7bff;
           else {
             const int place = std::max(x == 0 ? -14 : std::ilogb(x), -14) - 10;
             half = sign | (u64(std::trunc(std::ldexp(std::fabs(x), -place))) + (u64(place + 24) << 10));
           }
           out |= half << (16 * k);
         }
         return out;
       }},
  });
}

TEST_CASE("division: scale, iterate, scale back, fix up gives the correctly rounded quotient") {
  // clang's sequence for an f32 division with denormals kept.
  const std::vector<u32> code = assemble(R"(
      v_div_scale_f32 v20, s4, v4, v4, v2
      v_div_scale_f32 v21, vcc_lo, v2, v4, v2
      v_rcp_f32 v22, v20
      v_fma_f32 v23, -v20, v22, 1.0
      v_fma_f32 v22, v23, v22, v22
      v_mul_f32 v24, v21, v22
      v_fma_f32 v23, -v20, v24, v21
      v_fma_f32 v24, v23, v22, v24
      v_fma_f32 v23, -v20, v24, v21
      v_div_fmas_f32 v23, v23, v22, v24
      v_div_fixup_f32 v8, v23, v4, v2)");
  Bench bench;
  std::mt19937 random(7);
  for (int round = 0; round < 500; round++) {
    for (u32 lane = 0; lane < 32; lane++) {
      bench.v(2, lane) = round % 2 == 0 ? random() : pick(random);
      bench.v(4, lane) = round % 2 == 0 ? random() : pick(random);
    }
    for (u32 at = 0; at < code.size();) {
      u32 window[3] = {};
      for (u32 i = 0; i < 3 && at + i < code.size(); i++) window[i] = code[at + i];
      at += bench.run_words(window);
    }
    for (u32 lane = 0; lane < 32; lane++) {
      const f32 x = f(bench.v(2, lane)), y = f(bench.v(4, lane)), quotient = x / y;
      INFO(std::hex << bench.v(2, lane) << " / " << bench.v(4, lane));
      if (std::isnan(quotient)) {
        if (!std::isnan(f(bench.v(8, lane)))) REQUIRE(std::isnan(f(bench.v(8, lane))));
      } else if (bench.v(8, lane) != bits(quotient)) {
        REQUIRE(bench.v(8, lane) == bits(quotient));
      }
    }
  }
}

TEST_CASE("v_fma_mixlo rounds once") {
  Bench bench;
  std::mt19937 random(8);
  u32 differ = 0;
  for (int round = 0; round < 200; round++) {
    for (u32 lane = 0; lane < 32; lane++)
      for (u32 r : {2u, 4u, 6u}) bench.v(r, lane) = (0x3f000000 + random() % 0x01800000) | (random() & 0x80000000);
    bench.v(2, 5) = bits(1.0f), bench.v(4, 5) = bits(1 + 0x1p-11f), bench.v(6, 5) = bits(0x1p-40f);   // just above a tie
    bench.run("v_fma_mixlo_f16 v8, v2, v4, v6\nv_fma_mixhi_f16 v8, v2, v4, v6\nv_fma_mix_f32 v9, v2, v4, v6 op_sel:[1,0,0] op_sel_hi:[1,0,0]");
    for (u32 lane = 0; lane < 32; lane++) {
      const f32 x = f(bench.v(2, lane)), y = f(bench.v(4, lane)), z = f(bench.v(6, lane));
      const long double exact = static_cast<long double>(x) * y + z;   // 48 bits and a near exponent: exact
      REQUIRE(u16(bench.v(8, lane)) == to_f16(f64(exact)));
      REQUIRE(bench.v(8, lane) >> 16 == u16(bench.v(8, lane)));
      differ += to_f16(f64(std::fma(x, y, z))) != to_f16(f64(exact));
      const f32 half = f32(from_f16(bench.v(2, lane) >> 16));
      REQUIRE((bench.v(9, lane) == bits(std::fma(half, y, z)) || std::isnan(half)));
    }
  }
  CHECK(differ > 0);   // the canary: rounding twice would be seen
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
