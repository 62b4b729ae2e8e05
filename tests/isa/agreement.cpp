#include "tests/isa/agreement.h"

#include "isa/hazards.h"

namespace amlm::isa::test {
namespace {

bool has(const std::string& sentence, const char* part) { return sentence.find(part) != std::string::npos; }

bool native_family(const Instruction& in) {
  const bool family = in.format == Format::vop1 || in.format == Format::vop2 || in.format == Format::vopc;
  const Encoding e = in.encoding;
  return family && (e == Encoding::native || e == Encoding::dpp8 || e == Encoding::dpp16);
}

bool is_inline(u32 literal, u32 bits) {
  static constexpr u32 floats32[] = {0x3f000000, 0xbf000000, 0x3f800000, 0xbf800000, 0x40000000,
                                     0xc0000000, 0x40800000, 0xc0800000, 0x3e22f983};
  static constexpr u32 floats16[] = {0x3800, 0xb800, 0x3c00, 0xbc00, 0x4000, 0xc000, 0x4400, 0xc400, 0x3118};
  const i32 value = bits == 16 ? i32(i16(literal)) : i32(literal);
  if (value >= -16 && value <= 64) return true;
  for (const u32 f : floats32)
    if (literal == f || (bits == 64 && literal << 1 == f << 1)) return true;
  for (const u32 f : floats16)
    if (bits == 16 && (literal & 0xffff) == f) return true;
  return false;
}

// A 64-bit float literal is the high half of the value.
bool is_inline_f64(u32 literal) {
  static constexpr u32 high[] = {0x3fe00000, 0x3ff00000, 0x40000000, 0x40100000, 0};
  for (const u32 f : high)
    if ((literal & 0x7fffffff) == f) return true;
  return false;
}

const char* literal_problem(const Instruction& in) {
  const OpInfo& op = info(in.opcode);
  for (u32 i = 0; i < op.src_count; ++i) {
    if (in.src[i].code != code_literal || !in.src[i].present()) continue;
    const TypeInfo& type = info(op.src[i].type);
    const Kind kind = type.kind;
    const bool packed = kind == Kind::packed_integer || kind == Kind::packed_floating || kind == Kind::matrix;
    const bool half = type.bits == 16 || packed;
    const bool mix = op.src[i].type == Type::MIX;   // LLVM takes its literals for f16
    if ((type.bits == 16 || mix) && in.literal > 0xffff) return "unspellable";
    if (is_inline(in.literal, type.bits) || ((half || mix) && is_inline(in.literal, 16))) return "unspellable";
    if (type.kind == Kind::floating && type.bits == 64 && (is_inline_f64(in.literal) || (in.neg | in.abs) >> i & 1))
      return "unspellable";
  }
  if (in.format == Format::vopd && in.has_literal && is_inline(in.literal, 32)) return "unspellable";
  return nullptr;
}

bool vopd_is_legal(const Instruction& in) {
  Words words{};
  const u32 count = encode(in, words);
  for (const Hazard& hazard : find_hazards(std::span(words).first(count)))
    if (hazard.sentence.find("SRC") != std::string::npos) return false;
  return true;
}

// Forms that LLVM 19 does not know at all.
const char* unknown_form(const Instruction& in) {
  const bool vop3_form = in.encoding != Encoding::native && !native_family(in);
  if (native_family(in) && in.opsel) return "sixteen-bit-halves";
  if (in.opcode == Opcode::v_swap_b16) return "newer-forms";
  if (vop3_form && (in.opcode == Opcode::v_mov_b16 || in.opcode == Opcode::v_readfirstlane_b32)) return "newer-forms";
  if (in.opcode == Opcode::v_dot2_f32_bf16 && in.encoding != Encoding::native) return "newer-forms";
  const bool second = in.y_opcode == Opcode::v_dual_dot2acc_f32_bf16;
  if (in.format == Format::vopd && (second || in.opcode == Opcode::v_dual_dot2acc_f32_bf16)) return "newer-forms";
  return nullptr;
}

}  // namespace

const char* why_only_ours(const Instruction& in, const Words& words) {
  if (const char* form = unknown_form(in)) return form;
  std::array<u32, 3> again{};
  const u32 count = encode(in, again), difference = words[1] ^ again[1];
  if (count < 2 || words[0] != again[0] || difference == 0 || (difference & ~spare_bits(in)[1])) return nullptr;
  return in.format == Format::smem ? "spare-fields" : "unused-third-source";
}

const char* why_only_llvm(const DecodeError& error) {
  struct Reason { const char* part; const char* name; };
  static constexpr Reason reasons[] = {
      {"graphics instructions are not decoded", "graphics"}, {"is no source operand", "absent-sources"},
      {"VDST must say so", "scalar-destinations"}, {"scalar destination", "scalar-destinations"},
      {"is no SGPR", "scalar-destinations"},
      {"cannot be 2 registers", "misaligned-tuples"}, {"cannot be 4 registers", "misaligned-tuples"},
      {"cannot be 8 registers", "misaligned-tuples"}, {"cannot be 16 registers", "misaligned-tuples"},
      {"undefined code", "delay-codes"}, {"the register must be NULL", "wait-registers"},
      {"of a DPP instruction cannot be", "packed-dpp"},
      {"must be a VGPR", "operand-kinds"}, {"must be VGPRs or an inline constant", "operand-kinds"},
      {"must be a lane mask", "operand-kinds"}, {"must be a scalar register", "operand-kinds"},
      {"must be a lane number", "operand-kinds"},
      {"ends after v255", "operand-kinds"}};
  for (const Reason& reason : reasons)
    if (has(error.sentence, reason.part)) return reason.name;
  return nullptr;
}

const char* why_not_reserved(const OpInfo& op, const std::array<u32, 3>& bits) {
  if (op.format == Format::flat && bits == std::array<u32, 3>{0x1000, 0, 0}) return "flat-offset";
  if ((op.format == Format::mubuf || op.format == Format::mtbuf) && (bits[1] & 1u << 21)) return "texture-faults";
  if (op.format == Format::flat && (bits[0] & 0x1000)) return "flat-offset";
  if (op.format == Format::ds && (bits[0] & 1u << 17)) return "reserved-bits";   // GDS of a lane permutation
  switch (op.format) {
    case Format::vop1: case Format::vop2: case Format::vopc: case Format::vop3: case Format::vop3p:
      return "integer-modifiers";
    default: return nullptr;
  }
}

const char* why_unspellable(const Instruction& in) {
  const OpInfo& op = info(in.opcode);
  if (const char* form = unknown_form(in)) return form;
  if (in.opsel && in.format != Format::vop3p && !op.effects.has(Flag::CROSS_LANE)) return "sixteen-bit-halves";
  if (const char* problem = literal_problem(in)) return problem;
  if (constant_bus_reads(in) > constant_bus_limit(in)) return "unspellable";
  if (in.format == Format::vopd && !vopd_is_legal(in)) return "unspellable";
  // The assembler takes no negative offset for a buffer load, and sets OPSEL_HI of a source that is not there.
  if (in.format == Format::smem && in.offset < 0 && op.src[0].type == Type::SRSRC) return "unspellable";
  if (in.format == Format::vop3p && op.src_count == 2 && !(in.opsel_hi & 4)) return "unspellable";
  if (op.op_class == OpClass::wmma && !modifiers(op).opsel && in.opsel_hi != 7) return "unspellable";
  return nullptr;
}

std::array<u32, 3> spare_bits(const Instruction& in) {
  const OpInfo& op = info(in.opcode);
  const bool vop3_form = in.encoding != Encoding::native && !native_family(in);
  std::array<u32, 3> bits{};
  if (vop3_form || op.format == Format::vop3 || op.format == Format::vop3sd || op.format == Format::vop3p)
    for (u32 i = op.src_count; i < 3; ++i) bits[1] |= 0x1ffu << 9 * i;
  if (!native_family(in) && (in.encoding == Encoding::dpp16 || in.encoding == Encoding::vop3_dpp16)) bits[2] |= 0xfu << 20;
  const bool buffer = op.format == Format::mubuf || op.format == Format::mtbuf;
  if ((buffer || op.format == Format::scratch) && !in.src[0].present()) bits[1] |= 0xff;
  if (op.format == Format::smem && op.src_count == 0) bits[1] |= 0x7fu << 25;
  return bits;
}

std::string plain_name(const std::string& llvm_text) {
  std::string name = llvm_text.substr(0, llvm_text.find(' '));
  for (const std::string_view suffix : {"_dpp", "_e32", "_e64"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

}  // namespace amlm::isa::test
