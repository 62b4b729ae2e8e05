// Floating-point ALU instructions against references written from the guide's words.
#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "isa/execute/alu.h"
#include "tests/seed.h"
#include "tests/isa/alu_cases.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

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

u64 saturated(f64 x, f64 low, f64 high) {
  return std::isnan(x) ? 0 : x < low ? u64(i64(low)) : x > high ? u64(i64(high)) : u64(i64(x));
}
// One operand, with a NaN quieted.
template <class F>
auto single(F function) {
  return [function](const Words& w) { return std::isnan(f(w[0])) ? u64(u32(w[0]) | 0x400000) : bits(function(f(w[0]))); };
}

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
      {"v_cvt_floor_i32_f32 v8, v2",
       [](const Words& w) { return saturated(std::floor(f64(f(w[0]))), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_nearest_i32_f32 v8, v2",
       [](const Words& w) { return saturated(std::floor(f64(f(w[0])) + 0.5), -0x1p31, 0x1p31 - 1); }},
      {"v_cvt_f32_i32 v8, v2", [](const Words& w) { return bits(f32(ai(w))); }},
      {"v_cvt_f32_u32 v8, v2", [](const Words& w) { return bits(f32(a32(w))); }},
      {"v_cvt_f32_ubyte2 v8, v2", [](const Words& w) { return bits(f32(w[0] >> 16 & 255)); }},
      {"v_cvt_pk_i16_f32 v8, v2, v4",
       [](const Words& w) {
         const u64 low = saturated(std::trunc(f(w[0])), -32768, 32767), high = saturated(std::trunc(f(w[1])), -32768, 32767);
         return (low & 0xffff) | high << 16;
       }},
      {"v_trunc_f32 v8, v2", single([](f32 x) { return std::trunc(x); })},
      {"v_rndne_f32 v8, v2", single([](f32 x) { return std::nearbyint(x); })},
      {"v_floor_f32 v8, v2", single([](f32 x) { return std::floor(x); })},
      {"v_fract_f32 v8, v2",
       [](const Words& w) -> u64 {
         if (std::isnan(f(w[0]))) return a32(w) | 0x400000;
         if (std::isinf(f(w[0]))) return 0xffc00000;
         return bits(std::min(f32(f64(f(w[0])) - std::floor(f64(f(w[0])))), std::nextafter(1.0f, 0.0f)));
       }},
  });
}

TEST_CASE("normalised integers and bytes") {
  const auto snorm = [](f64 x) -> u64 {
    return std::isnan(x) ? 0 : u64(i64(std::nearbyint(std::clamp(x, -1.0, 1.0) * 32767))) & 0xffff;
  };
  const auto unorm = [](f64 x) -> u64 {
    return std::isnan(x) ? 0 : u64(std::nearbyint(std::clamp(x, 0.0, 1.0) * 65535));
  };
  check_all({
      {"v_cvt_pk_norm_i16_f32 v8, v2, v4", [&](const Words& w) { return snorm(f(w[0])) | snorm(f(w[1])) << 16; }},
      {"v_cvt_pk_norm_u16_f32 v8, v2, v4", [&](const Words& w) { return unorm(f(w[0])) | unorm(f(w[1])) << 16; }},
      {"v_cvt_pk_u8_f32 v8, v2, v4, v6",
       [](const Words& w) {
         const u64 byte = saturated(std::nearbyint(f(w[0])), 0, 255), at = 8 * (w[1] & 3);
         return (w[2] & ~(u64{255} << at)) | byte << at;
       }},
  });
}

TEST_CASE("f32 minimum, median, ldexp") {
  check_all({
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
         std::sort(x.begin(), x.end(),
                   [](f32 p, f32 q) { return p < q || (p == q && std::signbit(p) && !std::signbit(q)); });
         return bits(x[1]);
       }},
      {"v_ldexp_f32 v8, v2, v4",
       [](const Words& w) {
         return single([&](f32 x) { return f32(std::ldexp(x, std::clamp(bi(w), -999, 999))); })(w);
       }},
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
      {"v_ceil_f64 v[8:9], v[2:3]",
       [](const Words& w) { return std::isnan(d(w[0])) ? w[0] | u64{1} << 51 : bits(std::ceil(d(w[0]))); }, 64},
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
    bench.run("v_fma_mixlo_f16 v8, v2, v4, v6\nv_fma_mixhi_f16 v8, v2, v4, v6\nv_fma_mixlo_f16 v10, v2, v4, 0\n"
              "v_fma_mix_f32 v9, v2, v4, v6 op_sel:[1,0,0] op_sel_hi:[1,0,0]");
    for (u32 lane = 0; lane < 32; lane++) {
      const f32 x = f(bench.v(2, lane)), y = f(bench.v(4, lane)), z = f(bench.v(6, lane));
      const long double exact = static_cast<long double>(x) * y + z;   // 48 bits and a near exponent: exact
      REQUIRE(u16(bench.v(8, lane)) == to_f16(f64(exact)));
      REQUIRE(bench.v(8, lane) >> 16 == u16(bench.v(8, lane)));
      REQUIRE(u16(bench.v(10, lane)) == to_f16(f64(x) * y));
      differ += to_f16(f64(std::fma(x, y, z))) != to_f16(f64(exact));
      const f32 half = f32(from_f16(bench.v(2, lane) >> 16));
      REQUIRE((bench.v(9, lane) == bits(std::fma(half, y, z)) || std::isnan(half)));
    }
  }
  CHECK(differ > 0);   // the canary: rounding twice would be seen
}

// Flushing f32 denormals has a quick way, and MODE 0x3d0 (inputs kept, outputs flushed) has not: on inputs that are flushed
// already, both must give the same.
TEST_CASE("f32 denormals flushed: the quick way and the slow one agree") {
  Bench quick, slow;
  quick.wave.mode = 0x3c0;
  slow.wave.mode = 0x3d0;
  const u32 seed = test_seed();
  std::mt19937 random(seed);
  const char* instructions[] = {
      "v_add_f32 v3, v0, v1", "v_subrev_f32 v3, v0, v1", "v_mul_f32 v3, v0, v1", "v_mul_dx9_zero_f32 v3, v0, v1",
      "v_fma_f32 v3, v0, v1, v2", "v_fma_f32 v3, -v0, |v1|, -v2", "v_fmac_f32 v3, v0, v1",
      "v_fmamk_f32 v3, v0, 0x3f000000, v1", "v_min_f32 v3, v0, v1", "v_max3_f32 v3, v0, v1, v2",
      "v_med3_f32 v3, v0, v1, v2", "v_add_f32 v3, 1.0, v1",
      "v_cmp_lt_f32 vcc_lo, v0, v1\nv_cndmask_b32 v3, 0, 1, vcc_lo",
      "v_cmp_eq_f32 vcc_lo, 0, v1\nv_cndmask_b32 v3, 0, 1, vcc_lo",
      "v_cvt_i32_f32 v3, v0", "v_cvt_f16_f32 v3, v0", "v_floor_f32 v3, v0", "v_fract_f32 v3, v0", "v_rndne_f32 v3, -v0",
      "v_add_f32_dpp v3, v0, v1 quad_perm:[1,0,3,2] row_mask:0xf bank_mask:0xf", "v_ldexp_f32 v3, v1, 2"};
  for (u32 round = 0; round < 60; round++) {
    for (u32 n = 0; n < 4; n++) {
      for (u32 lane = 0; lane < 32; lane++) {
        const u32 exponent = random() % 4 == 0 ? random() % 255 : random() % 4 == 0 ? random() % 26 + 115 : random() % 3;
        const u32 value = exponent << 23 | (random() & 0x807fffff);
        quick.v(n, lane) = value;
        slow.v(n, lane) = exponent == 0 ? value & 0x80000000 : value;
      }
    }
    for (const char* instruction : instructions) {
      quick.run(instruction);
      slow.run(instruction);
      INFO("AMLM_TEST_SEED=" << seed << " " << instruction);
      for (u32 lane = 0; lane < 32; lane++) REQUIRE(quick.v(3, lane) == slow.v(3, lane));
    }
  }
}

// The second handlers, for AVX-512, of mixed-precision FMA: the bits of the first ones on any operand.
TEST_CASE("v_fma_mix: both handlers agree") {
  if (!has_avx512()) return;
  const u32 seed = test_seed();
  std::mt19937 random(seed);
  const char* sources[] = {"v2, v4, v6", "v2, v4, 0", "s4, v4, -v6", "|v2|, -1.0, v6", "v2, -|v4|, s5"};
  const char* selects[] = {"", " op_sel_hi:[1,1,1]", " op_sel:[1,0,0] op_sel_hi:[1,0,0]",
                           " op_sel:[0,1,1] op_sel_hi:[0,1,1]", " op_sel:[1,1,1] op_sel_hi:[1,1,1]"};
  Bench plain, wide;
  for (const char* name : {"v_fma_mix_f32", "v_fma_mixlo_f16", "v_fma_mixhi_f16"})
    for (const char* source : sources)
      for (const char* select : selects) {
        const std::string text = std::string(name) + " v8, " + source + select;
        const auto words = assemble(text);
        const auto in = decode(words);
        REQUIRE(in);
        Step step;
        step.in = *in;
        const auto bindings = vop3p_bindings();
        const auto row = std::find_if(bindings.begin(), bindings.end(),
                                      [&](const Binding& binding) { return binding.opcode == in->opcode; });
        REQUIRE(row->wide != nullptr);
        for (u32 round = 0; round < 40; round++) {
          const u32 exec = round % 4 == 0 ? random() : ~0u;
          for (Bench* bench : {&plain, &wide}) bench->s(code_exec_lo) = exec;
          for (u32 r : {2u, 4u, 6u, 8u})
            for (u32 lane = 0; lane < 32; lane++) {
              const u32 kind = random() % 8;   // any bits; f16 pairs near one; f32 near one, few bits: ties; specials
              const u32 any = random(), near = (any & 0x8fff8fff) | 0x30003000, tie = (any & 0x80ffe000) | 0x3f000000;
              const u32 special[] = {0,          0x80000000, 0x7f800000, 0x7fa00000,
                                     0x7c00fc00, 0x00010001, 0x33000000, 0x477ff000};
              plain.v(r, lane) = wide.v(r, lane) = kind < 2 ? any : kind < 4 ? near : kind < 7 || round % 3 != 0 ? tie
                                                                                                : special[random() % 8];
            }
          for (Bench* bench : {&plain, &wide}) bench->s(4) = plain.v(2, 3), bench->s(5) = plain.v(6, 5);
          row->handler(plain.wave, step);
          row->wide(wide.wave, step);
          INFO("AMLM_TEST_SEED=" << seed << " " << text);
          for (u32 lane = 0; lane < 32; lane++) REQUIRE(wide.v(8, lane) == plain.v(8, lane));
        }
      }
}
