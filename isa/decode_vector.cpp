// VOP1, VOP2, VOPC and their VOP3 forms, VOP3, VOP3SD, VOP3P, VOPD, and the DPP dword.
#include "isa/decoder.h"

namespace amlm::isa {
namespace {

constexpr u32 dpp8_code = 0xe9, dpp8_fetch_inactive_code = 0xea, dpp16_code = 0xfa;

bool valid_dpp16_control(u32 control) {
  if (control <= 0xff) return true;                                       // quad_perm
  const u32 kind = control >> 4, count = control & 15;
  if (kind == 0x10 || kind == 0x11 || kind == 0x12) return count != 0;    // row_shl, row_shr, row_ror
  if (kind == 0x14) return count <= 1;                                    // row_mirror, row_half_mirror
  return kind == 0x15 || kind == 0x16;                                    // row_share, row_xmask
}

bool is_dpp(u32 code) { return code == dpp8_code || code == dpp8_fetch_inactive_code || code == dpp16_code; }

}  // namespace

// The DPP dword follows the instruction's own; src0 is a VGPR in it. `native`: 16-bit operands choose their half by
// the register's bit 7, and DPP16 has NEG and ABS; in VOP3 form both stand in the VOP3 words.
bool Decoder::dpp(u32 code, bool native) {
  if (!modifiers(*op).dpp) return fail("%s has no DPP form", op->name.data());
  const u32 at = in.size_dw;
  if (!need(at + 1)) return false;
  const bool eight = code != dpp16_code;
  if (native) in.encoding = eight ? Encoding::dpp8 : Encoding::dpp16;
  else in.encoding = in.encoding == Encoding::native ? (eight ? Encoding::dpp8 : Encoding::dpp16)
                                                     : (eight ? Encoding::vop3_dpp8 : Encoding::vop3_dpp16);
  if (op->src_count) {
    const u32 field = take(at, 0, 8);
    const Type type = op->src[0].type;
    if (!(native ? half_vgpr(in.src[0], field, type, 0) : vgpr(in.src[0], field, dwords_of(type)))) return false;
  }
  if (eight) {
    in.fetch_inactive = code == dpp8_fetch_inactive_code;
    in.dpp8_select = take(at, 8, 24);
    return true;
  }
  return dpp16(at, native);
}

bool Decoder::dpp16(u32 at, bool native) {
  in.dpp_ctrl = u16(take(at, 8, 9));
  if (!valid_dpp16_control(in.dpp_ctrl)) return fail("DPP control 0x%x is not defined", in.dpp_ctrl);
  in.fetch_inactive = take(at, 18, 1);
  in.bound_ctrl = take(at, 19, 1);
  in.bank_mask = u8(take(at, 24, 4));
  in.row_mask = u8(take(at, 28, 4));
  if (!native) return true;
  const Modifiers allowed = modifiers(*op);
  for (u32 i = 0; i < 2; ++i) {
    if (allowed.neg >> i & 1) in.neg |= u8(take(at, 20 + 2 * i, 1) << i);
    if (allowed.abs >> i & 1) in.abs |= u8(take(at, 21 + 2 * i, 1) << i);
  }
  return true;
}

bool Decoder::native_source0(u32 code) {
  if (is_dpp(code)) return dpp(code, true);
  const OperandInfo expected = op->src[0];
  if (code >= code_vgpr0 && is_half_type(expected.type))
    return half_vgpr(in.src[0], code - code_vgpr0, expected.type, 0);
  return source(in.src[0], code, expected, 0);
}

bool Decoder::vop1() {
  if (!row(Format::vop1, take(0, 9, 8))) return false;
  if (op->dst_count) {
    const OperandInfo dst = op->dst[0];
    const u32 field = take(0, 17, 8);
    if (dst.where == Where::scalar ? field >= 128 || !scalar_register(in.dst, field, dwords_of(dst.type))
                                   : !half_vgpr(in.dst, field, dst.type, 3))
      return fail("%s: destination %u is no SGPR", op->name.data(), field);
  }
  return op->src_count == 0 || native_source0(take(0, 0, 9));
}

bool Decoder::vop2() {
  if (!row(Format::vop2, words[0] >> 25)) return false;
  if (!half_vgpr(in.dst, take(0, 17, 8), op->dst[0].type, 3)) return false;
  if (op->dst_count > 1) implied(in.sdst, code_vcc_lo);
  if (!native_source0(take(0, 0, 9))) return false;
  u32 vsrc1 = 1;                         // fmamk: the literal is source 1, VSRC1 source 2
  for (u32 i = 1; i < op->src_count; ++i) {
    const OperandInfo expected = op->src[i];
    if (is_literal(expected.type)) {
      if (!source(in.src[i], code_literal, expected, i)) return false;
      if (i == 1) vsrc1 = 2;
    } else if (expected.type == Type::MASK) {
      implied(in.src[i], code_vcc_lo);
    } else if (i == vsrc1 && !half_vgpr(in.src[i], take(0, 9, 8), expected.type, i)) {
      return false;
    }
  }
  return true;
}

bool Decoder::vopc() {
  if (!row(Format::vopc, take(0, 17, 8))) return false;
  implied(in.dst, op->effects.writes_special(Special::EXEC) ? code_exec_lo : code_vcc_lo);
  return native_source0(take(0, 0, 9)) && half_vgpr(in.src[1], take(0, 9, 8), op->src[1].type, 1);
}

bool Decoder::vop3_destination(u32 field) {
  const OperandInfo dst = op->dst[0];
  if (dst.type != Type::MASK && dst.where != Where::scalar) return vgpr(in.dst, field, dwords_of(dst.type));
  if (op->effects.writes_special(Special::EXEC) && field != code_exec_lo)
    return fail("%s writes EXEC: VDST must say so", op->name.data());
  if (field >= 128) return fail("scalar destination %u does not exist", field);
  return scalar_register(in.dst, field, 1);
}

// In VOP3 form the NEG and ABS of the DPP16 dword do nothing (guide 7.7); Mesa writes copies of VOP3's there.
void Decoder::copies_in_dpp16() {
  for (u32 i = 0; i < 2; ++i) {
    if (in.neg >> i & 1) take(2, 20 + 2 * i, 1);
    if (in.abs >> i & 1) take(2, 21 + 2 * i, 1);
  }
}

// VOP3, VOP3SD and VOP3P have the same second dword: three sources of 9 bits, then OMOD or OPSEL_HI, then NEG.
bool Decoder::vop3_sources(bool packed) {
  bool by_dpp = false;
  for (u32 i = 0; i < 3; ++i) {
    const u32 code = words[1] >> 9 * i & 0x1ff;
    // Mesa writes the constant 0 into the unused third source of two-operand instructions, or the accumulator.
    const bool accumulator = op->reads_dst && in.dst.is_vgpr() && code == in.dst.code;
    if (i >= op->src_count && code != code_zero && !accumulator) continue;
    take(1, 9 * i, 9);
    if (i >= op->src_count) continue;
    if (i == 0 && is_dpp(code)) {
      by_dpp = true;
      if (!dpp(code, false)) return false;
    } else if (by_dpp && (code == code_literal || (i == 1 && op->src[1].type == Type::MIX && code < code_vgpr0))) {
      return fail("source %u of a DPP instruction cannot be %u", i, code);
    } else if (!source(in.src[i], code, op->src[i], i)) {
      return false;
    }
  }
  const Modifiers allowed = modifiers(*op);
  for (u32 i = 0; i < 3; ++i) {
    if (allowed.neg >> i & 1) in.neg |= u8(take(1, 29 + i, 1) << i);
    if (allowed.opsel >> i & 1) in.opsel |= u8(take(0, 11 + i, 1) << i);
    if (packed && allowed.neg_hi >> i & 1) in.neg_hi |= u8(take(0, 8 + i, 1) << i);
  }
  if (allowed.clamp) in.clamp = take(0, 15, 1);
  if (in.encoding == Encoding::dpp16 || in.encoding == Encoding::vop3_dpp16) copies_in_dpp16();
  return true;
}

bool Decoder::vop3() {
  const u32 number = take(0, 16, 10);
  const auto found = lookup_vop3(number);
  if (!found) return fail("no VOP3 instruction has opcode 0x%x", number);
  adopt(*found);
  const Modifiers allowed = modifiers(*op);
  const bool own = op->format == Format::vop3 || op->format == Format::vop3sd;
  if (!own && !allowed.vop3) return fail("%s has no VOP3 form", op->name.data());
  if (!own) in.encoding = Encoding::vop3;
  if (!need(2)) return false;
  if (op->dst_count && !vop3_destination(take(0, 0, 8))) return false;
  if (op->dst_count > 1) {               // VOP3SD: SDST in place of ABS and OPSEL
    if (!scalar_register(in.sdst, take(0, 8, 7), 1)) return false;
  } else {
    for (u32 i = 0; i < 3; ++i)
      if (allowed.abs >> i & 1) in.abs |= u8(take(0, 8 + i, 1) << i);
    if (allowed.opsel & 8) in.opsel |= u8(take(0, 14, 1) << 3);
  }
  if (allowed.omod) in.omod = u8(take(1, 27, 2));
  return vop3_sources(false);
}

bool Decoder::vop3p() {
  if (take(0, 23, 3) != 0) return fail("no format has the top bits 0x%x", words[0] >> 23);
  if (!row(Format::vop3p, take(0, 16, 7)) || !need(2)) return false;
  in.opsel_hi = u8(take(1, 27, 2) | take(0, 14, 1) << 2);
  return vop3_destination(take(0, 0, 8)) && vop3_sources(true);
}

bool Decoder::vopd_half(Opcode& opcode, Operand& dst, std::span<Operand, 3> src, u32 number, u32 src0, u32 vsrc1,
                        u32 vdst) {
  const auto found = lookup(Format::vopd, number);
  if (!found) return fail("no VOPD instruction has opcode %u", number);
  opcode = *found;
  const OpInfo& half = info(*found);
  if (!vgpr(dst, vdst, 1) || !source(src[0], src0, half.src[0], 0)) return false;
  bool vsrc1_taken = false;
  for (u32 i = 1; i < half.src_count; ++i) {
    const OperandInfo expected = half.src[i];
    if (is_literal(expected.type)) {
      if (!source(src[i], code_literal, expected, i)) return false;
    } else if (expected.type == Type::MASK) {
      implied(src[i], code_vcc_lo);
    } else {
      vsrc1_taken = true;
      if (!vgpr(src[i], vsrc1, 1)) return false;
    }
  }
  return vsrc1_taken || vsrc1 == 0 || fail("%s takes no second source", half.name.data());
}

bool Decoder::vopd() {
  if (!need(2)) return false;
  const u32 x = take(0, 22, 4), y = take(0, 17, 5);
  if (x > 13) return fail("no VOPD instruction has opcode %u in its first half", x);
  const u32 vdst_x = take(1, 24, 8);
  const u32 vdst_y = take(1, 17, 7) << 1 | (~vdst_x & 1);   // one destination is even, one odd
  Operand src[3];
  if (!vopd_half(in.opcode, in.dst, std::span<Operand, 3>(src), x, take(0, 0, 9), take(0, 9, 8), vdst_x)) return false;
  for (u32 i = 0; i < 3; ++i) in.src[i] = src[i];
  adopt(in.opcode);
  return vopd_half(in.y_opcode, in.y_dst, in.y_src, y, take(1, 0, 9), take(1, 9, 8), vdst_y);
}

}  // namespace amlm::isa
