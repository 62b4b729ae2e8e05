// encode(): the reverse of decode(). Fields are put without checks; whether the result says what was asked is proved by
// decoding it again, so nothing that does not fit its field can be encoded.
#include "isa/tables.h"

namespace amlm::isa {
namespace {

struct Encoder {
  const Instruction& in;
  const OpInfo& op;
  std::array<u32, 3> words{};
  u32 count = 1;
  u32 source0 = 0;                         // code for the SRC0 field: the operand's, or a DPP code

  explicit Encoder(const Instruction& instruction) : in(instruction), op(info(instruction.opcode)) {}

  void put(u32 dword, u32 shift, u32 width, u32 value) { words[dword] |= (value & ((1u << width) - 1)) << shift; }
  static bool literal(const OperandInfo& operand) { return info(operand.type).kind == Kind::literal; }

  // 8-bit register field of a native encoding: 16-bit operands name their half in bit 7.
  u32 half_field(const Operand& operand, Type type, u32 opsel_bit) const {
    const bool half = info(type).bits == 16;
    return operand.code | (half && operand.is_vgpr() && in.opsel >> opsel_bit & 1 ? 0x80u : 0u);
  }

  void scalar();
  void sopk();
  void smem();
  void native_vector();
  void vop3();
  void vop3p();
  void vop3_sources();
  void vopd();
  void vopd_sources(u32 dword, const OpInfo& half, std::span<const Operand> src);
  void ds();
  void flat();
  void buffer();
  void dpp(bool native);
  void finish() {
    if (in.has_literal) words[count < 3 ? count : 2] = in.literal, ++count;
  }
};

bool is_dpp(Encoding encoding) { return encoding != Encoding::native && encoding != Encoding::vop3; }
bool is_dpp8(Encoding encoding) { return encoding == Encoding::dpp8 || encoding == Encoding::vop3_dpp8; }

void Encoder::scalar() {
  const u32 last = op.src_count;
  switch (op.format) {
    case Format::sop1:
      put(0, 23, 9, 0x17d);
      put(0, 8, 8, op.number);
      if (op.dst_count) put(0, 16, 7, in.dst.code);
      if (last) put(0, 0, 8, op.src[0].type == Type::MESSAGE ? u32(in.offset) : in.src[0].code);
      break;
    case Format::sop2: {
      put(0, 30, 2, 2);
      put(0, 23, 7, op.number);
      put(0, 16, 7, in.dst.code);
      u32 field = 0;
      for (u32 i = 0; i < last; ++i)
        if (!literal(op.src[i])) put(0, 8 * field++, 8, in.src[i].code);
      break;
    }
    case Format::sopc:
      put(0, 23, 9, 0x17e);
      put(0, 16, 7, op.number);
      put(0, 0, 8, in.src[0].code);
      put(0, 8, 8, in.src[1].code);
      break;
    default:  // SOPP
      put(0, 23, 9, 0x17f);
      put(0, 16, 7, op.number);
      put(0, 0, 16, u32(in.offset));
  }
}

void Encoder::sopk() {
  put(0, 28, 4, 0xb);
  put(0, 23, 5, op.number);
  put(0, 0, 16, u32(in.offset));
  if (op.dst_count) put(0, 16, 7, in.dst.code);
  else if (in.src[0].present() && !literal(op.src[0])) put(0, 16, 7, in.src[0].code);
}

void Encoder::smem() {
  count = 2;
  put(0, 26, 6, 0x3d);
  put(0, 18, 8, op.number);
  if (op.src_count == 0) return;
  put(0, 0, 6, in.src[0].code / 2u);
  put(0, 6, 7, op.dst_count ? in.dst.code : in.offset1);
  put(0, 13, 1, in.dlc);
  put(0, 14, 1, in.glc);
  put(1, 0, 21, u32(in.offset));
  put(1, 25, 7, in.src[1].code);
}

void Encoder::native_vector() {
  if (op.src_count) source0 = half_field(in.src[0], op.src[0].type, 0);
  if (is_dpp(in.encoding)) dpp(true);
  put(0, 0, 9, source0);
  if (op.format == Format::vopc) {
    put(0, 25, 7, 0x3e);
    put(0, 17, 8, op.number);
    put(0, 9, 8, half_field(in.src[1], op.src[1].type, 1));
    return;
  }
  if (op.dst_count) put(0, 17, 8, half_field(in.dst, op.dst[0].type, 3));
  if (op.format == Format::vop1) {
    put(0, 25, 7, 0x3f);
    put(0, 9, 8, op.number);
    return;
  }
  put(0, 25, 7, op.number);
  const u32 vsrc1 = literal(op.src[1]) ? 2 : 1;
  put(0, 9, 8, half_field(in.src[vsrc1], op.src[vsrc1].type, vsrc1));
}

void Encoder::dpp(bool native) {
  const bool eight = is_dpp8(in.encoding);
  u32& word = words[count++];
  word = source0 & 0xff;
  source0 = !eight ? 0xfa : in.fetch_inactive ? 0xea : 0xe9;
  if (eight) {
    word |= in.dpp8_select << 8;
    return;
  }
  word |= u32(in.dpp_ctrl) << 8 | u32(in.fetch_inactive) << 18 | u32(in.bound_ctrl) << 19 | u32(in.bank_mask) << 24 |
          u32(in.row_mask) << 28;
  if (native) word |= (in.neg & 1u) << 20 | (in.abs & 1u) << 21 | (in.neg >> 1 & 1u) << 22 | (in.abs >> 1 & 1u) << 23;
}

void Encoder::vop3_sources() {
  count = 2;
  source0 = in.src[0].present() ? in.src[0].code : 0;
  if (is_dpp(in.encoding)) dpp(false);
  put(1, 0, 9, source0);
  for (u32 i = 1; i < op.src_count; ++i) put(1, 9 * i, 9, in.src[i].code);
  put(1, 29, 3, in.neg);
  put(0, 11, 3, in.opsel);
  put(0, 15, 1, in.clamp);
}

void Encoder::vop3() {
  const u32 base = op.format == Format::vop1 ? 0x180 : op.format == Format::vop2 ? 0x100 : 0;
  put(0, 26, 6, 0x35);
  put(0, 16, 10, base + op.number);
  if (op.dst_count) put(0, 0, 8, in.dst.code);
  vop3_sources();
  put(1, 27, 2, in.omod);
  if (op.dst_count > 1) {
    put(0, 8, 7, in.sdst.code);
  } else {
    put(0, 8, 3, in.abs);
    put(0, 14, 1, in.opsel >> 3);
  }
}

void Encoder::vop3p() {
  put(0, 23, 9, 0x198);
  put(0, 16, 7, op.number);
  put(0, 0, 8, in.dst.code);
  vop3_sources();
  put(0, 8, 3, in.neg_hi);
  put(0, 14, 1, in.opsel_hi >> 2);
  put(1, 27, 2, in.opsel_hi);
}

void Encoder::vopd_sources(u32 dword, const OpInfo& half, std::span<const Operand> src) {
  put(dword, 0, 9, src[0].code);
  for (u32 i = 1; i < half.src_count; ++i)
    if (!literal(half.src[i]) && half.src[i].type != Type::MASK) put(dword, 9, 8, src[i].code);
}

void Encoder::vopd() {
  const OpInfo& y = info(in.y_opcode);
  count = 2;
  put(0, 26, 6, 0x32);
  put(0, 22, 4, op.number);
  put(0, 17, 5, y.number);
  vopd_sources(0, op, in.src);
  vopd_sources(1, y, in.y_src);
  put(1, 24, 8, in.dst.code);
  put(1, 17, 7, (in.y_dst.code & 0xffu) >> 1);
}

void Encoder::ds() {
  count = 2;
  put(0, 26, 6, 0x36);
  put(0, 18, 8, op.number);
  put(0, 17, 1, in.gds);
  const bool pair = op.effects.has(Flag::OFFSET_PAIR);
  put(0, 0, 16, pair ? (u32(in.offset) & 0xff) | u32(in.offset1) << 8 : u32(in.offset));
  for (u32 i = 0; i < op.src_count; ++i)
    if (in.src[i].present()) put(1, 8 * i, 8, in.src[i].code);
  if (in.dst.present()) put(1, 24, 8, in.dst.code);
}

void Encoder::flat() {
  count = 2;
  put(0, 26, 6, 0x37);
  put(0, 16, 2, op.format == Format::flat ? 0 : op.format == Format::scratch ? 1 : 2);
  put(0, 18, 7, op.number);
  put(0, 0, 13, u32(in.offset));
  put(0, 13, 1, in.dlc);
  put(0, 14, 1, in.glc);
  put(0, 15, 1, in.slc);
  if (in.src[0].present()) put(1, 0, 8, in.src[0].code);
  if (in.src[1].present()) put(1, 8, 8, in.src[1].code);
  put(1, 16, 7, in.src[2].present() ? in.src[2].code : code_null);
  put(1, 23, 1, in.sve);
  if (in.dst.present()) put(1, 24, 8, in.dst.code);
}

void Encoder::buffer() {
  count = 2;
  if (op.format == Format::mubuf) {
    put(0, 26, 6, 0x38);
    put(0, 18, 8, op.number);
  } else {
    put(0, 26, 6, 0x3a);
    put(0, 15, 4, op.number);
    put(0, 19, 7, in.buffer_format);
  }
  if (op.src_count == 0) return;
  put(0, 0, 12, u32(in.offset));
  put(0, 12, 1, in.slc);
  put(0, 13, 1, in.dlc);
  put(0, 14, 1, in.glc);
  put(1, 21, 1, in.tfe);
  put(1, 22, 1, in.offen);
  put(1, 23, 1, in.idxen);
  if (in.src[0].present()) put(1, 0, 8, in.src[0].code);
  if (in.src[1].present()) put(1, 8, 8, in.src[1].code);
  else if (in.dst.present()) put(1, 8, 8, in.dst.code);
  put(1, 16, 5, in.src[2].code / 4u);
  put(1, 24, 8, in.src[3].code);
}

}  // namespace

u32 encode(const Instruction& instruction, std::span<u32, 3> words) {
  Encoder encoder(instruction);
  const bool as_vop3 = instruction.encoding == Encoding::vop3 || instruction.encoding == Encoding::vop3_dpp8 ||
                       instruction.encoding == Encoding::vop3_dpp16;
  switch (encoder.op.format) {
    case Format::sop1: case Format::sop2: case Format::sopc: case Format::sopp: encoder.scalar(); break;
    case Format::sopk: encoder.sopk(); break;
    case Format::smem: encoder.smem(); break;
    case Format::vop1: case Format::vop2: case Format::vopc:
      as_vop3 ? encoder.vop3() : encoder.native_vector();
      break;
    case Format::vop3: case Format::vop3sd: encoder.vop3(); break;
    case Format::vop3p: encoder.vop3p(); break;
    case Format::vopd: encoder.vopd(); break;
    case Format::ds: encoder.ds(); break;
    case Format::flat: case Format::global: case Format::scratch: encoder.flat(); break;
    case Format::mubuf: case Format::mtbuf: encoder.buffer(); break;
    default: return 0;
  }
  encoder.finish();
  if (encoder.count > 3) return 0;
  const auto decoded = decode(std::span(encoder.words).first(encoder.count));
  Instruction asked = instruction;
  asked.size_dw = u8(encoder.count);
  if (!decoded || !(*decoded == asked)) return 0;
  for (u32 i = 0; i < 3; ++i) words[i] = i < encoder.count ? encoder.words[i] : 0;
  return encoder.count;
}

}  // namespace amlm::isa
