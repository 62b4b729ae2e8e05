// DPP of every row: an instruction whose first source comes through DPP must leave what the same instruction leaves with a
// register into which v_mov_b32_dpp has brought those lanes.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/isa/alu_bench.h"
#include "tests/isa/samples.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

constexpr u32 vgpr_0 = 256, first_source = 10, moved = 12, result = 40;

bool is_dpp16(Encoding encoding) { return encoding == Encoding::dpp16 || encoding == Encoding::vop3_dpp16; }
bool is_dpp(Encoding encoding) {
  return is_dpp16(encoding) || encoding == Encoding::dpp8 || encoding == Encoding::vop3_dpp8;
}

bool has_dpp_form(const OpInfo& op) {
  static constexpr Format formats[] = {Format::vop1, Format::vop2,   Format::vopc,
                                       Format::vop3, Format::vop3sd, Format::vop3p};
  return std::ranges::find(formats, op.format) != std::end(formats) && op.executed && modifiers(op).dpp;
}

// A DPP instruction of the row with registers of its own, all lanes on and every lane with a source.
bool dpp_instruction(Random& random, Opcode opcode, Instruction& in) {
  for (u32 attempt = 0; attempt < 200; ++attempt) {
    if (!random_instruction(random, opcode, in) || !is_dpp(in.encoding)) continue;
    in.src[0].code = vgpr_0 + first_source;
    for (u32 i = 1; i < 4; ++i)
      if (in.src[i].is_vgpr()) in.src[i].code = u16(vgpr_0 + 16 + 4 * i);
    if (in.dst.is_vgpr()) in.dst.code = vgpr_0 + result;
    static constexpr u16 rows_of_16[] = {0x120, 0x150, 0x160}, mirrors[] = {0x140, 0x141};   // row_ror, row_share, row_xmask
    if (is_dpp16(in.encoding)) switch (below(random, 4)) {
      case 0: in.dpp_ctrl = u16(below(random, 256)); break;                                 // quad_perm
      case 1: in.dpp_ctrl = mirrors[below(random, 2)]; break;
      default: in.dpp_ctrl = u16(rows_of_16[below(random, 3)] + 1 + below(random, 15));
    }
    in.row_mask = in.bank_mask = 0xf;
    return true;
  }
  return false;
}

// v_mov_b32_dpp of the first source.
Instruction move_of(const Instruction& in) {
  const u32 words[3] = {0x7e000200 | moved << 17 | (is_dpp16(in.encoding) ? 0xfa : 0xe9), 0, 0};
  Instruction move = *decode(words);
  move.src[0].code = vgpr_0 + first_source;
  move.dpp_ctrl = in.dpp_ctrl;
  move.dpp8_select = in.dpp8_select;
  move.fetch_inactive = in.fetch_inactive;
  move.bound_ctrl = in.bound_ctrl;
  move.row_mask = move.bank_mask = 0xf;
  return move;
}

Instruction without_dpp(const Instruction& in) {
  Instruction plain = in;
  const bool native = in.encoding == Encoding::dpp8 || in.encoding == Encoding::dpp16;
  const bool vop3 = !native || (info(in.opcode).format != Format::vop3p && (in.neg | in.abs) != 0);
  plain.encoding = vop3 ? Encoding::vop3 : Encoding::native;
  plain.src[0].code = vgpr_0 + moved;
  plain.dpp_ctrl = 0;
  plain.dpp8_select = 0;
  plain.fetch_inactive = plain.bound_ctrl = false;
  return plain;
}

// False: it has no encoding.
bool run(Bench& bench, const Instruction& in) {
  Words words{};
  if (encode(in, words) == 0 || !decode(words)) return false;
  bench.run_words(words);
  return true;
}

void fill(Bench& bench, u64 seed) {
  Random random(seed);
  for (u32 n = 0; n < Bench::registers; ++n)
    for (u32 lane = 0; lane < 32; ++lane) bench.v(n, lane) = u32(random());
  for (u32 n = 0; n < 106; ++n) bench.s(n) = u32(random());
  bench.s(106) = u32(random());   // VCC
}

bool same(Bench& a, Bench& b) {
  for (u32 n = 0; n < Bench::registers; ++n)
    for (u32 lane = 0; lane < 32; ++lane)
      if (a.v(n, lane) != b.v(n, lane)) return false;
  for (u32 n = 0; n < 128; ++n)
    if (a.s(n) != b.s(n)) return false;
  return true;
}

enum class Moves { right, wrong };

// Rows whose DPP form differs; `compared` gets the rows that were compared.
std::set<std::string> differing(u64 seed, Moves moves, std::set<std::string>& compared) {
  Random random(seed);
  std::set<std::string> different;
  for (u32 row = 0; row < opcode_count; ++row) {
    if (!has_dpp_form(info(Opcode(row))) || Opcode(row) == Opcode::v_pk_fmac_f16) continue;
    for (u32 i = 0; i < 12; ++i) {
      Instruction in;
      if (!dpp_instruction(random, Opcode(row), in)) continue;
      const u64 values = random();
      Bench with, without;
      fill(with, values);
      fill(without, values);
      Instruction move = move_of(in);
      if (moves == Moves::wrong) move.src[0].code++;
      if (!run(with, move) || !run(without, move) || !run(with, in) || !run(without, without_dpp(in))) continue;
      if (with.wave.faulted() && without.wave.faulted()) continue;
      compared.insert(std::string(info(in.opcode).name));
      if (with.wave.faulted() != without.wave.faulted() || !same(with, without)) different.insert(print(in));
    }
  }
  return different;
}

}  // namespace

TEST_CASE("DPP of every row: as v_mov_b32_dpp and the plain instruction") {
  const char* given = std::getenv("AMLM_TEST_SEED");
  const u64 seed = given ? std::strtoull(given, nullptr, 0) : 1;
  CAPTURE(seed);
  std::set<std::string> compared;
  for (const std::string& instruction : differing(seed, Moves::right, compared)) {
    CAPTURE(instruction);
    CHECK(false);
  }
  for (u32 row = 0; row < opcode_count; ++row) {
    const std::string name(info(Opcode(row)).name);
    CAPTURE(name);
    if (has_dpp_form(info(Opcode(row)))) CHECK((compared.contains(name) || name == "v_pk_fmac_f16"));
  }
}

TEST_CASE("DPP of v_pk_fmac_f16, which does not work on RDNA3, is a fault") {
  Random random(1);
  Instruction in;
  REQUIRE(dpp_instruction(random, Opcode::v_pk_fmac_f16, in));
  Bench bench;
  REQUIRE(run(bench, in));
  REQUIRE(bench.wave.faulted());
  CHECK(bench.wave.fault->kind == "undefined");
}

TEST_CASE("canary: other lanes moved are noticed") {
  std::set<std::string> compared;
  CHECK(differing(1, Moves::wrong, compared).size() > compared.size());
}
