// Instructions of one lane against references, on random and nasty inputs: what alu.cpp and alu_float.cpp share.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <functional>

#include "tests/isa/alu_bench.h"

namespace amlm::isa::test {

using Words = std::array<u64, 3>;   // sources of one lane

struct Case {
  const char* assembly;             // sources v[2:3], v[4:5], v[6:7] (or v2, v4, v6), result v8 or v[8:9]
  std::function<u64(const Words&)> reference;
  u32 result_bits = 32;
};

inline constexpr u32 nasty[] = {0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000,
                         0xffff, 0x10000,
                         0x7fffff, 0x800000, 0xffffff, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
                         0x3c00, 0xbc00, 0x7bff, 0x7c00, 0xfc00, 0x3ff, 0x400, 0x7e00,
                         0x3f800000, 0xbf800000, 0x40490fdb, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00001,
                         0x00000001, 0x007fffff, 0x00800000, 0x4f000000, 0xcf000000, 0x4effffff, 0x3effffff, 0x3f000001};

inline u32 pick(std::mt19937& random) {
  switch (random() % 4) {
    case 0: return nasty[random() % std::size(nasty)];
    case 1: return random() & 0xff;
    case 2: return 0x3f800000 + (random() % 0x06000000) - 0x03000000 + (random() & 0x80000000);   // floats near one
    default: return random();
  }
}

inline void fill(Bench& bench, std::mt19937& random) {
  for (u32 r = 0; r < 16; r++)
    for (u32 lane = 0; lane < 32; lane++) bench.v(r, lane) = pick(random);
}

// The first difference as a sentence, or nothing.
inline std::string difference(const Case& c, u32 seed, u32 rounds) {
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

inline void check_all(std::initializer_list<Case> cases, u32 rounds = 60) {
  for (const Case& c : cases) {
    const std::string text = difference(c, 17, rounds);
    INFO(text);
    CHECK(text.empty());
  }
}

inline u32 a32(const Words& w) { return u32(w[0]); }
inline u32 b32(const Words& w) { return u32(w[1]); }
inline u32 c32(const Words& w) { return u32(w[2]); }
inline i32 ai(const Words& w) { return i32(w[0]); }
inline i32 bi(const Words& w) { return i32(w[1]); }
inline i32 ci(const Words& w) { return i32(w[2]); }
inline u64 limited(i64 x, i64 low, i64 high) { return u64(std::min(std::max(x, low), high)); }

}  // namespace amlm::isa::test
