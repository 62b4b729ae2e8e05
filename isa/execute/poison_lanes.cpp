// Poison through vector ALU instructions: sources are fetched as lanes.cpp does it (DPP, halves, masks), each lane's result
// bits come from poison_of_lane.
#include <algorithm>
#include <bit>

#include "isa/execute/group.h"
#include "isa/execute/lanes.h"
#include "isa/execute/poison.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

bool is_16_bits(Type type) { return info(type).bits == 16; }
bool is_packed(Type type) {
  return info(type).bits == 32 &&
         (type == Type::B16X2 || type == Type::U16X2 || type == Type::I16X2 || type == Type::F16X2 || type == Type::BF16X2);
}

}  // namespace

// One half's results before they are written.
struct PoisonState::Half {
  std::array<u64, half_lanes> bits{};
  std::array<u32, half_lanes> origin{};
  u32 mask_bits = 0, mask_origin = 0;     // of a compare or carry
  u32 write = ~0u;                        // lanes that DPP lets be written
};

// Source `index` of 32 lanes; the instruction's half select and DPP applied. `type` is its row's.
void PoisonState::fetch(Wave& wave, const Instruction& in, const Operand& operand, u32 type_number, u32 index, Fetched& to,
                        u32& write) {
  const Type type = Type(type_number);
  constexpr u32 old_destination = 4;
  if (type == Type::MASK) {
    const u32 values = read_mask(wave, operand, in);
    const Poison poison = operand.code < 128 ? sgpr_[operand.code + wave.half] : Poison{};
    for (u32 i = 0; i < half_lanes; ++i) {
      to.value_low[i] = values >> i & 1;
      to.bits_low[i] = poison.bits >> i & 1 ? ~0u : 0;
      to.origin[i] = poison.origin;
    }
    return;
  }
  const bool wide = info(type).bits == 64;
  if (operand.is_vgpr()) {
    const u32 n = operand.vgpr(), half = wave.half;
    to.bits_low = bits_[half][n];
    to.value_low = wave.vgpr_base[half][n];
    to.origin = origin_[half][n];
    for (u32 v = 1; v < operand.count_dw; ++v) {
      const auto& bits = bits_[half][n + v];
      for (u32 i = 0; i < half_lanes; ++i) {
        if (bits[i] && !to.origin[i]) to.origin[i] = origin_[half][n + v][i];
        to.bits_high[i] |= bits[i];
      }
    }
    if (wide) to.value_high = wave.vgpr_base[half][n + 1];
  } else {
    const u64 value = wide ? scalar_wide(wave, operand.code, in, info(type).kind) : wave.scalar(operand.code, in);
    const Poison low = scalar_source(operand.code), high = wide && operand.code < 127 ? scalar_source(u16(operand.code + 1))
                                                                                      : Poison{};
    to.value_low.fill(u32(value));
    to.value_high.fill(u32(value >> 32));
    to.bits_low.fill(low.bits);
    to.bits_high.fill(wide ? high.bits : 0);
    to.origin.fill(low.bits ? low.origin : high.origin);
  }
  if (index == 0 && in.encoding != Encoding::native && in.encoding != Encoding::vop3) {
    for (auto* lanes : {&to.bits_low, &to.bits_high, &to.value_low, &to.value_high, &to.origin}) {
      u32 allowed = ~0u;
      if (!dpp_lanes(wave, in, lanes->data(), lanes->data(), allowed)) return;
      write = allowed;
    }
  }
  u32 half_select = 0;     // 0: whole, 1: low, 2: high
  if (is_16_bits(type)) half_select = (index == old_destination ? in.opsel & 8 : in.opsel >> index & 1) ? 2 : 1;
  if (type == Type::MIX && in.opsel_hi >> index & 1) half_select = in.opsel >> index & 1 ? 2 : 1;
  if (!half_select) return;
  for (auto* lanes : {&to.bits_low, &to.value_low})
    for (u32& word : *lanes) word = half_select == 2 ? word >> 16 : word & 0xffff;
}

// Results of one half of the wave; of X or Y of a dual instruction.
void PoisonState::pass_half(Wave& wave, const Step& step, Part part, Half& half) {
  const Instruction& in = step.in;
  const bool y = part == Part::y;
  const Opcode opcode = y ? in.y_opcode : in.opcode;
  const OpInfo& op = info(opcode);
  std::array<Fetched, 5> sources;
  u32 count = 0;
  const auto add = [&](const Operand& operand, Type type, u32 index) {
    fetch(wave, in, operand, u32(type), index, sources[count++], half.write);
  };
  for (u32 i = 0; i < (y ? in.y_src.size() : in.src.size()); ++i) {
    const Operand& operand = y ? in.y_src[i] : in.src[i];
    if (operand.present()) add(operand, op.src[i].type, i);
  }
  constexpr u32 old_destination = 4;
  if (op.reads_dst) add(y ? in.y_dst : in.dst, op.dst[0].type, old_destination);
  if (op.effects.reads_special(Special::VCC)) add({code_vcc_lo, 1}, Type::MASK, old_destination);
  check(count <= 4, "a vector instruction has at most 4 sources");
  const bool compares = in.format == Format::vopc, whole_halves = opcode == Opcode::v_pk_fmac_f16;   // VOP2: no OPSEL
  const bool packed = whole_halves || (in.format == Format::vop3p && is_packed(op.dst[0].type));
  const u32 exec = wave.exec();
  for (u32 left = exec; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    LaneOperands operands;
    operands.count = count;
    u64 any = 0;
    for (u32 k = 0; k < count; ++k) {
      operands.poison[k] = sources[k].bits_low[lane] | u64(sources[k].bits_high[lane]) << 32;
      operands.value[k] = sources[k].value_low[lane] | u64(sources[k].value_high[lane]) << 32;
      if (operands.poison[k] && !any) half.origin[lane] = sources[k].origin[lane];
      any |= operands.poison[k];
    }
    if (!any) continue;
    if (compares) {
      if (!poison_of_compare(opcode, operands)) continue;
      half.mask_bits |= 1u << lane;
      half.mask_origin = half.origin[lane];
      continue;
    }
    if (packed) {
      u64 low = 0, high = 0;
      for (u32 k = 0; k < count; ++k) {
        low |= operands.poison[k] >> (in.opsel >> k & 1 ? 16 : 0) & 0xffff;
        high |= operands.poison[k] >> (whole_halves || in.opsel_hi >> k & 1 ? 16 : 0) & 0xffff;
      }
      half.bits[lane] = (low ? 0xffff : 0) | (high ? 0xffff0000 : 0);
      continue;
    }
    half.bits[lane] = poison_of_lane(in, opcode, operands);
    if (info(op.dst[0].type).kind != Kind::bits) half.origin[lane] &= ~Origins::out_of_scratch;
    if (in.sdst.present()) half.mask_bits |= 1u << lane, half.mask_origin = half.origin[lane];
  }
}

bool PoisonState::commit_mask(Wave& wave, u16 code, u32 half_index, u32 bits, u32 origin) {
  if (code == code_null) return true;
  if (bits && code == code_exec_lo) return refuse_exec(wave, origin);
  set_sgpr(u16(code + half_index), {bits, bits ? origin : 0});
  return true;
}

void PoisonState::commit(Wave& wave, const Instruction& in, const Operand& dst, u32 type_number, const Half& half,
                         u32 half_index) {
  const Type type = Type(type_number);
  const OpInfo& op = info(in.opcode);
  u32 part = ~0u, shift = 0;     // of the register that is written
  if (is_16_bits(type) && in.format != Format::vopd) {
    const bool high = op.effects.has(Flag::D16_HI) || (in.format != Format::vop3p && in.opsel & 8);
    part = high ? 0xffff0000u : 0xffffu;
    shift = high ? 16 : 0;
  }
  for (u32 left = wave.sgpr[code_exec_lo + half_index] & half.write; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    for (u32 v = 0; v < dst.count_dw; ++v) {
      const u32 word = v == 0 ? u32(half.bits[lane]) : dst.count_dw == 2 ? u32(half.bits[lane] >> 32)
                                                                        : half.bits[lane] ? ~0u : 0;
      Poison now{word << shift & part, half.origin[lane]};
      if (part != ~0u) {
        const Poison old = vgpr(half_index, dst.vgpr() + v, lane);
        if (!now.bits) now.origin = old.origin;
        now.bits |= old.bits & ~part;
      }
      set_vgpr(half_index, dst.vgpr() + v, lane, now);
    }
  }
}

bool PoisonState::pass_lanes(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 halves = wave.lanes / half_lanes;
  std::array<Half, 2> results;
  for (wave.half = 0; wave.half < halves; ++wave.half) pass_half(wave, step, Part::only, results[wave.half]);
  wave.half = 0;
  for (u32 half = 0; half < halves; ++half) {
    const Half& result = results[half];
    const u32 mask = result.mask_bits & result.write;
    if (in.format == Format::vopc) {
      if (!commit_mask(wave, in.dst.code, half, mask, result.mask_origin)) return false;
      continue;
    }
    if (in.dst.present()) commit(wave, in, in.dst, u32(info(in.opcode).dst[0].type), result, half);
    if (in.sdst.present() && !commit_mask(wave, in.sdst.code, half, mask, result.mask_origin)) return false;
  }
  return true;
}

bool PoisonState::pass_dual(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 halves = wave.lanes / half_lanes;
  for (u32 half = 0; half < halves; ++half) {
    wave.half = half;
    Half x, y;
    pass_half(wave, step, Part::x, x);
    pass_half(wave, step, Part::y, y);
    commit(wave, in, in.dst, u32(Type::B32), x, half);
    commit(wave, in, in.y_dst, u32(Type::B32), y, half);
  }
  wave.half = 0;
  return true;
}

}  // namespace amlm::isa
