// Handlers written a second time for AVX-512 give the bits of the first ones, on any operand.
#include <algorithm>
#include <catch2/catch.hpp>

#include "isa/execute/alu.h"
#include "tests/isa/alu_bench.h"
#include "tests/seed.h"

namespace amlm::isa::test {

namespace {

const Binding& row_of(Opcode opcode) {
  for (const auto rows : {vop2_bindings(), vop3_integer_bindings(), vop3_float_bindings(), cross_lane_bindings()}) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const Binding& at) { return at.opcode == opcode; });
    if (row != rows.end()) return *row;
  }
  std::abort();
}

constexpr u32 specials[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fa00000, 0xffc00001,
                            0x00000001, 0x807fffff, 0x3f800000, 0xbf800000, 0x07060504, 0x03020100,
                            0x05040100, 0x0c020c00, 0x0d0b0908, 0x01000504};

// Registers of one kind a round: numbers, numbers among which few are special, or any bits.
u32 value_of(std::mt19937& random, u32 round) {
  const u32 any = random(), number = (any & 0xbfffffff) | 0x20000000;
  if (round % 4 == 0) return number;
  if (round % 4 == 1) return random() % 64 ? number : specials[random() % std::size(specials)];
  if (round % 4 == 2) return any & 0x07070707;
  return random() % 2 ? any : specials[random() % std::size(specials)];
}

}  // namespace

TEST_CASE("both handlers agree") {
  if (!has_avx512()) return;
  const u32 seed = u32(test_seed(7));
  std::mt19937 random(seed);
  Bench plain, wide;
  for (const char* text :
       {"v_min_f32 v8, v2, v4", "v_max_f32 v8, v2, v4", "v_min_f32 v8, s4, v4", "v_max_f32 v8, 0x477fe000, v4",
        "v_max_f32 v8, -v2, |v4|", "v_min_f32 v8, v8, v8", "v_min3_f32 v8, v2, v4, v6", "v_max3_f32 v8, v2, v4, v6",
        "v_max3_f32 v8, v8, s4, v8", "v_min3_f32 v8, v2, -v4, 1.0", "v_max3_f32 v8, |v2|, -|v4|, v8",
        "v_perm_b32 v8, v2, v4, v6", "v_perm_b32 v8, v2, v4, s4", "v_perm_b32 v8, s4, v4, s5", "v_perm_b32 v8, v8, v4, v8",
        "v_permlane16_b32 v8, v2, s4, s5", "v_permlanex16_b32 v8, v2, s4, s5",
        "v_permlanex16_b32 v8, v8, s4, s5 op_sel:[1,0]", "v_permlanex16_b32 v8, v2, -1, 0 op_sel:[0,1]"}) {
    const auto in = decode(assemble(text));
    REQUIRE(in);
    Step step;
    step.in = *in;
    bind(step);
    const Binding& row = row_of(in->opcode);
    REQUIRE(row.wide != nullptr);
    for (u32 round = 0; round < 200; round++) {
      const u32 exec = round % 8 < 4 ? ~0u : random();
      for (u32 r : {2u, 4u, 6u, 8u})
        for (u32 lane = 0; lane < 32; lane++) plain.v(r, lane) = wide.v(r, lane) = value_of(random, round);
      for (Bench* bench : {&plain, &wide}) {
        bench->s(code_exec_lo) = exec;
        bench->s(4) = plain.v(6, 3);
        bench->s(5) = plain.v(6, 5);
      }
      row.handler(plain.wave, step);
      row.wide(wide.wave, step);
      INFO("AMLM_TEST_SEED=" << seed << " " << text << " round " << round);
      for (u32 lane = 0; lane < 32; lane++) REQUIRE(wide.v(8, lane) == plain.v(8, lane));
    }
  }
}

}  // namespace amlm::isa::test
