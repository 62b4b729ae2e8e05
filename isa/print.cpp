// print(): llvm-mc's syntax, so that the text assembles to the bytes it came from.
#include <cstdarg>

#include "isa/tables.h"

namespace amlm::isa {
namespace {

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) {
  char buffer[128];
  std::va_list list;
  va_start(list, format);
  std::vsnprintf(buffer, sizeof buffer, format, list);
  va_end(list);
  return buffer;
}

std::string range(const char* file, u32 first, u32 count) {
  return count == 1 ? text("%s%u", file, first) : text("%s[%u:%u]", file, first, first + count - 1);
}

std::string inline_constant(u32 code, Type type) {
  static constexpr const char* floats[] = {"0.5", "-0.5", "1.0", "-1.0", "2.0", "-2.0", "4.0", "-4.0"};
  if (code <= 192) return text("%u", code - 128);
  if (code <= 208) return text("-%u", code - 192);
  if (code < 248) return floats[code - 240];
  return info(type).bits == 64 ? "0.15915494309189532" : "0.15915494";
}

std::string scalar_name(u32 code, u32 count) {
  if (code < 106) return range("s", code, count);
  if (code >= 108 && code <= 123) return range("ttmp", code - 108, count);
  switch (code) {
    case 106: return count == 1 ? "vcc_lo" : "vcc";
    case 107: return "vcc_hi";
    case 124: return "null";
    case 125: return "m0";
    case 126: return count == 1 ? "exec_lo" : "exec";
    case 127: return "exec_hi";
    case 235: return "src_shared_base";
    case 236: return "src_shared_limit";
    case 237: return "src_private_base";
    case 238: return "src_private_limit";
    default: return "src_scc";
  }
}

struct Printer {
  const Instruction& in;
  const OpInfo& op;
  const u32 wave_lanes;
  std::string out;
  bool first = true;

  Printer(const Instruction& instruction, u32 lanes)
      : in(instruction), op(info(instruction.opcode)), wave_lanes(lanes) {}

  void add(const std::string& operand) {
    out += first ? " " : ", ";
    out += operand;
    first = false;
  }
  void flag(bool on, const char* word) {
    if (on) out += std::string(" ") + word;
  }
  std::string operand(const Operand& o, Type type) const {
    if (o.is_vgpr()) return range("v", o.vgpr(), o.count_dw);
    if (type == Type::MASK) return scalar_name(o.code, wave_lanes / 32);
    if (o.code == code_literal) return text("0x%x", in.literal);
    if ((o.code >= 128 && o.code <= 208) || (o.code >= 240 && o.code <= 248)) return inline_constant(o.code, type);
    return scalar_name(o.code, o.count_dw);
  }

  bool native_vector() const {
    const bool family = op.format == Format::vop1 || op.format == Format::vop2 || op.format == Format::vopc;
    const Encoding e = in.encoding;
    return family && (e == Encoding::native || e == Encoding::dpp8 || e == Encoding::dpp16);
  }
  // A 16-bit operand of a native encoding: v5 for the low half, v5.h for the high one.
  std::string half(const Operand& o, Type type, u32 bit) const {
    const bool named = in.opcode == Opcode::v_mov_b16 || in.opcode == Opcode::v_swap_b16;
    std::string name = operand(o, type);
    if (!o.is_vgpr() || info(type).bits != 16 || !native_vector()) return name;
    if (in.opsel >> bit & 1) return name + ".h";
    return named ? name + ".l" : name;
  }

  void mnemonic();
  std::string source(u32 i) const;
  void vector();
  void vector_modifiers();
  void packed_list(const char* name, u32 bits, u32 unless);
  void dpp();
  void vopd();
  void vopd_half(const OpInfo& half, const Operand& dst, std::span<const Operand> src);
  void scalar(u64 pc);
  std::string immediate(Type type) const;
  std::string waits() const;
  std::string delay() const;
  void smem();
  void ds();
  void flat();
  void buffer();
  void memory_bits() {
    flag(in.glc, "glc");
    flag(in.slc, "slc");
    flag(in.dlc, "dlc");
  }
};

void Printer::mnemonic() {
  out = op.name;
  const bool vop3_row = op.format == Format::vop3 || op.format == Format::vop3sd || op.format == Format::vop3p;
  switch (in.encoding) {
    case Encoding::native:
      if (native_vector() && modifiers(op).vop3 && in.opcode != Opcode::v_readfirstlane_b32) out += "_e32";
      break;
    case Encoding::vop3: out += "_e64"; break;
    case Encoding::dpp8: case Encoding::dpp16: out += vop3_row ? "_e64_dpp" : "_dpp"; break;
    default: out += "_e64_dpp";
  }
}

std::string Printer::source(u32 i) const {
  std::string name = half(in.src[i], op.src[i].type, i);
  const bool mix = op.src[i].type == Type::MIX;
  if (op.format == Format::vop3p && !mix) return name;
  const bool absolute = (mix ? in.neg_hi : in.abs) >> i & 1, negative = in.neg >> i & 1;
  if (absolute) name = "|" + name + "|";
  if (!negative) return name;
  // "-1.0" would be another constant.
  return absolute || in.src[i].is_vgpr() || in.src[i].code < 128 ? "-" + name : "neg(" + name + ")";
}

void Printer::vector() {
  mnemonic();
  const bool hidden = op.format == Format::vopc && op.effects.writes_special(Special::EXEC);
  if (in.dst.present() && !hidden) add(half(in.dst, op.dst[0].type, 3));
  if (in.sdst.present()) add(operand(in.sdst, Type::MASK));
  for (u32 i = 0; i < op.src_count; ++i) add(source(i));
  vector_modifiers();
  dpp();
}

void Printer::packed_list(const char* name, u32 bits, u32 unless) {
  if (bits == unless) return;
  out += text(" %s:[", name);
  for (u32 i = 0; i < op.src_count; ++i) out += text("%s%u", i ? "," : "", bits >> i & 1);
  out += "]";
}

void Printer::vector_modifiers() {
  if (op.format == Format::vop3p) {
    const bool mix = op.src[0].type == Type::MIX;
    const u32 all = (1u << op.src_count) - 1;
    packed_list("op_sel", in.opsel, 0);
    if (modifiers(op).opsel) packed_list("op_sel_hi", in.opsel_hi & all, mix ? 0 : all);
    if (!mix) packed_list("neg_lo", in.neg, 0);
    if (!mix) packed_list("neg_hi", in.neg_hi, 0);
  } else if (in.opsel && !native_vector()) {
    const bool permlane = op.effects.has(Flag::CROSS_LANE);
    out += " op_sel:[";
    for (u32 i = 0; i < (permlane ? 2u : op.src_count); ++i) out += text("%s%u", i ? "," : "", in.opsel >> i & 1u);
    out += permlane || op.format == Format::vopc ? "]" : text(",%u]", in.opsel >> 3 & 1u);
  }
  flag(in.clamp, "clamp");
  static constexpr const char* words[] = {"", "mul:2", "mul:4", "div:2"};
  flag(in.omod != 0, words[in.omod & 3]);
}

void Printer::dpp() {
  const bool eight = in.encoding == Encoding::dpp8 || in.encoding == Encoding::vop3_dpp8;
  const bool sixteen = in.encoding == Encoding::dpp16 || in.encoding == Encoding::vop3_dpp16;
  if (eight) {
    out += " dpp8:[";
    for (u32 i = 0; i < 8; ++i) out += text("%s%u", i ? "," : "", in.dpp8_select >> 3 * i & 7);
    out += "]";
    flag(in.fetch_inactive, "fi:1");
  }
  if (!sixteen) return;
  const u32 control = in.dpp_ctrl, count = control & 15;
  switch (control >> 4) {
    case 0x10: out += text(" row_shl:%u", count); break;
    case 0x11: out += text(" row_shr:%u", count); break;
    case 0x12: out += text(" row_ror:%u", count); break;
    case 0x14: out += count ? " row_half_mirror" : " row_mirror"; break;
    case 0x15: out += text(" row_share:%u", count); break;
    case 0x16: out += text(" row_xmask:%u", count); break;
    default:
      out += text(" quad_perm:[%u,%u,%u,%u]", control & 3, control >> 2 & 3, control >> 4 & 3, control >> 6 & 3);
  }
  out += text(" row_mask:0x%x bank_mask:0x%x", in.row_mask, in.bank_mask);
  flag(in.bound_ctrl, "bound_ctrl:1");
  flag(in.fetch_inactive, "fi:1");
}

void Printer::vopd_half(const OpInfo& half, const Operand& dst, std::span<const Operand> src) {
  out += half.name;
  first = true;
  add(operand(dst, half.dst[0].type));
  for (u32 i = 0; i < half.src_count; ++i)
    if (half.src[i].type != Type::MASK) add(operand(src[i], half.src[i].type));
}

void Printer::vopd() {
  vopd_half(op, in.dst, in.src);
  out += " :: ";
  vopd_half(info(in.y_opcode), in.y_dst, in.y_src);
}

std::string Printer::waits() const {
  const u32 imm = u32(in.offset) & 0xffff, vm = imm >> 10, lgkm = imm >> 4 & 63, exp = imm & 7;
  if (imm & 8) return text("0x%x", imm);
  const bool none = vm == 63 && lgkm == 63 && exp == 7;
  std::string list;
  const auto part = [&](const char* name, u32 value, u32 most) {
    if (value != most || none) list += text("%s%s(%u)", list.empty() ? "" : " ", name, value);
  };
  part("vmcnt", vm, 63);
  part("expcnt", exp, 7);
  part("lgkmcnt", lgkm, 63);
  return list;
}

std::string Printer::delay() const {
  static constexpr const char* ids[] = {"NO_DEP", "VALU_DEP_1", "VALU_DEP_2", "VALU_DEP_3", "VALU_DEP_4",
                                        "TRANS32_DEP_1", "TRANS32_DEP_2", "TRANS32_DEP_3", "FMA_ACCUM_CYCLE_1",
                                        "SALU_CYCLE_1", "SALU_CYCLE_2", "SALU_CYCLE_3"};
  static constexpr const char* skips[] = {"SAME", "NEXT", "SKIP_1", "SKIP_2", "SKIP_3", "SKIP_4"};
  const u32 imm = u32(in.offset) & 0xffff, first_id = imm & 15, skip = imm >> 4 & 7, second_id = imm >> 7 & 15;
  if (imm == 0 || first_id == 0) return text("0x%x", imm);
  std::string list = text("instid0(%s)", ids[first_id]);
  if (skip) list += text(" | instskip(%s)", skips[skip]);
  if (second_id) list += text(" | instid1(%s)", ids[second_id]);
  return list;
}

std::string Printer::immediate(Type type) const {
  const u32 imm = u32(in.offset) & 0xffff;
  if (in.opcode == Opcode::s_waitcnt) return waits();
  if (in.opcode == Opcode::s_delay_alu) return delay();
  if (type == Type::LABEL) return text("%d", in.offset);
  if (type == Type::HWREG) return text("hwreg(%u, %u, %u)", imm & 63, imm >> 6 & 31, (imm >> 11) + 1);
  if (in.opcode == Opcode::s_sendmsg && imm == 3) return "sendmsg(MSG_DEALLOC_VGPRS)";
  return text("0x%x", imm);
}

void Printer::scalar(u64 pc) {
  out = op.name;
  if (in.opcode == Opcode::s_endpgm && in.offset == 0) return;
  // s_setreg names the hardware register first, as a destination.
  const bool setreg = op.dst_count == 0 && op.src_count == 2 && op.src[1].type == Type::HWREG;
  if (in.dst.present()) add(operand(in.dst, op.dst[0].type));
  if (setreg) add(immediate(Type::HWREG));
  u32 slot = 0;
  for (u32 i = 0; i < op.src_count; ++i) {
    const Type type = op.src[i].type;
    const bool is_immediate = info(type).kind == Kind::immediate;
    if (!is_immediate) add(operand(in.src[slot++], type));
    else if (!setreg) add(immediate(type));
    if (type == Type::LABEL && pc != 0)
      out += text("  // 0x%llx", static_cast<unsigned long long>(pc + 4 + u64(i64(in.offset)) * 4));
  }
}

void Printer::smem() {
  out = op.name;
  if (op.src_count == 0) return;
  add(op.dst_count ? operand(in.dst, op.dst[0].type) : text("%u", in.offset1));
  add(scalar_name(in.src[0].code, in.src[0].count_dw));
  const bool negative = in.offset < 0;
  const std::string offset = text("%s0x%x", negative ? "-" : "", negative ? -in.offset : in.offset);
  if (in.src[1].code == code_null) add(offset);
  else add(scalar_name(in.src[1].code, 1) + (in.offset ? " offset:" + offset : ""));
  memory_bits();
}

void Printer::ds() {
  out = op.name;
  if (in.dst.present()) add(operand(in.dst, op.dst[0].type));
  for (const Operand& source : in.src)
    if (source.present()) add(operand(source, Type::B32));
  if (op.effects.has(Flag::OFFSET_PAIR)) {
    if (in.offset) out += text(" offset0:%d", in.offset);
    if (in.offset1) out += text(" offset1:%u", in.offset1);
  } else if (in.offset) {
    out += text(" offset:%d", in.offset);
  }
  flag(in.gds, "gds");
}

void Printer::flat() {
  out = op.name;
  if (in.dst.present()) add(operand(in.dst, op.dst[0].type));
  if (in.src[0].present()) add(operand(in.src[0], Type::ADDR));
  else if (op.src[0].type == Type::ADDR) add("off");
  if (in.src[1].present()) add(operand(in.src[1], op.src[1].type));
  if (op.format != Format::flat) add(in.src[2].present() ? scalar_name(in.src[2].code, in.src[2].count_dw) : "off");
  if (in.offset) out += text(" offset:%d", in.offset);
  memory_bits();
}

void Printer::buffer() {
  out = op.name;
  if (op.src_count == 0) return;
  if (in.src[1].present()) add(operand(in.src[1], op.src[1].type));
  else if (in.dst.present()) add(operand(in.dst, op.dst[0].type));
  add(in.src[0].present() ? operand(in.src[0], Type::ADDR) : "off");
  add(scalar_name(in.src[2].code, 4));
  add(operand(in.src[3], Type::SOFFSET));
  if (op.format == Format::mtbuf) out += text(" format:%u", in.buffer_format);
  flag(in.idxen, "idxen");
  flag(in.offen, "offen");
  if (in.offset) out += text(" offset:%d", in.offset);
  memory_bits();
  flag(in.tfe, "tfe");
}

}  // namespace

std::string print(const Instruction& instruction, u64 pc, u32 wave_lanes) {
  Printer printer(instruction, wave_lanes);
  switch (printer.op.format) {
    case Format::sop1: case Format::sop2: case Format::sopc: case Format::sopk: case Format::sopp:
      printer.scalar(pc);
      break;
    case Format::smem: printer.smem(); break;
    case Format::vopd: printer.vopd(); break;
    case Format::ds: printer.ds(); break;
    case Format::flat: case Format::global: case Format::scratch: printer.flat(); break;
    case Format::mubuf: case Format::mtbuf: printer.buffer(); break;
    default: printer.vector();
  }
  return printer.out;
}

}  // namespace amlm::isa
