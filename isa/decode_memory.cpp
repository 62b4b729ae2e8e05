// SMEM, DS, FLAT/GLOBAL/SCRATCH, MUBUF and MTBUF.
#include "isa/decoder.h"

namespace amlm::isa {
namespace {

i32 sign_extend(u32 value, u32 width) { return i32(value << (32 - width)) >> (32 - width); }

}  // namespace

bool Decoder::smem() {
  if (!row(Format::smem, take(0, 18, 8)) || !need(2)) return false;
  if (op->src_count == 0) {              // cache invalidations; Mesa writes NULL for the offset
    if (words[1] == u32(code_null) << 25) take(1, 25, 7);
    return true;
  }
  if (op->dst_count) {
    in.glc = take(0, 14, 1);
    in.dlc = take(0, 13, 1);
    if (!scalar_register(in.dst, take(0, 6, 7), dwords_of(op->dst[0].type))) return false;
    if (in.dst.code > code_null) return fail("a scalar load cannot write M0 or EXEC");
  } else {
    in.offset1 = u8(take(0, 6, 7));      // s_atc_probe: kind of access
  }
  if (!scalar_register(in.src[0], 2 * take(0, 0, 6), dwords_of(op->src[0].type))) return false;
  in.offset = sign_extend(take(1, 0, 21), 21);
  return scalar_register(in.src[1], take(1, 25, 7), 1);
}

bool Decoder::ds() {
  if (!row(Format::ds, take(0, 18, 8)) || !need(2)) return false;
  const bool cross_lane = op->effects.has(Flag::CROSS_LANE), lds = op->op_class == OpClass::lds;
  const bool gds_only = op->effects.has(Flag::GDS_ONLY);
  if (gds_only || (lds && !cross_lane)) in.gds = take(0, 17, 1);
  if (gds_only && !in.gds) return fail("%s works on GDS: the GDS bit must be set", op->name.data());
  if (in.opcode == Opcode::ds_nop) return true;
  if (op->effects.has(Flag::OFFSET_PAIR)) {
    in.offset = i32(take(0, 0, 8));
    in.offset1 = u8(take(0, 8, 8));
  } else {
    in.offset = i32(take(0, 0, 16));
  }
  for (u32 i = 0; i < op->src_count; ++i) {
    const Type type = op->src[i].type;
    if (type == Type::NO) continue;
    const u32 count = type == Type::ADDR ? 1 : dwords_of(type);
    if (!vgpr(in.src[i], take(1, 8 * i, 8), count)) return false;
  }
  return op->dst_count == 0 || vgpr(in.dst, take(1, 24, 8), dwords_of(op->dst[0].type));
}

bool Decoder::flat() {
  static constexpr Format segments[] = {Format::flat, Format::scratch, Format::global};
  const u32 segment = take(0, 16, 2);
  if (segment == 3) return fail("FLAT segment 3 does not exist");
  const Format format = segments[segment];
  if (!row(format, take(0, 18, 7)) || !need(2)) return false;
  // FLAT has no negative offsets: bit 12 is reserved there.
  in.offset = format == Format::flat ? i32(take(0, 0, 12)) : sign_extend(take(0, 0, 13), 13);
  in.dlc = take(0, 13, 1);
  in.glc = take(0, 14, 1);
  in.slc = take(0, 15, 1);

  const u32 base = take(1, 16, 7);
  const bool has_base = base != code_null;
  if (format == Format::flat && has_base) return fail("FLAT takes no SADDR: the field must be NULL");
  if (format == Format::scratch && base == code_exec_hi) return fail("EXEC_HI cannot be a scratch base");
  if (has_base && !scalar_register(in.src[2], base, format == Format::scratch ? 1 : 2)) return false;
  if (format == Format::scratch) in.sve = take(1, 23, 1);
  const bool has_address = op->src[0].type == Type::ADDR && (format != Format::scratch || in.sve);
  const u32 address_dw = format == Format::scratch || has_base ? 1 : 2;
  if (has_address && !vgpr(in.src[0], take(1, 0, 8), address_dw)) return false;
  if (format == Format::scratch && !in.sve) spare_field(1, 0);
  if (op->src_count > 1 && op->src[1].type != Type::NO && !vgpr(in.src[1], take(1, 8, 8), dwords_of(op->src[1].type)))
    return false;
  const bool returns = op->dst_count && (!op->effects.has(Flag::GLC_RETURNS) || in.glc);
  return !returns || vgpr(in.dst, take(1, 24, 8), dwords_of(op->dst[0].type));
}

bool Decoder::buffer(Format format) {
  const u32 number = format == Format::mubuf ? take(0, 18, 8) : take(0, 15, 4);
  if (!row(format, number) || !need(2)) return false;
  if (op->src_count == 0) return true;   // cache invalidations
  if (format == Format::mtbuf) in.buffer_format = u8(take(0, 19, 7));
  in.offset = i32(take(0, 0, 12));
  in.slc = take(0, 12, 1);
  in.dlc = take(0, 13, 1);
  in.glc = take(0, 14, 1);
  in.offen = take(1, 22, 1);
  in.idxen = take(1, 23, 1);
  const u32 address_dw = u32(in.offen) + u32(in.idxen);
  if (address_dw && !vgpr(in.src[0], take(1, 0, 8), address_dw)) return false;
  if (address_dw == 0) spare_field(1, 0);
  const bool returns = op->dst_count && (!op->effects.has(Flag::GLC_RETURNS) || in.glc);
  const bool stores = op->src[1].type != Type::NO;
  if (returns && format == Format::mubuf && op->op_class == OpClass::vmem_load) in.tfe = take(1, 21, 1);
  const u32 status_dw = in.tfe ? 1 : 0;  // TFE: one more register takes the residency status
  if (stores && !vgpr(in.src[1], take(1, 8, 8), dwords_of(op->src[1].type))) return false;
  if (returns && !vgpr(in.dst, take(1, 8, 8), dwords_of(op->dst[0].type) + status_dw)) return false;
  return scalar_register(in.src[2], 4 * take(1, 16, 5), 4) && source(in.src[3], take(1, 24, 8), op->src[3], 3);
}

}  // namespace amlm::isa
