// VOP3 integer and bit instructions.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/lanes_wide.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

i32 v_mad_i32_i24(u32 a, u32 b, i32 c) { return i32(u32(signed_24(a)) * u32(signed_24(b)) + u32(c)); }
u32 v_mad_u32_u24(u32 a, u32 b, u32 c) { return unsigned_24(a) * unsigned_24(b) + c; }
i32 sat_mad_i32_i24(u32 a, u32 b, i32 c) { return clamp_to<i32>(i64(signed_24(a)) * signed_24(b) + c); }
u32 sat_mad_u32_u24(u32 a, u32 b, u32 c) { return clamp_to<u32>(i64(u64(unsigned_24(a)) * unsigned_24(b) + c)); }
u32 v_bfe_u32(u32 a, u32 b, u32 c) { return bit_field_u32(a, b & 31, c & 31); }
i32 v_bfe_i32(i32 a, u32 b, u32 c) { return bit_field_i32(a, b & 31, c & 31); }
u32 v_bfi_b32(u32 a, u32 b, u32 c) { return (a & b) | (~a & c); }
u32 v_lerp_u8(u32 a, u32 b, u32 c) {
  u32 result = 0;
  for (int i = 0; i < 32; i += 8) result |= ((a >> i & 0xff) + (b >> i & 0xff) + (c >> i & 1)) >> 1 << i;
  return result;
}
u32 v_alignbit_b32(u32 a, u32 b, u16 c) { return u32((u64(a) << 32 | b) >> (c & 31)); }
u32 v_alignbyte_b32(u32 a, u32 b, u16 c) { return u32((u64(a) << 32 | b) >> (8 * (c & 3))); }
i32 v_min3_i32(i32 a, i32 b, i32 c) { return least(least(a, b), c); }
u32 v_min3_u32(u32 a, u32 b, u32 c) { return least(least(a, b), c); }
i32 v_max3_i32(i32 a, i32 b, i32 c) { return greatest(greatest(a, b), c); }
u32 v_max3_u32(u32 a, u32 b, u32 c) { return greatest(greatest(a, b), c); }
i32 v_med3_i32(i32 a, i32 b, i32 c) { return middle(a, b, c); }
u32 v_med3_u32(u32 a, u32 b, u32 c) { return middle(a, b, c); }
i16 v_min3_i16(i16 a, i16 b, i16 c) { return least(least(a, b), c); }
u16 v_min3_u16(u16 a, u16 b, u16 c) { return least(least(a, b), c); }
i16 v_max3_i16(i16 a, i16 b, i16 c) { return greatest(greatest(a, b), c); }
u16 v_max3_u16(u16 a, u16 b, u16 c) { return greatest(greatest(a, b), c); }
i16 v_med3_i16(i16 a, i16 b, i16 c) { return middle(a, b, c); }
u16 v_med3_u16(u16 a, u16 b, u16 c) { return middle(a, b, c); }
i32 v_maxmin_i32(i32 a, i32 b, i32 c) { return least(greatest(a, b), c); }
i32 v_minmax_i32(i32 a, i32 b, i32 c) { return greatest(least(a, b), c); }
u32 v_maxmin_u32(u32 a, u32 b, u32 c) { return least(greatest(a, b), c); }
u32 v_minmax_u32(u32 a, u32 b, u32 c) { return greatest(least(a, b), c); }

AMLM_INLINE u32 distance(u32 a, u32 b) { return a > b ? a - b : b - a; }
AMLM_INLINE u32 byte_distances(u32 a, u32 b) {
  u32 sum = 0;
  for (int i = 0; i < 32; i += 8) sum += distance(a >> i & 0xff, b >> i & 0xff);
  return sum;
}
// Bytes where the reference (b) is zero do not count.
AMLM_INLINE u32 masked_distances(u32 a, u32 b) {
  u32 sum = 0;
  for (int i = 0; i < 32; i += 8) sum += (b >> i & 0xff) != 0 ? distance(a >> i & 0xff, b >> i & 0xff) : 0;
  return sum;
}
u32 v_sad_u8(u32 a, u32 b, u32 c) { return byte_distances(a, b) + c; }
u32 v_sad_hi_u8(u32 a, u32 b, u32 c) { return (byte_distances(a, b) << 16) + c; }
u32 v_sad_u16(u32 a, u32 b, u32 c) { return distance(a & 0xffff, b & 0xffff) + distance(a >> 16, b >> 16) + c; }
u32 v_sad_u32(u32 a, u32 b, u32 c) { return distance(a, b) + c; }
u32 v_msad_u8(u32 a, u32 b, u32 c) { return masked_distances(a, b) + c; }
u64 v_qsad_pk_u16_u8(u64 a, u32 b, u64 c) {
  u64 result = 0;
  for (int i = 0; i < 4; i++) result |= u64(u16(byte_distances(u32(a >> (8 * i)), b) + u32(c >> (16 * i)))) << (16 * i);
  return result;
}
u64 v_mqsad_pk_u16_u8(u64 a, u32 b, u64 c) {
  u64 result = 0;
  for (int i = 0; i < 4; i++) result |= u64(u16(masked_distances(u32(a >> (8 * i)), b) + u32(c >> (16 * i)))) << (16 * i);
  return result;
}

// The same with CLAMP.
u32 sat_sad_u8(u32 a, u32 b, u32 c) { return clamp_to<u32>(i64(byte_distances(a, b)) + c); }
u32 sat_sad_hi_u8(u32 a, u32 b, u32 c) { return clamp_to<u32>((i64(byte_distances(a, b)) << 16) + c); }
u32 sat_sad_u16(u32 a, u32 b, u32 c) {
  return clamp_to<u32>(i64(distance(a & 0xffff, b & 0xffff)) + distance(a >> 16, b >> 16) + c);
}
u32 sat_sad_u32(u32 a, u32 b, u32 c) { return clamp_to<u32>(i64(distance(a, b)) + c); }
u32 sat_msad_u8(u32 a, u32 b, u32 c) { return clamp_to<u32>(i64(masked_distances(a, b)) + c); }
template <auto distances>
u64 sat_qsad(u64 a, u32 b, u64 c) {
  u64 result = 0;
  for (int i = 0; i < 4; i++)
    result |= u64(clamp_to<u16>(i64(distances(u32(a >> (8 * i)), b)) + u16(c >> (16 * i)))) << (16 * i);
  return result;
}

u32 v_xor3_b32(u32 a, u32 b, u32 c) { return a ^ b ^ c; }
u32 v_perm_b32(u32 a, u32 b, u32 selector) {
  u32 result = 0;
  for (int i = 0; i < 32; i += 8) {
    const u32 s = selector >> i & 0xff;
    const u32 byte = ((s & 4) != 0 ? a : b) >> (8 * (s & 3)) & 0xff;
    const u32 half = (s & 2) != 0 ? a : b;                                  // 8-11: sign of a half
    const u32 sign = 0u - (half >> ((s & 1) != 0 ? 31 : 15) & 1);
    const u32 high = s == 12 ? 0u : 0xffu;
    const u32 upper = s < 12 ? sign & 0xff : high;
    result |= (s < 8 ? byte : upper) << i;
  }
  return result;
}
u32 v_xad_u32(u32 a, u32 b, u32 c) { return (a ^ b) + c; }
u32 v_lshl_add_u32(u32 a, u32 b, u32 c) { return (a << (b & 31)) + c; }
u32 v_add_lshl_u32(u32 a, u32 b, u32 c) { return (a + b) << (c & 31); }
u32 v_add3_u32(u32 a, u32 b, u32 c) { return a + b + c; }
u32 v_lshl_or_b32(u32 a, u32 b, u32 c) { return a << (b & 31) | c; }
u32 v_and_or_b32(u32 a, u32 b, u32 c) { return (a & b) | c; }
u32 v_or3_b32(u32 a, u32 b, u32 c) { return a | b | c; }
u16 v_cndmask_b16(u16 a, u16 b, bool mask) { return mask ? b : a; }

u16 v_mad_u16(u16 a, u16 b, u16 c) { return u16(u32(a) * b + c); }
u16 sat_mad_u16(u16 a, u16 b, u16 c) { return clamp_to<u16>(i64(a) * b + c); }
i16 v_mad_i16(i16 a, i16 b, i16 c) { return i16(i32(a) * b + c); }
i16 sat_mad_i16(i16 a, i16 b, i16 c) { return clamp_to<i16>(i64(a) * b + c); }
u32 v_mad_u32_u16(u16 a, u16 b, u32 c) { return u32(a) * b + c; }
u32 sat_mad_u32_u16(u16 a, u16 b, u32 c) { return clamp_to<u32>(i64(a) * b + c); }
i32 v_mad_i32_i16(i16 a, i16 b, i32 c) { return i32(u32(i32(a) * b) + u32(c)); }
i32 sat_mad_i32_i16(i16 a, i16 b, i32 c) { return clamp_to<i32>(i64(a) * b + c); }
u16 v_add_nc_u16(u16 a, u16 b) { return u16(a + b); }
u16 sat_add_nc_u16(u16 a, u16 b) { return clamp_to<u16>(i64(a) + b); }
u16 v_sub_nc_u16(u16 a, u16 b) { return u16(a - b); }
u16 sat_sub_nc_u16(u16 a, u16 b) { return clamp_to<u16>(i64(a) - b); }
i16 v_add_nc_i16(i16 a, i16 b) { return i16(a + b); }
i16 sat_add_nc_i16(i16 a, i16 b) { return clamp_to<i16>(i64(a) + b); }
i16 v_sub_nc_i16(i16 a, i16 b) { return i16(a - b); }
i16 sat_sub_nc_i16(i16 a, i16 b) { return clamp_to<i16>(i64(a) - b); }
i32 v_add_nc_i32(i32 a, i32 b) { return i32(u32(a) + u32(b)); }
i32 sat_add_nc_i32(i32 a, i32 b) { return clamp_to<i32>(i64(a) + b); }
i32 v_sub_nc_i32(i32 a, i32 b) { return i32(u32(a) - u32(b)); }
i32 sat_sub_nc_i32(i32 a, i32 b) { return clamp_to<i32>(i64(a) - b); }
u16 v_mul_lo_u16(u16 a, u16 b) { return u16(u32(a) * b); }
u16 v_max_u16(u16 a, u16 b) { return greatest(a, b); }
i16 v_max_i16(i16 a, i16 b) { return greatest(a, b); }
u16 v_min_u16(u16 a, u16 b) { return least(a, b); }
i16 v_min_i16(i16 a, i16 b) { return least(a, b); }
u16 v_lshlrev_b16(u16 a, u16 b) { return u16(b << (a & 15)); }
u16 v_lshrrev_b16(u16 a, u16 b) { return u16(b >> (a & 15)); }
i16 v_ashrrev_i16(u16 a, i16 b) { return i16(b >> (a & 15)); }
u16 v_and_b16(u16 a, u16 b) { return a & b; }
u16 v_or_b16(u16 a, u16 b) { return a | b; }
u16 v_xor_b16(u16 a, u16 b) { return a ^ b; }
// The bits of two halves: nothing is rounded or quieted.
u32 v_pack_b32_f16(u16 a, u16 b) { return a | u32(b) << 16; }
u32 v_cvt_pk_u16_u32(u32 a, u32 b) { return least(a, 0xffffu) | least(b, 0xffffu) << 16; }
u32 v_cvt_pk_i16_i32(i32 a, i32 b) { return u32(u16(clamp_to<i16>(a))) | u32(u16(clamp_to<i16>(b))) << 16; }

With<u64> v_mad_u64_u32(u32 a, u32 b, u64 c) {
  const u64 product = u64(a) * b, sum = product + c;
  return {sum, sum < product};
}
With<i64> v_mad_i64_i32(i32 a, i32 b, i64 c) {
  const i64 product = i64(a) * b, sum = i64(u64(product) + u64(c));
  const bool overflow = ((product ^ sum) & (c ^ sum)) < 0;
  return {sum, overflow != (sum < 0)};   // bit 64 of the exact sum
}
With<u64> sat_mad_u64_u32(u32 a, u32 b, u64 c) {
  const With<u64> sum = v_mad_u64_u32(a, b, c);
  return {sum.flag ? ~u64{0} : sum.value, sum.flag};
}
With<i64> sat_mad_i64_i32(i32 a, i32 b, i64 c) {
  const With<i64> sum = v_mad_i64_i32(a, b, c);
  const i64 product = i64(a) * b, end = c < 0 ? std::numeric_limits<i64>::min() : std::numeric_limits<i64>::max();
  return {((product ^ sum.value) & (c ^ sum.value)) < 0 ? end : sum.value, sum.flag};
}
With<u32> sat_add_co_u32(u32 a, u32 b) { return {clamp_to<u32>(i64(a) + b), a + b < a}; }
With<u32> sat_sub_co_u32(u32 a, u32 b) { return {clamp_to<u32>(i64(a) - b), b > a}; }
With<u32> sat_subrev_co_u32(u32 a, u32 b) { return {clamp_to<u32>(i64(b) - a), a > b}; }
With<u32> v_add_co_u32(u32 a, u32 b) { return {a + b, a + b < a}; }
With<u32> v_sub_co_u32(u32 a, u32 b) { return {a - b, b > a}; }
With<u32> v_subrev_co_u32(u32 a, u32 b) { return {b - a, a > b}; }

u32 v_bfm_b32(u32 a, u32 b) { return ((1u << (a & 31)) - 1) << (b & 31); }
u32 v_bcnt_u32_b32(u32 a, u32 b) { return u32(std::popcount(a)) + b; }
// Bits of lanes below this one.
u32 v_mbcnt_lo_u32_b32(Env env, u32 a, u32 b) {
  return u32(std::popcount(env.lane >= 32 ? a : a & ((1u << (env.lane & 31)) - 1))) + b;
}
u32 v_mbcnt_hi_u32_b32(Env env, u32 a, u32 b) {
  return u32(std::popcount(env.lane >= 32 ? a & ((1u << (env.lane & 31)) - 1) : 0u)) + b;
}
u32 v_mul_lo_u32(u32 a, u32 b) { return a * b; }
u32 v_mul_hi_u32(u32 a, u32 b) { return u32(u64(a) * b >> 32); }
i32 v_mul_hi_i32(i32 a, i32 b) { return i32(i64(a) * b >> 32); }
u64 v_lshlrev_b64(u32 a, u64 b) { return b << (a & 63); }
u64 v_lshrrev_b64(u32 a, u64 b) { return b >> (a & 63); }
i64 v_ashrrev_i64(u32 a, i64 b) { return b >> (a & 63); }

}  // namespace op

#if defined(__x86_64__)
// Selectors of 0 to 7 only: each byte of the result from one source or the other.
AMLM_AVX512 void v_perm_b32_wide(Wave& wave, const Step& step) {
  if (!step.plain) return vector_op<op::v_perm_b32>(wave, step);
  const WideSource a = wide_source(wave, step.in, 0), b = wide_source(wave, step.in, 1),
                   select = wide_source(wave, step.in, 2);
  const __m512i place = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
  __m512i result[2];
  for (u32 i = 0; i < 2; i++) {
    const __m512i selector = select.at(16 * i);
    if (_mm512_test_epi32_mask(selector, _mm512_set1_epi32(i32(0xf8f8f8f8))) != 0)
      return vector_op<op::v_perm_b32>(wave, step);
    const __mmask64 from_a = _mm512_test_epi8_mask(selector, _mm512_set1_epi8(4));
    const __m512i byte = _mm512_add_epi32(_mm512_and_epi32(selector, _mm512_set1_epi8(3)), place);
    result[i] = _mm512_mask_shuffle_epi8(_mm512_shuffle_epi8(b.at(16 * i), byte), from_a, a.at(16 * i), byte);
  }
  write_wide(wave.vgpr(step.in.dst.vgpr()), wave.exec(), result[0], result[1]);
}
constexpr Binding perm{Opcode::v_perm_b32, vector_op<op::v_perm_b32>, v_perm_b32_wide};
#else
constexpr Binding perm{Opcode::v_perm_b32, vector_op<op::v_perm_b32>};
#endif

// Four sums of 32 bits: the reference against four bytes from each of the first four.
void v_mqsad_u32_u8(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  Lanes bytes, reference;
  LaneBuffer buffers[2];
  fetch_plain<u64>(wave, step, in.src[0], bytes, buffers[0]);
  fetch_plain<u32>(wave, step, in.src[1], reference, buffers[1]);
  alignas(64) u32 sums[4][half_lanes];
  for (u32 i = 0; i < 4; i++) {
    const u32* old = wave.vgpr(in.src[2].vgpr() + i);
    for (u32 lane = 0; lane < half_lanes; lane++) {
      const u32 four = u32(lane_value<u64>(bytes, lane) >> (8 * i));
      sums[i][lane] = in.clamp ? op::sat_msad_u8(four, reference.low[lane], old[lane])
                               : op::v_msad_u8(four, reference.low[lane], old[lane]);
    }
  }
  for (u32 i = 0; i < 4; i++) write_lanes(wave.vgpr(in.dst.vgpr() + i), sums[i], wave.exec());
}

#define BIND(name) {Opcode::name, vector_op<op::name>}
#define WIDE(name) {Opcode::name, vector_op<op::name>, vector_wide<op::name>}
#define SATURATING(name) {Opcode::v_##name, vector_op<op::v_##name, Last::source, op::sat_##name>}
constexpr Binding bindings[] = {
    SATURATING(mad_i32_i24), SATURATING(mad_u32_u24), WIDE(v_bfe_u32), WIDE(v_bfe_i32), WIDE(v_bfi_b32),
    BIND(v_lerp_u8), BIND(v_alignbit_b32), BIND(v_alignbyte_b32), BIND(v_min3_i32), BIND(v_min3_u32),
    BIND(v_max3_i32), BIND(v_max3_u32), BIND(v_med3_i32), BIND(v_med3_u32), BIND(v_min3_i16), BIND(v_min3_u16),
    BIND(v_max3_i16), BIND(v_max3_u16), BIND(v_med3_i16), BIND(v_med3_u16), BIND(v_maxmin_i32), BIND(v_minmax_i32),
    BIND(v_maxmin_u32), BIND(v_minmax_u32), SATURATING(sad_u8), SATURATING(sad_hi_u8), SATURATING(sad_u16),
    SATURATING(sad_u32), SATURATING(msad_u8),
    {Opcode::v_qsad_pk_u16_u8, vector_op<op::v_qsad_pk_u16_u8, Last::source, op::sat_qsad<op::byte_distances>>},
    {Opcode::v_mqsad_pk_u16_u8, vector_op<op::v_mqsad_pk_u16_u8, Last::source, op::sat_qsad<op::masked_distances>>},
    WIDE(v_xor3_b32),
    perm, {Opcode::v_mqsad_u32_u8, v_mqsad_u32_u8},
    WIDE(v_xad_u32), WIDE(v_lshl_add_u32), WIDE(v_add_lshl_u32), WIDE(v_add3_u32), WIDE(v_lshl_or_b32),
    WIDE(v_and_or_b32), WIDE(v_or3_b32), BIND(v_cndmask_b16), SATURATING(mad_u16), SATURATING(mad_i16),
    SATURATING(mad_u32_u16), SATURATING(mad_i32_i16), SATURATING(add_nc_u16), SATURATING(sub_nc_u16),
    SATURATING(add_nc_i16), SATURATING(sub_nc_i16), SATURATING(add_nc_i32), SATURATING(sub_nc_i32),
    BIND(v_mul_lo_u16), BIND(v_max_u16), BIND(v_max_i16), BIND(v_min_u16), BIND(v_min_i16), BIND(v_lshlrev_b16),
    BIND(v_lshrrev_b16), BIND(v_ashrrev_i16), BIND(v_and_b16), BIND(v_or_b16), BIND(v_xor_b16), WIDE(v_pack_b32_f16),
    BIND(v_cvt_pk_u16_u32), BIND(v_cvt_pk_i16_i32), SATURATING(mad_u64_u32), SATURATING(mad_i64_i32), SATURATING(add_co_u32),
    SATURATING(sub_co_u32), SATURATING(subrev_co_u32), BIND(v_bfm_b32), BIND(v_bcnt_u32_b32), BIND(v_mbcnt_lo_u32_b32),
    BIND(v_mbcnt_hi_u32_b32), WIDE(v_mul_lo_u32), BIND(v_mul_hi_u32), BIND(v_mul_hi_i32), BIND(v_lshlrev_b64),
    BIND(v_lshrrev_b64), BIND(v_ashrrev_i64),
};
#undef BIND
#undef WIDE
#undef SATURATING

}  // namespace

std::span<const Binding> vop3_integer_bindings() { return bindings; }

}  // namespace amlm::isa
