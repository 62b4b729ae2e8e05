// decode(): dispatch on the top bits to a format, index the row by opcode, take the operands as the row says.
// Formats and fields: RDNA3.5 ISA guide, chapter 15. Vector formats are in decode_vector.cpp, memory formats in
// decode_memory.cpp.
#include "isa/decoder.h"

#include <cstdio>

namespace amlm::isa {

bool Decoder::fail(const char* format, ...) {
  if (!sentence.empty()) return false;
  char text[200];
  std::va_list list;
  va_start(list, format);
  std::vsnprintf(text, sizeof text, format, list);
  va_end(list);
  char head[32];
  std::snprintf(head, sizeof head, "0x%08x: ", words[0]);
  sentence = std::string(head) + text;
  return false;
}

u32 Decoder::take(u32 dword, u32 shift, u32 width) {
  const u32 mask = width == 32 ? ~0u : (1u << width) - 1;
  used[dword] |= mask << shift;
  return words[dword] >> shift & mask;
}

bool Decoder::need(u32 dwords) {
  in.size_dw = u8(dwords);
  return words.size() >= dwords || fail("the code ends inside an instruction of %u dwords", dwords);
}

void Decoder::adopt(Opcode opcode) {
  op = &info(opcode);
  in.opcode = opcode;
  in.format = op->format;
}

bool Decoder::row(Format format, u32 number) {
  const auto found = lookup(format, number);
  if (!found) return fail("no %s instruction has opcode %u", std::string(name(format)).c_str(), number);
  adopt(*found);
  return true;
}

bool Decoder::take_literal() {
  if (in.has_literal) return true;   // several operands share one
  if (!need(in.size_dw + 1u)) return false;
  in.literal = take(in.size_dw - 1u, 0, 32);
  in.has_literal = true;
  return true;
}

// Tuples: pairs start at an even register, larger ones at a multiple of four (guide 3.3.1.3), and stay inside their
// file. NULL stands for one register or two.
bool Decoder::scalar_register(Operand& operand, u32 code, u32 count_dw) {
  const u32 align = count_dw == 1 ? 1 : count_dw == 2 ? 2 : 4;
  const u32 last = code + count_dw - 1;
  const bool in_file = last <= code_vcc_hi ? (code >= 106 || last < 106) : code >= 108 && last <= 123;
  const bool alone = count_dw == 1 && (code == code_m0 || code == code_exec_hi);
  const bool pair = count_dw <= 2 && (code == code_exec_lo || code == code_null);
  if (!alone && !pair && (!in_file || code % align != 0))
    return fail("scalar operand %u cannot be %u registers", code, count_dw);
  operand = {u16(code), u8(count_dw)};
  return true;
}

bool Decoder::scalar_source(Operand& operand, u32 code, Type type) {
  const u32 count = dwords_of(type);
  if (code < 128) return scalar_register(operand, code, count);
  operand = {u16(code), u8(count)};
  if (code <= 208 || (code >= 240 && code <= 248)) return true;             // inline constants
  if ((code >= 235 && code <= 238) || code == code_scc) return true;        // apertures
  if (code == code_literal) return take_literal();
  return fail("%u is no source operand", code);
}

bool Decoder::vgpr(Operand& operand, u32 number, u32 count_dw) {
  if (number + count_dw > 256) return fail("v%u with %u registers ends after v255", number, count_dw);
  operand = {u16(code_vgpr0 + number), u8(count_dw)};
  return true;
}

// Mesa writes 0x80, its number for no operand, where others write 0.
void Decoder::spare_field(u32 dword, u32 shift) {
  if ((words[dword] >> shift & 0xff) == 0x80) take(dword, shift, 8);
}

bool Decoder::source(Operand& operand, u32 code, OperandInfo expected, u32 slot) {
  const u32 count = dwords_of(expected.type);
  if (expected.where == Where::scalar_register && code >= 128)
    return fail("source %u must be a scalar register", slot);
  if (expected.where == Where::lane_select && code >= code_literal) return fail("source %u must be a lane number", slot);
  if (code >= code_vgpr0) {
    if (expected.where == Where::scalar || expected.type == Type::MASK) return fail("source %u cannot be a VGPR", slot);
    return vgpr(operand, code - code_vgpr0, count);
  }
  if (expected.where == Where::vgpr) return fail("source %u must be a VGPR", slot);
  if (expected.where == Where::vgpr_or_inline && !((code >= 128 && code <= 208) || (code >= 240 && code <= 248)))
    return fail("source %u must be VGPRs or an inline constant", slot);
  if (expected.type == Type::MASK && code > code_null) return fail("source %u must be a lane mask in SGPRs", slot);
  return scalar_source(operand, code, expected.type);
}

bool Decoder::half_vgpr(Operand& operand, u32 field, Type type, u32 opsel_bit) {
  if (!is_half_type(type)) return vgpr(operand, field, dwords_of(type));
  if (field & 0x80) in.opsel |= u8(1u << opsel_bit);
  return vgpr(operand, field & 0x7f, 1);
}

namespace {

// S_DELAY_ALU (guide 5.7): two instruction codes of 4 bits, 0-11, around a skip count of 3 bits, 0-5.
bool valid_delay(u32 imm) { return (imm & 15) <= 11 && (imm >> 4 & 7) <= 5 && (imm >> 7 & 15) <= 11 && imm >> 11 == 0; }

}  // namespace

bool Decoder::sop1() {
  if (!row(Format::sop1, take(0, 8, 8))) return false;
  if (op->dst_count && !scalar_register(in.dst, take(0, 16, 7), dwords_of(op->dst[0].type))) return false;
  if (op->src_count == 0) return true;
  const u32 code = take(0, 0, 8);
  if (op->src[0].type == Type::MESSAGE) return in.offset = i32(code), true;
  return source(in.src[0], code, op->src[0], 0);
}

bool Decoder::sop2() {
  if (!row(Format::sop2, take(0, 23, 7))) return false;
  if (!scalar_register(in.dst, take(0, 16, 7), dwords_of(op->dst[0].type))) return false;
  u32 field = 0;
  for (u32 i = 0; i < op->src_count; ++i) {
    const bool literal = is_literal(op->src[i].type);
    const u32 code = literal ? u32(code_literal) : take(0, 8 * field++, 8);
    if (!source(in.src[i], code, op->src[i], i)) return false;
  }
  return true;
}

bool Decoder::sopc() {
  return row(Format::sopc, take(0, 16, 7)) && source(in.src[0], take(0, 0, 8), op->src[0], 0) &&
         source(in.src[1], take(0, 8, 8), op->src[1], 1);
}

bool Decoder::sopk() {
  if (!row(Format::sopk, take(0, 23, 5))) return false;
  in.offset = i16(take(0, 0, 16));
  const bool literal = is_literal(op->src[0].type);
  if (literal) return source(in.src[0], code_literal, op->src[0], 0);
  const bool reads = !is_immediate(op->src[0].type);
  if (!reads && op->dst_count == 0) return true;
  const OperandInfo expected = reads ? op->src[0] : op->dst[0];
  if (op->op_class == OpClass::wait && (words[0] >> 16 & 0x7f) != code_null)
    return fail("%s waits for a constant: the register must be NULL", op->name.data());
  return scalar_register(reads ? in.src[0] : in.dst, take(0, 16, 7), dwords_of(expected.type));
}

bool Decoder::sopp() {
  if (!row(Format::sopp, take(0, 16, 7))) return false;
  if (op->src_count) in.offset = i16(take(0, 0, 16));
  return in.opcode != Opcode::s_delay_alu || valid_delay(words[0] & 0xffff) || fail("s_delay_alu: undefined code");
}

bool Decoder::named_only(Format format, u32 number) {
  const auto found = lookup(format, number);
  std::string what(found ? info(*found).name : name(format));
  if (!found) what += " opcode " + std::to_string(number);
  return fail("%s: graphics instructions are not decoded", what.c_str());
}

bool Decoder::dispatch() {
  const u32 word = words[0];
  if (word >> 31 == 0) {
    const u32 number = take(0, 25, 7);
    return number == 0x3f ? vop1() : number == 0x3e ? vopc() : vop2();
  }
  if (word >> 30 == 2) {
    if (word >> 28 != 0xb) return take(0, 30, 2), sop2();
    switch (take(0, 23, 9) & 0x1f) {
      case 0x1d: return sop1();
      case 0x1e: return sopc();
      case 0x1f: return sopp();
      default: return sopk();
    }
  }
  switch (take(0, 26, 6)) {
    case 0x32: return vopd();
    case 0x33:
      if (word >> 24 == 0xcd) return named_only(Format::vinterp, word >> 16 & 0x7f);
      if (word >> 24 == 0xce) return named_only(Format::lds_direct, word >> 20 & 3);
      return vop3p();
    case 0x35: return vop3();
    case 0x36: return ds();
    case 0x37: return flat();
    case 0x38: return buffer(Format::mubuf);
    case 0x3a: return buffer(Format::mtbuf);
    case 0x3c: return named_only(Format::mimg, (word >> 18 & 0x7f) | (word & 1) << 7);
    case 0x3d: return smem();
    case 0x3e: return named_only(Format::exp, 0);
    default: return fail("no format has the top bits 0x%x", word >> 26);
  }
}

bool Decoder::finish(DecodeError* error) {
  bool valid = dispatch();
  std::array<u32, 3> reserved{};
  if (valid) {
    for (u32 i = 0; i < in.size_dw; ++i) reserved[i] = words[i] & ~used[i];
    for (u32 i = 0; i < in.size_dw && valid; ++i)
      if (reserved[i]) valid = fail("%s: reserved bits 0x%x of dword %u are set", op->name.data(), reserved[i], i);
  }
  if (!valid && error) *error = {std::move(sentence), reserved};
  return valid;
}

std::optional<Instruction> decode(std::span<const u32> words, DecodeError* error) {
  if (words.empty()) {
    if (error) *error = {"no code", {}};
    return std::nullopt;
  }
  Decoder decoder(words);
  decoder.in.size_dw = 1;
  if (!decoder.finish(error)) return std::nullopt;
  return decoder.in;
}

}  // namespace amlm::isa
