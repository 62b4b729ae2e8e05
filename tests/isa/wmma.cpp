// The way of WMMA on hosts with AVX-512: taken whenever it promises to be, and every bit that of eight single steps, on
// what stresses alignment, truncation, complements and rounding. Then chains of WMMAs in programs, where factors taken
// apart are kept from one to the next: they must be those that the registers hold.
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "isa/execute/wmma_factors.h"
#include "tests/isa/machine.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::silicon;

namespace {

u32 seed_of(u32 usual) {
  const u32 seed = u32(test_seed(usual));
  std::printf("AMLM_TEST_SEED=%u\n", seed);
  return seed;
}

struct Fragment {
  u32 lanes[8][32];
};

enum class Factors : u32 { any, near, small_range, zeros, subnormal, greatest, cancelling, all_zero, few };
constexpr u32 factor_kinds = 9;
enum class Sums : u32 { zero, any, ends, near, integers };
constexpr u32 sum_kinds = 5;

struct Random {
  std::mt19937 next;

  u32 half(Factors kind) {
    const u32 sign = next() & 0x8000, fraction = next() & 0x3ff;
    switch (kind) {
      case Factors::any: return sign | next() % 0x7c00;
      case Factors::near: return sign | (14 + next() % 3) << 10 | fraction;
      case Factors::small_range: return sign | (8 + next() % 12) << 10 | (fraction & 0x380);
      case Factors::zeros: return sign | (next() % 3 != 0 ? 0 : (10 + next() % 8) << 10 | fraction);
      case Factors::subnormal: return sign | (next() % 4 == 0 ? (1 + next() % 3) << 10 | fraction : fraction);
      case Factors::greatest: return sign | (next() % 4 == 0 ? next() % 0x7c00 : 0x7bff - next() % 2);
      case Factors::cancelling: return sign | (15 + next() % 2) << 10;
      case Factors::all_zero: return sign;
      case Factors::few: return sign | (next() % 2 != 0 ? 0x3c00 : 0x3c00 - (next() % 12 << 10));
    }
    return 0;
  }
  // `equal`: both halves of the wave hold the same.
  void fill(Fragment& out, Factors kind, bool equal) {
    for (auto& lanes : out.lanes)
      for (u32 lane = 0; lane < 32; lane++)
        lanes[lane] = equal && lane >= 16 ? lanes[lane - 16] : half(kind) | half(kind) << 16;
    if (kind != Factors::cancelling) return;
    for (auto& lanes : out.lanes)   // the second factor of a pair is the first, or its negative
      for (u32& value : lanes)
        if (next() % 4 != 0) value = (value & 0xffff) * 0x10001 ^ (next() % 2 != 0 ? 0x80000000 : 0);
  }

  static constexpr u32 lowest = (127 - 54) << 23, end = (127 + 64) << 23;
  u32 sum(Sums kind) {
    const u32 sign = next() & 0x80000000;
    switch (kind) {
      case Sums::zero: return 0;
      case Sums::any: return sign | (lowest + next() % (end - lowest));
      case Sums::ends: {
        const u32 off = next() % 3;
        return next() % 4 == 0 ? 0 : sign | (next() % 2 != 0 ? lowest + off : end - 1 - off);
      }
      case Sums::near: return sign | (115 + next() % 24) << 23 | (next() & 0x7fffff);
      case Sums::integers: return next() % 5 == 0 ? 0 : sign | std::bit_cast<u32>(f32(1 + next() % 64));
    }
    return 0;
  }
  void fill(Fragment& out, Sums kind) {
    for (auto& lanes : out.lanes)
      for (u32& value : lanes) value = sum(kind);
  }
};

Fragment expected(const Fragment& a, const Fragment& b, const Fragment& c) {
  Fragment d;
  for (u32 v = 0; v < 8; v++)
    for (u32 lane = 0; lane < 32; lane++) {
      const u32 odd = lane / 16, row = 2 * v + odd + 16 * odd;
      u32 sum = c.lanes[v][lane];
      for (u32 k = 0; k < 8; k++) sum = dot2_f32(Factor::f16, a.lanes[k][row], b.lanes[k][lane], sum);
      d.lanes[v][lane] = sum;
    }
  return d;
}

u32 differences(const Fragment& x, const Fragment& y) {
  u32 count = 0;
  for (u32 v = 0; v < 8; v++)
    for (u32 lane = 0; lane < 32; lane++) count += x.lanes[v][lane] != y.lanes[v][lane];
  return count;
}

bool no_fast_way() {
  if (!has_wmma_avx512()) std::puts("this host has no AVX-512 with VNNI and VBMI2: nothing to test");
  return !has_wmma_avx512();
}

struct Fast {
  bool rows, columns, taken;
};
Fast run_fast(const Fragment& a, const Fragment& b, const Fragment& c, Fragment& d) {
  static WmmaRows rows;
  static WmmaColumns columns;
  Fast fast{split_wmma_rows(a.lanes[0], rows), split_wmma_columns(b.lanes[0], columns), false};
  fast.taken = fast.rows && fast.columns && wmma_f16_avx512(rows, columns, c.lanes[0], d.lanes[0]);
  return fast;
}

}  // namespace

TEST_CASE("wmma: the AVX-512 way is taken and gives the bits of single steps") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(815))};
  for (u32 round = 0; round < 3000; round++) {
    const auto a_kind = Factors(random.next() % factor_kinds), b_kind = Factors(random.next() % factor_kinds);
    const auto c_kind = Sums(random.next() % sum_kinds);
    Fragment a, b, c, d;
    random.fill(a, a_kind, random.next() % 2 != 0);
    random.fill(b, b_kind, random.next() % 2 != 0);
    random.fill(c, c_kind);
    INFO("round " << round << ", factors " << u32(a_kind) << " and " << u32(b_kind) << ", sums " << u32(c_kind));
    REQUIRE(run_fast(a, b, c, d).taken);
    REQUIRE(differences(d, expected(a, b, c)) == 0);
    REQUIRE(run_fast(a, b, c, c).taken);   // in place
    REQUIRE(differences(c, d) == 0);
  }
}

namespace {

// 16-bit sums, one step after the other. `overflow`: a step left f16, or the sum was not finite to begin with.
struct Packed {
  Fragment d;
  bool overflow = false;
};
Packed expected_packed(const Fragment& a, const Fragment& b, const Fragment& c, const Fragment& kept, u32 shift) {
  Packed p{kept};
  for (u32 v = 0; v < 8; v++)
    for (u32 lane = 0; lane < 32; lane++) {
      const u32 odd = lane / 16, row = 2 * v + odd + 16 * odd;
      u16 sum = u16(c.lanes[v][lane] >> shift);
      for (u32 k = 0; k < 8; k++) {
        p.overflow |= (sum & 0x7fff) >= 0x7c00;
        sum = dot2_packed(Factor::f16, a.lanes[k][row], b.lanes[k][lane], sum, false);
      }
      p.overflow |= (sum & 0x7fff) >= 0x7c00;
      p.d.lanes[v][lane] = (kept.lanes[v][lane] & ~(0xffffu << shift)) | u32(sum) << shift;
    }
  return p;
}

}  // namespace

TEST_CASE("wmma: sums of 16 bits take the AVX-512 way and get the bits of single steps") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(816))};
  u32 taken = 0;
  for (u32 round = 0; round < 3000; round++) {
    const auto a_kind = Factors(random.next() % factor_kinds), b_kind = Factors(random.next() % factor_kinds);
    const auto c_kind = Factors(random.next() % factor_kinds);
    const u32 shift = random.next() % 2 * 16;
    Fragment a, b, c, d;
    random.fill(a, a_kind, random.next() % 2 != 0);
    random.fill(b, b_kind, random.next() % 2 != 0);
    random.fill(c, c_kind, false);
    random.fill(d, Factors::any, false);
    if (random.next() % 100 == 0) c.lanes[random.next() % 8][random.next() % 32] = 0x7c01fc00;
    const Packed packed = expected_packed(a, b, c, d, shift);
    const Fragment before = d;
    WmmaRows rows;
    WmmaColumns columns;
    REQUIRE((split_wmma_rows(a.lanes[0], rows) && split_wmma_columns(b.lanes[0], columns)));
    INFO("round " << round << ", factors " << u32(a_kind) << " and " << u32(b_kind) << ", sums " << u32(c_kind));
    REQUIRE(wmma_half_avx512(rows, columns, c.lanes[0], d.lanes[0], shift) == !packed.overflow);
    REQUIRE(differences(d, packed.overflow ? before : packed.d) == 0);
    taken += !packed.overflow;
  }
  CHECK(taken > 1000);
}

TEST_CASE("wmma: every two extreme factors of A meet every two of B and every sum") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(8))};
  constexpr u16 halves[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x8401, 0x3c00, 0xbc00, 0x3fff, 0x7bff, 0xfbff};
  constexpr u32 count = std::size(halves), pairs = count * count;
  const u32 sums[] = {0, Random::lowest, Random::lowest | 0x80000001, 0x28800000, 0xa8ffffff, 0x3f800000,
                      0xbf800000, 0x3fffffff, 0xcf000001, Random::end - 1, (Random::end - 1) | 0x80000000};
  const auto pair = [&](u32 i) { return u32{halves[i % pairs / count]} | u32{halves[i % count]} << 16; };
  for (const u32 sum : sums)
    for (u32 row = 0; row < pairs; row += 16)
      for (u32 column = 0; column < pairs; column += 16) {
        Fragment a, b, c, d;
        const u32 k = random.next() % 8, others = random.next() % 4;   // what comes before and after: zeros of either sign
        for (u32 v = 0; v < 8; v++)
          for (u32 lane = 0; lane < 32; lane++) {
            a.lanes[v][lane] = v == k ? pair(row + lane % 16) : others * 0x80000000 | (others & 2) << 14;
            b.lanes[v][lane] = v == k ? pair(column + lane % 16) : 0;
            c.lanes[v][lane] = sum;
          }
        INFO("sum " << std::hex << sum << ", rows from " << row << ", columns from " << column << ", k " << k);
        REQUIRE(run_fast(a, b, c, d).taken);
        REQUIRE(differences(d, expected(a, b, c)) == 0);
      }
}

TEST_CASE("wmma: the AVX-512 way refuses what it is not good for") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(4))};
  Fragment a, b, c, d, before;
  random.fill(a, Factors::any, false);
  random.fill(b, Factors::any, false);
  random.fill(c, Sums::any);
  random.fill(d, Sums::any);
  before = d;
  for (const u32 sum : {0x80000000u, 1u, 0x80000001u, 0x7fffffu, 0x00800000u, Random::lowest - 1, Random::end,
                        Random::end | 0x80000000, 0x7f7fffffu, 0x7f800000u, 0xff800000u, 0x7f800001u, 0xffc00000u})
    for (u32 at = 0; at < 256; at += 37) {
      Fragment bad = c;
      bad.lanes[at / 32][at % 32] = sum;
      INFO("accumulator " << std::hex << sum << " at " << at);
      CHECK(!run_fast(a, b, bad, d).taken);
    }
  for (const u32 half : {0x7c00u, 0xfc00u, 0x7c01u, 0xffffu})
    for (u32 k = 0; k < 16; k++) {
      Fragment bad = a;
      u32& row = bad.lanes[k / 2][k + 16 * (k % 2)];   // the lane that row k is taken from
      row = half << (16 * (k % 2)) | (row & (0xffffu << (16 * (1 - k % 2))));
      CHECK(!run_fast(bad, b, c, d).rows);
      CHECK(!run_fast(a, bad, c, d).columns);
    }
  CHECK(differences(d, before) == 0);   // refused: nothing was written
  a.lanes[3][1] = 0x7c007c00;           // row 1 is taken from lane 17
  CHECK(run_fast(a, b, c, d).taken);
}

namespace {

constexpr u32 registers = 64, used = 60;
using Registers = u32[registers][32];

// A straight program of WMMAs with waits, moves and scalar instructions between: its text, and what it does to `v`.
// Factors stand in v8-v31, sums in v32-v59. `wild`: at times a result lies over factors, which strict mode refuses.
struct Chain {
  std::string text;
  std::vector<std::array<u32, 4>> operations;   // D, A, B, C; or ~0, to, from
};

Chain random_chain(Random& random, u32 length, bool wild) {
  Chain chain;
  const auto factor = [&] { return random.next() % 8 == 0 ? 12 + random.next() % 2 * 8 : 8 + random.next() % 3 * 8; };
  const auto sum = [&] { return 32 + random.next() % 3 * 8 + random.next() % 2 * 4; };
  for (u32 i = 0; i < length; i++) {
    const u32 kind = random.next() % 16;
    if (kind < 3) {
      chain.text += kind == 0 ? "s_waitcnt vmcnt(0)\n" : kind == 1 ? "s_waitcnt_depctr 0xfff\n" : "s_mov_b32 s9, 7\n";
    } else if (kind < 6) {
      const u32 to = 8 + random.next() % 24, from = 8 + random.next() % 24;
      chain.text += fmt::format("v_mov_b32 v{}, v{}\n", to, from);
      chain.operations.push_back({~0u, to, from, 0});
    } else {
      const u32 d = wild && random.next() % 20 == 0 ? factor() : sum(), a = factor(), b = factor();
      const u32 c = random.next() % 3 == 0 ? sum() : d;
      chain.text += fmt::format("v_wmma_f32_16x16x16_f16 v[{}:{}], v[{}:{}], v[{}:{}], v[{}:{}]\n", d, d + 7, a, a + 7, b,
                                b + 7, c, c + 7);
      chain.operations.push_back({d, a, b, c});
    }
  }
  return chain;
}

Fragment fragment_at(const Registers& v, u32 first) {
  Fragment f;
  for (u32 i = 0; i < 8; i++) std::copy_n(v[first + i], 32, f.lanes[i]);
  return f;
}

void apply(const Chain& chain, Registers& v) {
  for (const auto& [d, a, b, c] : chain.operations) {
    if (d == ~0u) {
      std::copy_n(v[b], 32, v[a]);
      continue;
    }
    const Fragment result = expected(fragment_at(v, a), fragment_at(v, b), fragment_at(v, c));
    for (u32 i = 0; i < 8; i++) std::copy_n(result.lanes[i], 32, v[d + i]);
  }
}

}  // namespace

TEST_CASE("wmma: chains of them see what registers hold") {
  Random random{std::mt19937(seed_of(2026))};
  for (u32 round = 0; round < 12; round++) {
    const Mode mode = round % 2 == 0 ? Mode::fast : Mode::strict;   // strict: the waves interleave
    const Chain head = random_chain(random, 40, mode == Mode::fast), loop = random_chain(random, 60, mode == Mode::fast);
    std::string load, store;
    for (u32 n = 8; n < used; n++) {
      load += fmt::format("global_load_b32 v{}, v63, s[4:5]\nv_add_nc_u32 v63, 128, v63\n", n);
      store += fmt::format("global_store_b32 v63, v{}, s[4:5]\nv_add_nc_u32 v63, 128, v63\n", n);
    }
    test::Machine machine;
    machine.options = {.mode = mode, .seed = round};
    const u32 waves = 3;   // of one workgroup: one host thread runs them
    test::TestBuffer& buffer = machine.buffer("registers", waves * sizeof(Registers));
    test::TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
    arguments.as<u64>()[0] = buffer.va;
    const std::string start = "v_mov_b32 v63, v62\n";
    const u64 code = machine.code(test::assemble(
        "s_load_b64 s[4:5], s[0:1], 0\ns_waitcnt lgkmcnt(0)\ns_mov_b32 s8, 0\nv_lshrrev_b32 v1, 5, v0\n"
        "v_and_b32 v62, 31, v0\nv_lshlrev_b32 v62, 2, v62\nv_lshl_add_u32 v62, v1, 13, v62\n" + start + load +
        "s_waitcnt vmcnt(0)\n" + head.text + "loop:\n" + loop.text +
        "s_add_u32 s8, s8, 1\ns_cmp_lt_u32 s8, 2\ns_cbranch_scc1 loop\n" + start + store + "s_endpgm"));
    auto* v = buffer.as<Registers>();
    std::vector<u32> want(waves * registers * 32);
    auto* wanted = reinterpret_cast<Registers*>(want.data());
    for (u32 wave = 0; wave < waves; wave++) {
      for (u32 n = 8; n < used; n++)   // register n is loaded from place n - 8 and stored there
        for (u32 lane = 0; lane < 32; lane++) {
          const u32 factors = random.half(Factors::near) | random.half(Factors::near) << 16;
          wanted[wave][n][lane] = n >= 32 ? random.sum(Sums::near) : lane < 16 ? factors : wanted[wave][n][lane - 16];
          v[wave][n - 8][lane] = wanted[wave][n][lane];
        }
      for (const Chain* chain : {&head, &loop, &loop}) apply(*chain, wanted[wave]);
    }
    const RunReport report = machine.run(test::dispatch_of(
        {.code_va = code, .arguments = arguments.va, .lanes = 32 * waves, .vgprs = registers}));
    INFO("round " << round << (report.fault ? ": " + report.fault->sentence : ""));
    REQUIRE(!report.fault);
    u32 different = 0;
    for (u32 wave = 0; wave < waves; wave++)
      for (u32 n = 8; n < used; n++)
        for (u32 lane = 0; lane < 32; lane++) different += v[wave][n - 8][lane] != wanted[wave][n][lane];
    REQUIRE(different == 0);
  }
}

TEST_CASE("wmma: factors are kept for the next WMMA of the same wave only") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(5))};
  Fragment a, other;
  random.fill(a, Factors::near, true);
  random.fill(other, Factors::near, true);
  Step first, second;
  second.wmma_before = &first;
  Wave wave, another;
  // The kept factors of `a` as v8, then asked for with other contents in the register.
  const auto kept = [&](auto&& between) {
    auto factors = std::make_unique<WmmaFactors>();
    factors->follow(wave, first);
    factors->rows(8, a.lanes[0]);
    between(*factors);
    static WmmaRows want;
    split_wmma_rows(a.lanes[0], want);
    return std::memcmp(factors->rows(8, other.lanes[0])->factor, want.factor, sizeof want.factor) == 0;
  };
  CHECK(kept([&](WmmaFactors& factors) { factors.follow(wave, second); }));
  CHECK(kept([&](WmmaFactors& factors) { factors.written(16), factors.written(0), factors.follow(wave, second); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.follow(another, second); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.follow(wave, first); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.forget(), factors.follow(wave, second); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.forget(), factors.follow(wave, first); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.written(15), factors.follow(wave, second); }));
  CHECK(!kept([&](WmmaFactors& factors) { factors.written(1), factors.follow(wave, second); }));
}

namespace {

bool same(const WmmaRows& x, const WmmaRows& y) {
  return std::memcmp(x.factor, y.factor, sizeof x.factor) == 0 && std::memcmp(x.shift, y.shift, sizeof x.shift) == 0 &&
         std::memcmp(x.signs, y.signs, sizeof x.signs) == 0;
}

bool same(const WmmaColumns& x, const WmmaColumns& y) {
  bool equal = x.halves == y.halves;
  for (int half = 0; equal && half < x.halves; half++)
    equal = std::memcmp(x.factor[half], y.factor[half], sizeof x.factor[half]) == 0 &&
            std::memcmp(x.shift[half], y.shift[half], sizeof x.shift[half]) == 0 &&
            std::memcmp(x.signs[half], y.signs[half], sizeof x.signs[half]) == 0;
  return equal;
}

}  // namespace

TEST_CASE("wmma: equal fragments are taken apart once, and those that differ in a bit are not taken for equal") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(6))};
  Step step;   // after nothing: every WMMA here asks anew what registers hold
  Wave wave;
  auto factors = std::make_unique<WmmaFactors>();
  static WmmaRows rows;
  static WmmaColumns columns;
  for (const bool equal : {true, false})
    for (u32 at = 0; at < 256; at++) {
      Fragment fragment, other;
      random.fill(fragment, Factors::near, equal);
      other = fragment;
      other.lanes[at / 32][at % 32] ^= 1u << random.next() % 32;
      if ((other.lanes[at / 32][at % 32] & 0x7c00) == 0x7c00 || (other.lanes[at / 32][at % 32] >> 16 & 0x7c00) == 0x7c00)
        other.lanes[at / 32][at % 32] = ~fragment.lanes[at / 32][at % 32] & 0x80008000;
      factors->follow(wave, step);
      const WmmaRows* first_rows = factors->rows(8, fragment.lanes[0]);
      const WmmaColumns* first_columns = factors->columns(16, fragment.lanes[0]);
      factors->follow(wave, step);
      CHECK(factors->rows(24, Fragment(fragment).lanes[0]) == first_rows);
      if (equal) CHECK(factors->columns(32, Fragment(fragment).lanes[0]) == first_columns);
      factors->follow(wave, step);
      INFO("halves " << (equal ? "equal" : "different") << ", register " << at / 32 << ", lane " << at % 32);
      REQUIRE((split_wmma_rows(other.lanes[0], rows) && split_wmma_columns(other.lanes[0], columns)));
      CHECK(same(*factors->rows(8, other.lanes[0]), rows));
      CHECK(same(*factors->columns(16, other.lanes[0]), columns));
    }
}

TEST_CASE("wmma: columns whose halves differ are not taken for either half") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(9))};
  Step step;
  Wave wave;
  static WmmaColumns columns;
  for (const u32 half : {0u, 1u}) {
    Fragment both, one;
    random.fill(both, Factors::near, false);
    std::copy_n(both.lanes[0], 16, both.lanes[0] + 16);
    for (u32 v = 0; v < 8; v++)
      for (u32 lane = 0; lane < 32; lane++) one.lanes[v][lane] = both.lanes[v][16 * half + lane % 16];
    for (const bool first_both : {true, false}) {
      auto factors = std::make_unique<WmmaFactors>();
      factors->follow(wave, step);
      factors->columns(8, (first_both ? both : one).lanes[0]);
      factors->follow(wave, step);
      const Fragment& second = first_both ? one : both;
      REQUIRE(split_wmma_columns(second.lanes[0], columns));
      CHECK(same(*factors->columns(8, second.lanes[0]), columns));
    }
  }
}

TEST_CASE("wmma: a fragment that cannot be taken apart is not kept") {
  if (no_fast_way()) return;
  Random random{std::mt19937(seed_of(7))};
  Fragment fragment;
  random.fill(fragment, Factors::near, true);
  fragment.lanes[5][3] = fragment.lanes[5][19] = 0x7c00;
  Step step;
  Wave wave;
  auto factors = std::make_unique<WmmaFactors>();
  for (u32 round = 0; round < 2; round++) {
    factors->follow(wave, step);
    for (u32 again = 0; again < 2; again++) {
      CHECK(factors->rows(8, fragment.lanes[0]) == nullptr);
      CHECK(factors->columns(8, fragment.lanes[0]) == nullptr);
    }
  }
}
