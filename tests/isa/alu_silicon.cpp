// The silicon models: DOT2 and WMMA against the five rules of the model written with doubles, and worked examples;
// transcendentals against AMD's digests of captured results.
#include <bit>
#include <cmath>
#include <cstdio>
#include <random>

#include <catch2/catch.hpp>

#include "isa/execute/silicon_dot.h"
#include "isa/execute/silicon_trans.h"

using namespace amlm;
using namespace amlm::isa::silicon;

namespace {

f64 value_of(Factor factor, u32 half) {
  const u32 magnitude = half & 0x7fff;
  const f64 sign = (half & 0x8000) != 0 ? -1 : 1;
  if (factor == Factor::bf16) {
    if (magnitude < 0x80) return sign * 0.0;
    return sign * f64(std::bit_cast<f32>(magnitude << 16));
  }
  if (magnitude >= 0x7c00) return sign * (magnitude == 0x7c00 ? HUGE_VAL : NAN);
  if (magnitude < 0x400) return sign * magnitude * 0x1p-24;
  return sign * std::ldexp(1.0 + (magnitude & 0x3ff) * 0x1p-10, int(magnitude >> 10) - 15);
}

int operand_exponent(Factor factor, u32 half) {
  const int field = factor == Factor::f16 ? half >> 10 & 31 : half >> 7 & 255;
  return std::max(field, 1) - (factor == Factor::f16 ? 15 : 127);
}

// The rules of isa.md 4.4 one after the other; all quantities are exact in a double.
u32 reference_dot2(Factor factor, u32 a, u32 b, u32 c_bits) {
  f64 product[2];
  bool negative[2];
  int sum_exponent[2];
  for (int k = 0; k < 2; k++) {
    const u32 x = a >> (16 * k) & 0xffff, y = b >> (16 * k) & 0xffff;
    if (std::isnan(value_of(factor, x)) || std::isnan(value_of(factor, y))) return 0xffc00a3d;
    product[k] = value_of(factor, x) * value_of(factor, y);
    negative[k] = ((x ^ y) & 0x8000) != 0;
    sum_exponent[k] = operand_exponent(factor, x) + operand_exponent(factor, y);
  }
  f64 c = std::bit_cast<f32>(c_bits);
  if (std::isnan(product[0]) || std::isnan(product[1]) || std::isnan(product[0] + product[1])) return 0xffc00000;
  if (std::isnan(c)) return c_bits | 0x400000;
  const f64 plain = product[0] + product[1] + c;
  if (std::isnan(plain)) return 0xffc00000;
  if (std::isinf(plain)) return plain > 0 ? 0x7f800000 : 0xff800000;
  if (std::fabs(c) < 0x1p-126) c = std::signbit(c) ? -0.0 : 0.0;
  if (c == 0 && product[0] == 0 && product[1] == 0) return 0;
  int grid = -100000;
  for (int k = 0; k < 2; k++)
    if (product[k] != 0) grid = std::max({grid, sum_exponent[k] - 24, std::ilogb(product[k]) - 26});
  if (c != 0) grid = std::max(grid, std::ilogb(c) - 26);
  const auto units = [&](f64 x) { return std::floor(std::ldexp(std::fabs(x), -grid)); };
  f64 sum = units(c);
  for (int k = 0; k < 2; k++)
    sum += negative[k] == std::signbit(c) ? units(product[k]) : -units(product[k]) - 1;
  if (sum == 0) return 0;
  if (std::signbit(c)) sum = -sum;
  const int lead = std::ilogb(sum);
  const f64 significand = std::nearbyint(std::ldexp(sum, 23 - lead));   // 24 bits; ties to even
  const int exponent = std::ilogb(significand) - 23 + lead + grid;
  if (exponent < -126) return 0;
  if (exponent > 127) return sum < 0 ? 0xff800000 : 0x7f800000;
  return std::bit_cast<u32>(f32(std::ldexp(significand, lead - 23 + grid)));
}

u32 half_of(f32 x) {   // small numbers exact in f16
  if (x == 0) return 0;
  int exponent;
  const f32 m = std::frexp(std::fabs(x), &exponent);
  return u32(x < 0 ? 0x8000 : 0) | u32(exponent - 1 + 15) << 10 | (u32(m * 2048) & 0x3ff);
}
u32 pair(f32 low, f32 high) { return half_of(low) | half_of(high) << 16; }

struct Random {
  std::mt19937 next;
  // Every class of number with fair odds: zeros, subnormals, extremes, specials, neighbours in exponent.
  u32 half(Factor factor, bool specials) {
    const u32 sign = next() & 0x8000, kind = next() % 16;
    const int fraction = factor == Factor::f16 ? 10 : 7;
    const u32 infinity = factor == Factor::f16 ? 0x7c00 : 0x7f80, bias = factor == Factor::f16 ? 15 : 127;
    if (kind == 0) return sign;
    if (kind == 1) return sign | (next() & ((1u << fraction) - 1));
    if (kind == 2) return sign | (infinity - 1 - next() % 3);
    if (kind == 3 && specials) return sign | infinity | (next() % 3 == 0 ? next() & ((1u << fraction) - 1) : 0);
    if (kind < 8) return sign | (next() % infinity);
    return sign | (bias - 4 + next() % 9) << fraction | (next() & ((1u << fraction) - 1) & (kind < 12 ? ~0u : 0x60));
  }
  u32 word(bool specials) {
    const u32 sign = next() & 0x80000000, kind = next() % 16;
    if (kind == 0) return sign;
    if (kind == 1) return sign | (next() & 0x7fffff);
    if (kind == 2 && specials) return sign | 0x7f800000 | (next() % 2 != 0 ? next() & 0x7fffff : 0);
    if (kind < 6) return sign | next() % 0x7f800000;
    return sign | (127 - 12 + next() % 24) << 23 | (next() & 0x7fffff & (kind < 11 ? ~0u : 0x700000));
  }
  u32 factors(Factor factor, bool specials) { return half(factor, specials) | half(factor, specials) << 16; }
};

u64 fold(u64 digest, u32 word) { return (digest ^ word) * 1099511628211ull; }
constexpr u64 fold_start = 14695981039346656037ull;

}  // namespace

TEST_CASE("dot2: worked examples of the gfx1151 measurements") {
  const auto dot = [](f32 a0, f32 b0, f32 a1, f32 b1, f32 c) {
    return std::bit_cast<f32>(dot2_f32(Factor::f16, pair(a0, a1), pair(b0, b1), std::bit_cast<u32>(c)));
  };
  CHECK(dot(3, 3, 3, -3, 0) == -0x1p-22f);
  CHECK(dot(1, 1, 1, -1, 0) == -0x1p-24f);
  CHECK(dot(2, 2, 1, -1, 0) == 3 - 0x1p-22f);
  // 1024 + 8 * 2^-16, the small ones after the large one: each is cut off.
  f32 sum = dot(32, 32, 0x1p-8f, 0x1p-8f, 0);
  for (int k = 0; k < 4; k++) sum = dot(0x1p-8f, 0x1p-8f, k < 3 ? 0x1p-8f : 0, k < 3 ? 0x1p-8f : 0, sum);
  CHECK(sum == 1024);
  CHECK(dot(3, 3, 3, -3, dot(3, 3, 3, -3, 0)) == 0);
}

TEST_CASE("dot2: scalar and lanes equal the rules") {
  const u32 seed = 20261123;
  std::printf("seed %u\n", seed);
  Random random{std::mt19937(seed)};
  for (const Factor factor : {Factor::f16, Factor::bf16})
    for (int round = 0; round < 60000; round++) {
      const bool specials = round % 4 == 0;
      u32 a[32], b[32], c[32], d[32];
      for (int lane = 0; lane < 32; lane++) {
        a[lane] = random.factors(factor, specials);
        b[lane] = random.factors(factor, specials);
        c[lane] = random.word(specials);
      }
      dot2_f32(factor, a, b, c, d);
      for (int lane = 0; lane < 32; lane++) {
        const u32 want = reference_dot2(factor, a[lane], b[lane], c[lane]);
        if (want == d[lane] && want == dot2_f32(factor, a[lane], b[lane], c[lane])) continue;
        INFO("factor " << int(factor) << std::hex << " a " << a[lane] << " b " << b[lane] << " c " << c[lane]);
        REQUIRE(dot2_f32(factor, a[lane], b[lane], c[lane]) == want);
        REQUIRE(d[lane] == want);
      }
    }
}

TEST_CASE("dot2: an IEEE sum is not what the silicon gives") {   // the canary: the reference can tell the two apart
  CHECK(reference_dot2(Factor::f16, pair(3, 3), pair(3, -3), 0) != std::bit_cast<u32>(0.0f));
}

TEST_CASE("wmma: eight dot2 steps, row i from lane i + 16 (i % 2)") {
  const u32 seed = 4711;
  std::printf("seed %u\n", seed);
  Random random{std::mt19937(seed)};
  for (const Factor factor : {Factor::f16, Factor::bf16})
    for (int round = 0; round < 400; round++) {
      const bool specials = round % 8 == 0;
      u32 a[8][32], b[8][32], c[8][32], d[8][32];
      const u32 *ap[8], *bp[8], *cp[8];
      u32* dp[8];
      for (int v = 0; v < 8; v++) {
        for (int lane = 0; lane < 32; lane++) {
          a[v][lane] = random.factors(factor, specials);
          b[v][lane] = random.factors(factor, specials);
          c[v][lane] = random.word(specials);
        }
        ap[v] = a[v], bp[v] = b[v], cp[v] = c[v], dp[v] = round % 2 != 0 ? d[v] : c[v];
      }
      u32 want[8][32];
      for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
          u32 sum = c[i / 2][16 * (i % 2) + j];
          for (int k = 0; k < 8; k++)
            sum = reference_dot2(factor, a[k][i + 16 * (i % 2)], b[k][j + 16 * (i % 2)], sum);
          want[i / 2][16 * (i % 2) + j] = sum;
        }
      wmma_f32(factor, ap, bp, cp, dp);
      u32 different = 0;
      for (int v = 0; v < 8; v++)
        for (int lane = 0; lane < 32; lane++) different += dp[v][lane] != want[v][lane];
      INFO("round " << round);
      REQUIRE(different == 0);
    }
}

TEST_CASE("packed dot2: f16 and bf16 results") {
  // Values that the f32 step holds exactly round once; the f16 step rounds the integer sum itself.
  CHECK(dot2_packed(Factor::f16, pair(1, 2), pair(3, 4), u16(half_of(5)), false) == half_of(16));
  CHECK(dot2_packed(Factor::f16, pair(240, 240), pair(240, 240), 0, false) == 0x7c00);
  CHECK(dot2_packed(Factor::f16, pair(240, 240), pair(240, 240), 0, true) == 0x7bff);
  CHECK(dot2_packed(Factor::bf16, 0x40003f80, 0x40804040, 0x40a0, false) == 0x4180);   // 1*3 + 2*4 + 5
  const u32 seed = 99;
  Random random{std::mt19937(seed)};
  for (int round = 0; round < 200000; round++) {   // bf16: the f32 result, truncated
    const u32 a = random.factors(Factor::bf16, false), b = random.factors(Factor::bf16, false);
    const u32 c = random.half(Factor::bf16, false);
    REQUIRE(dot2_packed(Factor::bf16, a, b, u16(c), false) == reference_dot2(Factor::bf16, a, b, c << 16) >> 16);
  }
}

TEST_CASE("transcendentals: AMD's digests of captured results") {
  u64 digest = fold_start;
  for (u32 i = 0; i < 1u << 24; i++) digest = fold(digest, exp2_f32(std::bit_cast<u32>(f32(i) * 0x1p-24f)));
  CHECK(digest == 0x68959bb684f42e5f);
  digest = fold_start;
  for (u32 i = 0; i < 1u << 24; i++) digest = fold(digest, exp2_f32(std::bit_cast<u32>(f32(i) * 0x1p-24f) | 0x80000000));
  CHECK(digest == 0x88b75684494db8d3);
  digest = fold_start;
  for (u32 bits = 0x3f000000; bits < 0x40000000; bits++) digest = fold(digest, log2_f32(bits));
  CHECK(digest == 0xc33a54efbae098be);
  digest = fold_start;
  for (u32 m = 0; m < 1u << 23; m++) digest = fold(digest, rcp_f32(0x3f800000 | m));
  CHECK(digest == 0xd54ec24992572df9);
  digest = fold_start;
  for (u32 i = 0; i < 1u << 24; i++) digest = fold(digest, rsq_f32(0x3f800000 + i));
  CHECK(digest == 0x010bc79eb6e48caf);
  digest = fold_start;
  for (u32 i = 0; i < 1u << 24; i++) digest = fold(digest, sqrt_f32(0x3f800000 + i));
  CHECK(digest == 0x514d49d31f12176b);
}

TEST_CASE("transcendentals: 32 lanes equal one") {
  std::mt19937 random(31);
  for (int round = 0; round < 200000; round++) {
    u32 x[32], e[32], r[32], q[32];
    for (int i = 0; i < 32; i++)
      x[i] = round % 3 == 0 ? random() : (random() & 0x807fffff) | (90 + random() % 50) << 23;
    if (round % 5 == 0) x[round % 32] = (random() & 0xff800000) | (random() % 4 == 0 ? 1 : 0);
    exp2_f32(x, e);
    rcp_f32(x, r);
    rsq_f32(x, q);
    for (int i = 0; i < 32; i++) {
      if (e[i] == exp2_f32(x[i]) && r[i] == rcp_f32(x[i]) && q[i] == rsq_f32(x[i])) continue;
      INFO(std::hex << x[i]);
      REQUIRE(e[i] == exp2_f32(x[i]));
      REQUIRE(r[i] == rcp_f32(x[i]));
      REQUIRE(q[i] == rsq_f32(x[i]));
    }
  }
}

TEST_CASE("transcendentals: special values and bounds") {
  CHECK(exp2_f32(0x7f800000) == 0x7f800000);
  CHECK(exp2_f32(0xff800000) == 0);
  CHECK(exp2_f32(0xc2fc0000) == 0x00800000);
  CHECK(exp2_f32(0xc2fc0001) == 0);
  CHECK(exp2_f32(0x42ffffff) == 0x7f7fffa7);
  CHECK(exp2_f32(0x7fa12345) == 0x7fe12345);
  CHECK(log2_f32(0x00000001) == 0xff800000);
  CHECK(log2_f32(0x80000000) == 0xff800000);
  CHECK(log2_f32(0xbf800000) == 0xffc00000);
  CHECK(log2_f32(0x3f835d48) == 0x3d19508b);
  CHECK(rcp_f32(0x00000001) == 0x7f800000);
  CHECK(rcp_f32(0x80000000) == 0xff800000);
  CHECK(rcp_f32(0x7f000000) == 0);              // 2^-127 is subnormal
  CHECK(rcp_f32(0x00800000) == 0x7e800000);
  CHECK(rsq_f32(0x80000001) == 0xff800000);
  CHECK(rsq_f32(0x407fffff) == 0x3f000000);
  CHECK(sqrt_f32(0x80000001) == 0x80000000);
  CHECK(sqrt_f32(0x01000001) == 0x203504f4);
  CHECK(sin_f32(0x7f800000, 3) == 0xffc00000);
  CHECK(sin_f32(std::bit_cast<u32>(0.25f), 3) == 0x3f800000);
  CHECK(sin_f32(std::bit_cast<u32>(0.75f), 3) == 0xbf800000);
  CHECK(cos_f32(std::bit_cast<u32>(0.5f), 3) == 0xbf800000);
  CHECK(cos_f32(0x4b800000, 3) == 0x3f800000);
  for (u32 bits = 0x30000000; bits < 0x4b000000; bits += 9973) {
    const f64 x = std::bit_cast<f32>(bits), turn = 2 * M_PI * (x - std::floor(x));
    REQUIRE(std::fabs(std::bit_cast<f32>(sin_f32(bits, 3)) - std::sin(turn)) < 1.3e-7);
    REQUIRE(std::fabs(std::bit_cast<f32>(cos_f32(bits, 3)) - std::cos(turn)) < 1.3e-7);
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 100000; i++) {   // the guide's bound is 2^29 ulp
    const u64 bits = (random() >> 12) | (1 + random() % 2000) << 52;
    const f64 x = std::bit_cast<f64>(bits);
    REQUIRE(std::fabs(std::bit_cast<f64>(rcp_f64(bits)) * x - 1) < 0x1p-23);
    REQUIRE(std::fabs(std::bit_cast<f64>(rsq_f64(bits)) * std::sqrt(x) - 1) < 0x1p-23);
    REQUIRE(std::fabs(std::bit_cast<f64>(sqrt_f64(bits)) / std::sqrt(x) - 1) < 0x1p-23);
  }
}
