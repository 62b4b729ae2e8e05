// How poison goes through one lane of an instruction. Where a rule is not exact it errs towards more poisoned bits; it is as
// exact as compilers need: bitwise operations, shifts, fields, selections, sums from the lowest poisoned bit up.
#include <bit>

#include "isa/execute/poison.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

u64 mask_of(u32 bits) { return bits >= 64 ? ~0ull : (1ull << bits) - 1; }
u64 all_if(u64 poison) { return poison ? ~0ull : 0; }

// A carry goes up only.
u64 smear_up(u64 poison) { return poison ? ~0ull << std::countr_zero(poison) : 0; }

u64 of_and(u64 pa, u64 a, u64 pb, u64 b) { return (pa & pb) | (pa & b) | (a & pb); }
u64 of_or(u64 pa, u64 a, u64 pb, u64 b) { return (pa & pb) | (pa & ~b) | (~a & pb); }

// `chosen` is the poison of what selects between a and b: where both are the same it does not matter.
u64 of_selection(u64 pa, u64 a, u64 pb, u64 b) { return pa | pb | (a ^ b); }

u64 of_product(const LaneOperands& s) {
  for (u32 i = 0; i < 2; ++i)
    if (!s.poison[i] && !s.value[i]) return 0;
  return smear_up(s.poison[0] | s.poison[1]);
}

u64 sign_extended(u64 value, u32 bits) { return u64(i64(value << (64 - bits)) >> (64 - bits)); }

u64 shifted_left(const LaneOperands& s, u32 amount, u32 data, u32 bits) {
  if (s.poison[amount] & (bits - 1)) return ~0ull;
  return s.poison[data] << (s.value[amount] & (bits - 1));
}

u64 shifted_right(const LaneOperands& s, u32 amount, u32 data, u32 bits, bool arithmetic) {
  if (s.poison[amount] & (bits - 1)) return ~0ull;
  const u64 poison = s.poison[data] & mask_of(bits), n = s.value[amount] & (bits - 1);
  return arithmetic ? u64(i64(sign_extended(poison, bits)) >> n) : poison >> n;
}

u64 field(const LaneOperands& s, bool is_signed) {
  if ((s.poison[1] | s.poison[2]) & 31) return ~0ull;
  const u32 offset = s.value[1] & 31, width = s.value[2] & 31;
  if (!width) return 0;
  const u64 poison = (s.poison[0] & 0xffffffff) >> offset & mask_of(width);
  return is_signed ? sign_extended(poison, width) : poison;
}

u64 permuted(const LaneOperands& s) {
  const u64 pool = s.poison[0] << 32 | (s.poison[1] & 0xffffffff);
  u64 result = 0;
  for (u32 i = 0; i < 4; ++i) {
    const u32 select = s.value[2] >> 8 * i & 0xff;
    u64 byte = 0;
    if (s.poison[2] >> 8 * i & 0xff) byte = 0xff;
    else if (select < 8) byte = pool >> 8 * select & 0xff;
    else if (select < 12) byte = pool >> (16 * (select - 8) + 15) & 1 ? 0xff : 0;
    result |= byte << 8 * i;
  }
  return result;
}

bool is_zero_f32(const LaneOperands& s, u32 i) { return !s.poison[i] && !(s.value[i] & 0x7fffffff); }

LaneOperands low_bits(const LaneOperands& s, u32 bits) {
  LaneOperands out = s;
  for (u32 i = 0; i < 2; ++i) out.poison[i] &= mask_of(bits), out.value[i] &= mask_of(bits);
  return out;
}

u64 of_dx9_product(const LaneOperands& s) {
  return is_zero_f32(s, 0) || is_zero_f32(s, 1) ? 0 : all_if(s.poison[0] | s.poison[1]);
}

u64 halves(u64 low, u64 high) { return (low ? 0xffff : 0) | (high ? 0xffff0000 : 0); }

}  // namespace

u64 poison_of_lane(const Instruction& in, Opcode opcode, const LaneOperands& s) {
  using enum Opcode;
  const auto& p = s.poison;
  const auto& v = s.value;
  switch (opcode) {
    case v_mov_b32: case v_dual_mov_b32: case v_mov_b16: case v_not_b32: case v_not_b16: case v_cvt_u32_u16: return p[0];
    case v_cvt_i32_i16: return sign_extended(p[0], 16);
    case v_xor_b32: case v_xnor_b32: case v_xor_b16: return p[0] | p[1];
    case v_xor3_b32: return p[0] | p[1] | p[2];
    case v_and_b32: case v_dual_and_b32: case v_and_b16: return of_and(p[0], v[0], p[1], v[1]);
    case v_or_b32: case v_or_b16: return of_or(p[0], v[0], p[1], v[1]);
    case v_and_or_b32: return of_or(of_and(p[0], v[0], p[1], v[1]), v[0] & v[1], p[2], v[2]);
    case v_or3_b32: return of_or(of_or(p[0], v[0], p[1], v[1]), v[0] | v[1], p[2], v[2]);
    case v_bfi_b32: return (p[0] & of_selection(p[1], v[1], p[2], v[2])) | (~p[0] & ((v[0] & p[1]) | (~v[0] & p[2])));
    case v_bfrev_b32: {
      u64 out = 0;
      for (u32 i = 0; i < 32; ++i) out |= (p[0] >> i & 1) << (31 - i);
      return out;
    }
    case v_lshlrev_b32: case v_dual_lshlrev_b32: return shifted_left(s, 0, 1, 32);
    case v_lshrrev_b32: return shifted_right(s, 0, 1, 32, false);
    case v_ashrrev_i32: return shifted_right(s, 0, 1, 32, true);
    case v_lshlrev_b16: return shifted_left(s, 0, 1, 16);
    case v_lshrrev_b16: return shifted_right(s, 0, 1, 16, false);
    case v_ashrrev_i16: return shifted_right(s, 0, 1, 16, true);
    case v_lshlrev_b64: return shifted_left(s, 0, 1, 64);
    case v_lshrrev_b64: return shifted_right(s, 0, 1, 64, false);
    case v_ashrrev_i64: return shifted_right(s, 0, 1, 64, true);
    case v_lshl_or_b32: {
      const u64 shifted = shifted_left(s, 1, 0, 32);
      return of_or(shifted, v[0] << (v[1] & 31), p[2], v[2]);
    }
    case v_lshl_add_u32: return smear_up(shifted_left(s, 1, 0, 32) | p[2]);
    case v_add_lshl_u32:
      return p[2] & 31 ? ~0ull : smear_up(p[0] | p[1]) << (v[2] & 31);
    case v_bfe_u32: return field(s, false);
    case v_bfe_i32: return field(s, true);
    case v_perm_b32: return permuted(s);
    case v_alignbit_b32: case v_alignbyte_b32: {
      const u32 unit = opcode == v_alignbit_b32 ? 1 : 8, limit = opcode == v_alignbit_b32 ? 31 : 3;
      if (p[2] & limit) return ~0ull;
      return (p[0] << 32 | (p[1] & 0xffffffff)) >> (v[2] & limit) * unit;
    }
    case v_cndmask_b32: case v_dual_cndmask_b32: case v_cndmask_b16:
      return p[2] ? of_selection(p[0], v[0], p[1], v[1]) : v[2] ? p[1] : p[0];
    case v_add_nc_u32: case v_sub_nc_u32: case v_subrev_nc_u32: case v_dual_add_nc_u32: case v_add_nc_i32:
    case v_sub_nc_i32: case v_add3_u32: case v_xad_u32: case v_add_co_u32: case v_sub_co_u32: case v_subrev_co_u32:
    case v_add_nc_u16: case v_sub_nc_u16: case v_add_nc_i16: case v_sub_nc_i16:
      return in.clamp ? all_if(s.any()) : smear_up(s.any());
    case v_add_co_ci_u32: case v_sub_co_ci_u32: case v_subrev_co_ci_u32: return smear_up(p[0] | p[1] | (p[2] & 1));
    case v_mul_lo_u32: case v_mul_lo_u16: return of_product(s);
    case v_mul_u32_u24: case v_mul_i32_i24: return of_product(low_bits(s, 24));
    case v_mad_u32_u24: case v_mad_i32_i24: return smear_up(of_product(low_bits(s, 24)) | p[2]);
    case v_mad_u64_u32: case v_mad_i64_i32: case v_mad_u32_u16: case v_mad_i32_i16: case v_mad_u16: case v_mad_i16:
      return in.clamp ? all_if(s.any()) : smear_up(of_product(s) | p[2]);
    case v_mul_hi_u32: case v_mul_hi_i32: return all_if(of_product(s));
    case v_mul_dx9_zero_f32: case v_dual_mul_dx9_zero_f32: return of_dx9_product(s);
    case v_fmac_dx9_zero_f32: case v_fma_dx9_zero_f32: return all_if(of_dx9_product(s) | p[2]);
    case v_cvt_f32_ubyte0: return all_if(p[0] & 0xff);
    case v_cvt_f32_ubyte1: return all_if(p[0] & 0xff00);
    case v_cvt_f32_ubyte2: return all_if(p[0] & 0xff0000);
    case v_cvt_f32_ubyte3: return all_if(p[0] & 0xff000000);
    case v_pack_b32_f16: return (p[0] & 0xffff) | p[1] << 16;
    case v_cvt_pk_rtz_f16_f32: case v_cvt_pk_i16_f32: case v_cvt_pk_u16_f32: case v_cvt_pk_norm_i16_f16:
    case v_cvt_pk_norm_u16_f16: case v_cvt_pk_norm_i16_f32: case v_cvt_pk_norm_u16_f32: case v_cvt_pk_u16_u32:
    case v_cvt_pk_i16_i32: return halves(p[0], p[1]);
    case v_sat_pk_u8_i16: return (p[0] & 0xffff ? 0xff : 0) | (p[0] >> 16 ? 0xff00 : 0);
    default: return all_if(s.any());
  }
}

// Equality with a defined bit that differs is decided.
bool poison_of_compare(Opcode opcode, const LaneOperands& s) {
  using enum Opcode;
  switch (opcode) {
    case v_cmp_eq_u32: case v_cmp_ne_u32: case v_cmp_eq_i32: case v_cmp_ne_i32: case v_cmp_eq_u16: case v_cmp_ne_u16:
    case v_cmp_eq_i16: case v_cmp_ne_i16: case v_cmp_eq_u64: case v_cmp_ne_u64: case v_cmp_eq_i64: case v_cmp_ne_i64:
    case v_cmpx_eq_u32: case v_cmpx_ne_u32: case v_cmpx_eq_i32: case v_cmpx_ne_i32:
      if ((s.value[0] ^ s.value[1]) & ~(s.poison[0] | s.poison[1])) return false;
      break;
    default: break;
  }
  return s.any() != 0;
}

namespace {

u64 scalar_field(const LaneOperands& s, u32 bits, bool is_signed) {
  if (s.poison[1] & (0x7f0000 | (bits - 1))) return ~0ull;
  const u32 offset = s.value[1] & (bits - 1), width = s.value[1] >> 16 & 0x7f;
  if (!width) return 0;
  const u64 poison = s.poison[0] >> offset & mask_of(width);
  return is_signed && width < 64 ? sign_extended(poison, width) : poison;
}

// The same operations as `poison_of_lane`, on SGPRs; the value's bits that are surely 1 decide SCC.
u64 scalar_bits(const Instruction& in, const LaneOperands& s, bool scc_poison, bool scc) {
  using enum Opcode;
  const auto& p = s.poison;
  const auto& v = s.value;
  switch (in.opcode) {
    case s_mov_b32: case s_mov_b64: case s_not_b32: case s_not_b64: return p[0];
    case s_cmov_b32: case s_cmov_b64: case s_cmovk_i32: {   // s[1]: the old value
      const u64 chosen = in.opcode == s_cmovk_i32 ? 0 : p[0];
      const u32 old = in.opcode == s_cmovk_i32 ? 0 : 1;
      return scc_poison ? ~0ull : scc ? chosen : p[old];
    }
    case s_cselect_b32: case s_cselect_b64:
      return scc_poison ? of_selection(p[0], v[0], p[1], v[1]) : scc ? p[0] : p[1];
    case s_and_b32: case s_and_b64: case s_nand_b32: case s_nand_b64: return of_and(p[0], v[0], p[1], v[1]);
    case s_or_b32: case s_or_b64: case s_nor_b32: case s_nor_b64: return of_or(p[0], v[0], p[1], v[1]);
    case s_xor_b32: case s_xor_b64: case s_xnor_b32: case s_xnor_b64: return p[0] | p[1];
    case s_and_not1_b32: case s_and_not1_b64: return of_and(p[0], v[0], p[1], ~v[1]);
    case s_or_not1_b32: case s_or_not1_b64: return of_or(p[0], v[0], p[1], ~v[1]);
    case s_lshl_b32: return shifted_left(s, 1, 0, 32);
    case s_lshl_b64: return shifted_left(s, 1, 0, 64);
    case s_lshr_b32: return shifted_right(s, 1, 0, 32, false);
    case s_lshr_b64: return shifted_right(s, 1, 0, 64, false);
    case s_ashr_i32: return shifted_right(s, 1, 0, 32, true);
    case s_ashr_i64: return shifted_right(s, 1, 0, 64, true);
    case s_bfe_u32: return scalar_field(s, 32, false);
    case s_bfe_i32: return scalar_field(s, 32, true);
    case s_bfe_u64: return scalar_field(s, 64, false);
    case s_bfe_i64: return scalar_field(s, 64, true);
    case s_add_u32: case s_add_i32: case s_sub_u32: case s_sub_i32: case s_addk_i32: return smear_up(s.any());
    case s_addc_u32: case s_subb_u32: return smear_up(s.any() | u64(scc_poison));
    case s_mul_i32: case s_mulk_i32: return of_product(s);
    case s_mul_hi_u32: case s_mul_hi_i32: return all_if(of_product(s));
    case s_pack_ll_b32_b16: return (p[0] & 0xffff) | p[1] << 16;
    case s_pack_lh_b32_b16: return (p[0] & 0xffff) | (p[1] & 0xffff0000);
    case s_pack_hh_b32_b16: return p[0] >> 16 | (p[1] & 0xffff0000);
    case s_pack_hl_b32_b16: return p[0] >> 16 | p[1] << 16;
    case s_bitset0_b32: case s_bitset1_b32: case s_bitset0_b64: case s_bitset1_b64: {   // s[1]: the old value
      const u32 bits = in.opcode == s_bitset0_b32 || in.opcode == s_bitset1_b32 ? 31 : 63;
      return p[0] & bits ? ~0ull : p[1] & ~(1ull << (v[0] & bits));
    }
    case s_sext_i32_i8: return sign_extended(p[0] & 0xff, 8);
    case s_sext_i32_i16: return sign_extended(p[0] & 0xffff, 16);
    default: return all_if(s.any());
  }
}

// A defined 1 among the result's bits says that it is not zero.
bool has_defined_one(const Instruction& in, const LaneOperands& s, u64 poison) {
  using enum Opcode;
  const auto& v = s.value;
  switch (in.opcode) {
    case s_and_b32: case s_and_b64: return (v[0] & v[1] & ~poison) != 0;
    case s_or_b32: case s_or_b64: return ((v[0] | v[1]) & ~poison) != 0;
    case s_xor_b32: case s_xor_b64: return ((v[0] ^ v[1]) & ~poison) != 0;
    case s_and_not1_b32: case s_and_not1_b64: return (v[0] & ~v[1] & ~poison) != 0;
    default: return false;
  }
}

bool compares_equality(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    case s_cmp_eq_i32: case s_cmp_lg_i32: case s_cmp_eq_u32: case s_cmp_lg_u32: case s_cmp_eq_u64: case s_cmp_lg_u64:
      return true;
    default: return false;
  }
}

}  // namespace

ScalarPoison poison_of_scalar(const Instruction& in, const LaneOperands& s, bool scc_poison, bool scc) {
  using enum Opcode;
  ScalarPoison result;
  const OpInfo& op = info(in.opcode);
  result.bits = scalar_bits(in, s, scc_poison, scc);
  if (!op.effects.writes_special(Special::SCC)) return result;
  if (compares_equality(in.opcode)) {
    result.scc = s.any() && !((s.value[0] ^ s.value[1]) & ~(s.poison[0] | s.poison[1]));
  } else if (in.opcode == s_bitcmp0_b32 || in.opcode == s_bitcmp1_b32 || in.opcode == s_bitcmp0_b64 ||
             in.opcode == s_bitcmp1_b64) {
    const u32 last = in.opcode == s_bitcmp0_b32 || in.opcode == s_bitcmp1_b32 ? 31 : 63;
    result.scc = (s.poison[1] & last) || (s.poison[0] >> (s.value[1] & last) & 1);
  } else {
    const u64 used = in.dst.count_dw == 2 ? ~0ull : 0xffffffff;
    const bool carries = in.opcode == s_add_u32 || in.opcode == s_add_i32 || in.opcode == s_addc_u32 ||
                         in.opcode == s_sub_u32 || in.opcode == s_sub_i32 || in.opcode == s_subb_u32 ||
                         in.opcode == s_addk_i32 || !in.dst.present();
    const u64 decides = carries ? s.any() | u64(scc_poison) : result.bits & used;
    result.scc = decides && !has_defined_one(in, s, result.bits);
  }
  return result;
}

}  // namespace amlm::isa
