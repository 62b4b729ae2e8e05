// Source modifiers of every row: an instruction with DPP, NEG, ABS and half selects must leave what the plain instruction
// leaves with registers into which those values were put beforehand. What DPP brings comes from v_mov_b32_dpp.
#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/isa/alu_bench.h"
#include "tests/isa/samples.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

constexpr u32 vgpr_0 = 256, first_source = 10, first_prepared = 20, apart = 2, result = 40;

bool is_dpp16(Encoding encoding) { return encoding == Encoding::dpp16 || encoding == Encoding::vop3_dpp16; }
bool is_dpp(Encoding encoding) {
  return is_dpp16(encoding) || encoding == Encoding::dpp8 || encoding == Encoding::vop3_dpp8;
}
bool bit(u32 bits, u32 i) { return (bits >> i & 1) != 0; }

// Vector rows whose result is that of their sources lane by lane. v_pk_fmac_f16 with DPP: below.
bool is_compared(Opcode opcode) {
  static constexpr Format formats[] = {Format::vop1, Format::vop2,   Format::vopc,
                                       Format::vop3, Format::vop3sd, Format::vop3p};
  const OpInfo& op = info(opcode);
  const bool tuples = std::ranges::any_of(op.src, [](const OperandInfo& s) { return info(s.type).bits > 64; });
  return std::ranges::find(formats, op.format) != std::end(formats) && op.executed && op.src_count > 0 && !tuples &&
         op.op_class != OpClass::wmma && !op.effects.has(Flag::CROSS_LANE) && !op.effects.has(Flag::SWAPS);
}

// Registers of their own, every lane with a DPP source, nothing that is undefined.
void tame(Random& random, Instruction& in) {
  const OpInfo& op = info(in.opcode);
  for (u32 k = 0; k < 4; ++k)
    if (in.src[k].is_vgpr()) in.src[k].code = u16(vgpr_0 + first_source + apart * k);
  if (in.dst.is_vgpr()) in.dst.code = vgpr_0 + result;
  static constexpr u16 of_16[] = {0x120, 0x150, 0x160}, mirrors[] = {0x140, 0x141};   // row_ror, row_share, row_xmask
  if (is_dpp16(in.encoding)) switch (below(random, 4)) {
    case 0: in.dpp_ctrl = u16(below(random, 256)); break;                             // quad_perm
    case 1: in.dpp_ctrl = mirrors[below(random, 2)]; break;
    default: in.dpp_ctrl = u16(of_16[below(random, 3)] + 1 + below(random, 15));
  }
  in.row_mask = in.bank_mask = 0xf;
  for (u32 k = 0; k < op.src_count; ++k) {
    const Type type = op.src[k].type;
    const u8 rest = u8(~(1u << k));
    const bool halves = type == Type::B16X2 || type == Type::U16X2 || type == Type::I16X2 ||
                        info(type).kind == Kind::packed_floating;
    if (op.format != Format::vop3p) {
      if (halves) in.neg &= rest, in.abs &= rest;
    } else if (type == Type::F32) {
      in.neg_hi &= rest;
    } else if (!halves && type != Type::MIX) {   // of bytes and nibbles: OPSEL keeps its default, NEG is the sign
      in.opsel &= rest;
      in.opsel_hi |= u8(1u << k);
    }
  }
}

// v_mov_b32_dpp of the first source to the first prepared register.
Instruction move_of(const Instruction& in) {
  const u32 words[3] = {0x7e000200 | first_prepared << 17 | (is_dpp16(in.encoding) ? 0xfa : 0xe9), 0, 0};
  Instruction move = *decode(words);
  move.src[0].code = vgpr_0 + first_source;
  move.dpp_ctrl = in.dpp_ctrl;
  move.dpp8_select = in.dpp8_select;
  move.fetch_inactive = in.fetch_inactive;
  move.bound_ctrl = in.bound_ctrl;
  move.row_mask = move.bank_mask = 0xf;
  return move;
}

// The value of source k once its modifiers have been applied: `low` and `high` are its registers.
void apply(const Instruction& in, u32 k, u32& low, u32& high) {
  const OpInfo& op = info(in.opcode);
  const Type type = op.src[k].type;
  const bool packed = op.format == Format::vop3p, neg = bit(in.neg, k), neg_hi = bit(in.neg_hi, k);
  if (type == Type::MIX) {
    const u16 half = u16(bit(in.opsel, k) ? low >> 16 : low);
    if (bit(in.opsel_hi, k)) low = std::bit_cast<u32>(f32(std::bit_cast<_Float16>(half)));
    low = (neg_hi ? low & 0x7fffffff : low) ^ (neg ? 0x80000000 : 0);
  } else if (packed && info(type).bits == 32 && info(type).kind != Kind::floating) {
    const bool signs = info(type).kind == Kind::packed_floating;
    const u32 a = bit(in.opsel, k) ? low >> 16 : low & 0xffff, b = bit(in.opsel_hi, k) ? low & 0xffff0000 : low << 16;
    low = (a | b) ^ (signs && neg ? 0x8000 : 0) ^ (signs && neg_hi ? 0x80000000 : 0);
  } else if (packed) {
    low ^= neg && info(type).kind == Kind::floating ? 0x80000000 : 0;
  } else {
    const u32 bits = info(type).bits, sign = bits == 16 ? 0x8000 : 0x80000000;
    if (bits == 16) low = bit(in.opsel, k) ? low >> 16 : low & 0xffff;
    u32& top = bits == 64 ? high : low;
    top = (bit(in.abs, k) ? top & ~sign : top) ^ (neg ? sign : 0);
  }
}

Instruction plain_of(const Instruction& in) {
  const OpInfo& op = info(in.opcode);
  Instruction plain = in;
  const bool promoted = in.encoding == Encoding::vop3 || in.encoding == Encoding::vop3_dpp8 ||
                        in.encoding == Encoding::vop3_dpp16;
  plain.encoding = promoted ? Encoding::vop3 : Encoding::native;
  plain.dpp_ctrl = 0;
  plain.dpp8_select = 0;
  plain.fetch_inactive = plain.bound_ctrl = false;
  for (u32 k = 0; k < op.src_count; ++k) {
    if (!in.src[k].is_vgpr()) continue;
    plain.src[k].code = u16(vgpr_0 + first_prepared + apart * k);
    const u8 rest = u8(~(1u << k));
    const bool integers = info(op.src[k].type).kind == Kind::packed_integer;
    if (!integers || info(op.src[k].type).bits == 16) plain.neg &= rest, plain.abs &= rest, plain.neg_hi &= rest;
    if (op.format == Format::vop3p || info(op.src[k].type).bits == 16) plain.opsel &= rest;
    if (op.format != Format::vop3p) continue;
    plain.opsel_hi &= rest;
    if (op.src[k].type != Type::MIX) plain.opsel_hi |= u8(1u << k);
  }
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

enum class Planted { nothing, other_lanes, other_sign };

void prepare(Bench& bench, const Instruction& in, Planted planted) {
  for (u32 k = 0; k < info(in.opcode).src_count; ++k) {
    if (!in.src[k].is_vgpr()) continue;
    const u32 from = first_source + apart * k, to = first_prepared + apart * k;
    std::memcpy(&bench.v(to), &bench.v(from), sizeof(u32) * 32);
    std::memcpy(&bench.v(to + 1), &bench.v(from + 1), sizeof(u32) * 32);
    if (k == 0 && is_dpp(in.encoding)) run(bench, move_of(in));
    for (u32 lane = 0; lane < 32; ++lane) {
      apply(in, k, bench.v(to, lane), bench.v(to + 1, lane));
      if (planted == Planted::other_sign) bench.v(to, lane) ^= 0x80008000, bench.v(to + 1, lane) ^= 0x80000000;
    }
    if (planted == Planted::other_lanes) std::rotate(&bench.v(to), &bench.v(to) + 1, &bench.v(to) + 32);
  }
}

bool same(Bench& a, Bench& b) {
  for (u32 n = 0; n < Bench::registers; ++n)
    for (u32 lane = 0; lane < 32; ++lane)
      if (a.v(n, lane) != b.v(n, lane)) return false;
  for (u32 n = 0; n < 128; ++n)
    if (a.s(n) != b.s(n)) return false;
  return true;
}

struct Found {
  std::set<std::string> rows, with_dpp, different;
};
Found compare_rows(u64 seed, Planted planted) {
  Random random(seed);
  Found found;
  for (u32 row = 0; row < opcode_count; ++row) {
    if (!is_compared(Opcode(row))) continue;
    for (u32 i = 0; i < 40; ++i) {
      Instruction in;
      if (!random_instruction(random, Opcode(row), in)) continue;
      if (in.opcode == Opcode::v_pk_fmac_f16 && is_dpp(in.encoding)) continue;
      tame(random, in);
      const u64 values = random();
      Bench with, without;
      fill(with, values);
      fill(without, values);
      prepare(with, in, planted);
      prepare(without, in, planted);
      if (!run(with, in) || !run(without, plain_of(in))) continue;
      if (with.wave.faulted() && without.wave.faulted()) continue;
      const std::string name(info(in.opcode).name);
      found.rows.insert(name);
      if (is_dpp(in.encoding)) found.with_dpp.insert(name);
      if (with.wave.faulted() != without.wave.faulted() || !same(with, without)) found.different.insert(print(in));
    }
  }
  return found;
}

}  // namespace

TEST_CASE("modifiers of every row: as the plain instruction on prepared registers") {
  const u64 seed = test_seed(1);
  CAPTURE(seed);
  const Found found = compare_rows(seed, Planted::nothing);
  for (const std::string& instruction : found.different) {
    CAPTURE(instruction);
    CHECK(false);
  }
  for (u32 row = 0; row < opcode_count; ++row) {
    if (!is_compared(Opcode(row))) continue;
    const std::string name(info(Opcode(row)).name);
    CAPTURE(name);
    CHECK(found.rows.contains(name));
    if (modifiers(info(Opcode(row))).dpp) CHECK((found.with_dpp.contains(name) || name == "v_pk_fmac_f16"));
  }
}

TEST_CASE("DPP of v_pk_fmac_f16, which does not work on RDNA3, is a fault") {
  Random random(1);
  Instruction in;
  do REQUIRE(random_instruction(random, Opcode::v_pk_fmac_f16, in));
  while (!is_dpp(in.encoding));
  tame(random, in);
  Bench bench;
  REQUIRE(run(bench, in));
  REQUIRE(bench.wave.faulted());
  CHECK(bench.wave.fault->kind == "undefined");
}

TEST_CASE("canary: other lanes and other signs in the prepared registers are noticed") {
  for (const Planted planted : {Planted::other_lanes, Planted::other_sign}) {
    const Found found = compare_rows(1, planted);
    CHECK(found.different.size() > found.rows.size());
  }
}
