// VOP3P: packed 16-bit arithmetic, mixed-precision FMA, dot products. WMMA is in wmma.cpp.
//
// OPSEL picks each source's half for the low result, OPSEL_HI for the high one; NEG and NEG_HI likewise. Inline
// constants of float operations are 16-bit and stand in the low half, the high one is 0; of integer ones, 32-bit.
#include <fmt/format.h>

#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/host_vectors.h"
#include "isa/execute/silicon_dot.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define AMLM_CLONES __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define AMLM_CLONES
#endif

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

i16 mad_i16(i16 a, i16 b, i16 c) { return i16(i32(a) * b + c); }
i16 sat_mad_i16(i16 a, i16 b, i16 c) { return clamp_to<i16>(i64(a) * b + c); }
u16 mad_u16(u16 a, u16 b, u16 c) { return u16(u32(a) * b + c); }
u16 sat_mad_u16(u16 a, u16 b, u16 c) { return clamp_to<u16>(i64(a) * b + c); }
u16 mul_lo_u16(u16 a, u16 b) { return u16(u32(a) * b); }
i16 add_i16(i16 a, i16 b) { return i16(a + b); }
i16 sat_add_i16(i16 a, i16 b) { return clamp_to<i16>(i64(a) + b); }
i16 sub_i16(i16 a, i16 b) { return i16(a - b); }
i16 sat_sub_i16(i16 a, i16 b) { return clamp_to<i16>(i64(a) - b); }
u16 add_u16(u16 a, u16 b) { return u16(a + b); }
u16 sat_add_u16(u16 a, u16 b) { return clamp_to<u16>(i64(a) + b); }
u16 sub_u16(u16 a, u16 b) { return u16(a - b); }
u16 sat_sub_u16(u16 a, u16 b) { return clamp_to<u16>(i64(a) - b); }
u16 lshlrev(u16 a, u16 b) { return u16(b << (a & 15)); }
u16 lshrrev(u16 a, u16 b) { return u16(b >> (a & 15)); }
i16 ashrrev(u16 a, i16 b) { return i16(b >> (a & 15)); }
i16 max_i16(i16 a, i16 b) { return greatest(a, b); }
i16 min_i16(i16 a, i16 b) { return least(a, b); }
u16 max_u16(u16 a, u16 b) { return greatest(a, b); }
u16 min_u16(u16 a, u16 b) { return least(a, b); }
Half fma_f16(Half a, Half b, Half c) { return fma(a, b, c); }
Half add_f16(Half a, Half b) { return add(a, b); }
Half mul_f16(Half a, Half b) { return mul(a, b); }
u16 pk_min_f16(Env env, u16 a, u16 b) { return min_f16(a, b, env.ieee()); }
u16 pk_max_f16(Env env, u16 a, u16 b) { return max_f16(a, b, env.ieee()); }

}  // namespace op

// The register or constant of a packed source.
const u32* packed_source(Wave& wave, const Instruction& in, const Operand& operand, bool floating, u32* buffer) {
  if (operand.is_vgpr()) return wave.vgpr(operand.vgpr());
  broadcast(buffer, floating ? scalar_half(wave, operand.code, in) : wave.scalar(operand.code, in));
  return buffer;
}

void select_half(const u32* from, u32* to, bool high, bool negate) {
  const u32 shift = high ? 16 : 0, flip = negate ? 0x8000 : 0;
  for (u32 i = 0; i < half_lanes; i++) to[i] = (from[i] >> shift & 0xffff) ^ flip;
}

void flush_f16(u32* lanes) {
  for (u32 i = 0; i < half_lanes; i++) lanes[i] = (lanes[i] & 0x7c00) == 0 ? lanes[i] & 0x8000 : lanes[i];
}

void clamp_f16(u32* lanes, bool nan_to_zero) {   // to [0, 1]
  for (u32 i = 0; i < half_lanes; i++) {
    const u32 magnitude = lanes[i] & 0x7fff;
    const bool nan = magnitude > 0x7c00;
    const u32 inside = (lanes[i] & 0x8000) != 0 ? 0 : magnitude > 0x3c00 ? 0x3c00 : magnitude;
    lanes[i] = nan ? (nan_to_zero ? 0 : lanes[i]) : inside;
  }
}

// A source as packed dwords: of each half the selected one, negated where asked.
const u32* merged_source(Wave& wave, const Instruction& in, const Operand& operand, bool floating, u32 k, u32* buffer) {
  const bool native = in.format == Format::vop2;   // v_pk_fmac_f16: no selects
  const u32 low = native ? 0 : in.opsel >> k & 1, high = native ? 1 : in.opsel_hi >> k & 1;
  const u32 flip = (in.neg >> k & 1) << 15 | (in.neg_hi >> k & 1) << 31;
  const u32 low_shift = 16 * low, high_shift = 16 - 16 * high;
  const auto merged = [&](u32 value) { return ((value >> low_shift & 0xffff) | (value << high_shift & 0xffff0000)) ^ flip; };
  if (!operand.is_vgpr()) {
    broadcast(buffer, merged(floating ? scalar_half(wave, operand.code, in) : wave.scalar(operand.code, in)));
    return buffer;
  }
  const u32* from = wave.vgpr(operand.vgpr());
  if (low == 0 && high == 1 && flip == 0) return from;
  for (u32 i = 0; i < half_lanes; i++) buffer[i] = merged(from[i]);
  return buffer;
}

bool is_simple(const Wave& wave, const Instruction& in, bool floating) {
  const bool usual = !floating || (wave.mode & mode_f16_f64_fields) == mode_f16_f64_usual;
  return usual && in.encoding == Encoding::native && !in.clamp && (floating || (in.neg | in.neg_hi) == 0);
}

// The usual mode, nothing clamped: 64 halves in their order in the registers.
template <auto F, Last last>
AMLM_INLINE void packed_simple(Wave& wave, const Step& step, bool floating) {
  using S = Signature<decltype(F)>;
  using Packed [[gnu::may_alias]] = u16;
  constexpr u32 n = S::count, halves = 2 * half_lanes;
  const Instruction& in = step.in;
  alignas(64) u32 result[half_lanes];
  LaneBuffer buffers[n];
  const u32* sources[n];
  for (u32 k = 0; k < n; k++)
    sources[k] = merged_source(wave, in, last == Last::destination && k == n - 1 ? in.dst : in.src[k], floating, k,
                               buffers[k].low);
  [&]<u32... k>(std::integer_sequence<u32, k...>) __attribute__((always_inline)) {
    if constexpr (std::is_same_v<typename S::template Arg<0>, Half>) {
      alignas(64) f32 wide[n][halves];
      (widen_packed(sources[k], wide[k]), ...);
      for (u32 i = 0; i < halves; i++) wide[0][i] = F(Half{wide[k][i]}...).value;
      narrow_packed(wide[0], result);
    } else {
      const Packed* from[n] = {reinterpret_cast<const Packed*>(sources[k])...};
      Packed* to = reinterpret_cast<Packed*>(result);
      const Env env{wave.mode, 0, 0};   // no packed operation looks at its lane or VCC
      for (u32 i = 0; i < halves; i++) {
        if constexpr (S::has_env) to[i] = u16(F(env, typename S::template Arg<k>(from[k][i])...));
        else to[i] = u16(F(typename S::template Arg<k>(from[k][i])...));
      }
    }
  }(std::make_integer_sequence<u32, n>{});
  write_lanes(wave.vgpr(in.dst.vgpr()), result, wave.exec());
}

// Results that may not fit, and of which no source says that CLAMP saturates them.
bool clamp_is_unknown(Opcode opcode) {
  return opcode == Opcode::v_pk_mul_lo_u16 || opcode == Opcode::v_pk_lshlrev_b16;
}

template <auto F, Last last = Last::source, auto saturating = nullptr>
__attribute__((noinline)) void packed_op(Wave& wave, const Step& step) {
  using S = Signature<decltype(F)>;
  constexpr u32 n = S::count;
  constexpr bool widened = std::is_same_v<typename S::template Arg<0>, Half>;
  constexpr bool has_saturating = !std::is_same_v<decltype(saturating), std::nullptr_t>;
  const Instruction& in = step.in;
  // Only v_pk_fmac_f16 has the form, and it does not work on RDNA3 (Mesa, README-ISA).
  if (in.encoding != Encoding::native) return wave.raise("undefined", "DPP on v_pk_fmac_f16");
  const bool native = in.format == Format::vop2;   // v_pk_fmac_f16: no selects
  const bool floating = info(info(in.opcode).dst[0].type).kind == Kind::packed_floating;
  if (is_simple(wave, in, floating)) return packed_simple<F, last>(wave, step, floating);
  if ((in.neg | in.neg_hi) != 0 && !floating) return wave.raise("undefined", "neg on a packed integer source");
  if (in.clamp && clamp_is_unknown(in.opcode))
    return wave.raise("not-executed", fmt::format("{} with clamp", info(in.opcode).name));
  const bool flush_in = floating && (wave.mode & 0x40) == 0, flush_out = floating && (wave.mode & 0x80) == 0;
  LaneBuffer constants[n], result;
  const u32* sources[n];
  for (u32 k = 0; k < n; k++)
    sources[k] = packed_source(wave, in, last == Last::destination && k == n - 1 ? in.dst : in.src[k], floating,
                               constants[k].low);
  alignas(64) u32 halves[2][half_lanes];
  const HostRounding rounding(widened ? wave.mode >> 2 & 3 : 0);
  for (u32 h = 0; h < 2; h++) {
    LaneBuffer selected[n];
    Lanes lanes[n];
    const u32 select = native ? (h == 0 ? 0 : ~0u) : h == 0 ? in.opsel : in.opsel_hi, negate = h == 0 ? in.neg : in.neg_hi;
    for (u32 k = 0; k < n; k++) {
      select_half(sources[k], selected[k].low, (select >> k & 1) != 0, (negate >> k & 1) != 0);
      if (flush_in) flush_f16(selected[k].low);
      if (widened) widen_halves(selected[k].low, selected[k].low);
      lanes[k].low = selected[k].low;
    }
    constexpr auto indices = std::make_integer_sequence<u32, n>{};
    if constexpr (has_saturating) {
      if (in.clamp) apply<saturating>(indices, wave, lanes, result);
      else apply<F>(indices, wave, lanes, result);
    } else {
      apply<F>(indices, wave, lanes, result);
    }
    if (flush_out) flush_f16(result.low);
    if (floating && in.clamp) clamp_f16(result.low, (wave.mode & 0x100) != 0);
    std::memcpy(halves[h], result.low, sizeof result.low);
  }
  for (u32 i = 0; i < half_lanes; i++) result.low[i] = (halves[0][i] & 0xffff) | halves[1][i] << 16;
  write_lanes(wave.vgpr(in.dst.vgpr()), result.low, wave.exec());
}

template <auto F, Last last = Last::source, auto saturating = nullptr>
AMLM_AVX512 __attribute__((flatten)) void packed_wide(Wave& wave, const Step& step) {
  const bool floating = info(info(step.in.opcode).dst[0].type).kind == Kind::packed_floating;
  if (!is_simple(wave, step.in, floating)) return packed_op<F, last, saturating>(wave, step);
  packed_simple<F, last>(wave, step, floating);
}

// ---- Mixed precision: each source f32, or half of a register, by OPSEL_HI and OPSEL. NEG_HI is abs. ------------------

// The first source may come through DPP, which takes lanes from `write`.
const u32* through_dpp(Wave& wave, const Instruction& in, u32 k, const u32* from, u32* out, u32& write) {
  if (k != 0 || in.encoding == Encoding::native) return from;
  dpp_lanes(wave, in, from, out, write);
  return out;
}

const u32* mix_source(Wave& wave, const Instruction& in, u32 k, u32* out, u32& write) {
  const Operand& operand = in.src[k];
  const bool half = (in.opsel_hi >> k & 1) != 0;
  const u32 keep = (in.neg_hi >> k & 1) != 0 ? 0x7fffffff : ~0u, flip = (in.neg >> k & 1) != 0 ? 0x80000000 : 0;
  const u32* from = operand.is_vgpr() ? wave.vgpr(operand.vgpr()) : out;
  if (from == out) broadcast(out, half ? scalar_half(wave, operand.code, in) : wave.scalar(operand.code, in));
  from = through_dpp(wave, in, k, from, out, write);
  if (half) {
    select_half(from, out, (in.opsel >> k & 1) != 0, false);
    if ((wave.mode & 0x40) == 0) flush_f16(out);
    widen_halves(out, out);
    from = out;
  } else if ((wave.mode & 0x10) == 0) {
    for (u32 i = 0; i < half_lanes; i++) out[i] = (from[i] & 0x7f800000) == 0 ? from[i] & 0x80000000 : from[i];
    from = out;
  }
  if (keep == ~0u && flip == 0) return from;
  for (u32 i = 0; i < half_lanes; i++) out[i] = (from[i] & keep) ^ flip;
  return out;
}

u32 clamp_f32(u32 value, bool nan_to_zero) {
  const f32 x = arith::as_f32(value);
  if (x != x) return nan_to_zero ? 0 : value;
  return x > 0 ? arith::bits(x < 1 ? x : 1.0f) : 0;
}

// a * b + c rounded once to f16, given as an f32 that a further rounding brings there: an f64 sum made odd when inexact.
AMLM_CLONES void fma_for_f16(const u32* a, const u32* b, const u32* c, u32* out) {
  for (u32 i = 0; i < half_lanes; i++) {
    const f32 x = arith::as_f32(a[i]), y = arith::as_f32(b[i]), z = arith::as_f32(c[i]);
    out[i] = arith::bits(arith::with_nan(arith::to_f32_odd(arith::odd_sum(f64(x) * f64(y), f64(z))), x, y, z));
  }
}

// The same by an f32 sum, which is as good wherever that is not halfway between two f16: rounding is monotonic, so it
// cannot have crossed a halfway point, only have met one. 0: so in all lanes. NaN and small results are looked at broadly.
AMLM_CLONES u32 fma_for_f16_near(const u32* a, const u32* b, const u32* c, u32* out) {
  u32 doubtful = 0;
  for (u32 i = 0; i < half_lanes; i++) {
    const f32 sum = __builtin_fmaf(arith::as_f32(a[i]), arith::as_f32(b[i]), arith::as_f32(c[i]));
    const u32 value = arith::bits(sum), magnitude = value & 0x7fffffff;
    // Below 2^-14 halfway points are odd multiples of 2^-25.
    const f32 steps = sum * 0x1p25f;
    const bool small = (magnitude < 0x38800000) & (magnitude != 0) & (__builtin_rintf(steps) == steps);
    doubtful |= u32(((value & 0x1fff) == 0x1000) | (magnitude > 0x7f800000) | small);
    out[i] = value;
  }
  return doubtful;
}

bool mix_allowed(Wave& wave, const Instruction& in) {
  if (in.omod != 0) wave.raise("undefined", "omod on v_fma_mix");
  return !wave.faulted();
}

void v_fma_mix_f32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (!mix_allowed(wave, in)) return;
  LaneBuffer buffers[3], result;
  u32 write = wave.exec();
  const u32* a = mix_source(wave, in, 0, buffers[0].low, write);
  const u32* b = mix_source(wave, in, 1, buffers[1].low, write);
  const u32* c = mix_source(wave, in, 2, buffers[2].low, write);
  if (wave.faulted()) return;
  const HostRounding rounding(wave.mode & 3);
  for (u32 i = 0; i < half_lanes; i++)
    result.low[i] = arith::bits(arith::fma(arith::as_f32(a[i]), arith::as_f32(b[i]), arith::as_f32(c[i])));
  if ((wave.mode & 0x20) == 0)
    for (u32 i = 0; i < half_lanes; i++)
      if ((result.low[i] & 0x7f800000) == 0) result.low[i] &= 0x80000000;
  if (in.clamp)
    for (u32 i = 0; i < half_lanes; i++) result.low[i] = clamp_f32(result.low[i], (wave.mode & 0x100) != 0);
  write_lanes(wave.vgpr(in.dst.vgpr()), result.low, write);
}

template <bool high>
void v_fma_mix_half(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (!mix_allowed(wave, in)) return;
  LaneBuffer buffers[3], result;
  u32 write = wave.exec();
  const u32* a = mix_source(wave, in, 0, buffers[0].low, write);
  const u32* b = mix_source(wave, in, 1, buffers[1].low, write);
  const u32* c = mix_source(wave, in, 2, buffers[2].low, write);
  if (wave.faulted()) return;
  const HostRounding rounding(wave.mode >> 2 & 3);
  if (fma_for_f16_near(a, b, c, result.low) != 0) fma_for_f16(a, b, c, result.low);
  narrow_halves(result.low, result.low);
  if ((wave.mode & 0x80) == 0) flush_f16(result.low);
  if (in.clamp) clamp_f16(result.low, (wave.mode & 0x100) != 0);
  u32* to = wave.vgpr(in.dst.vgpr());
  if (high) {
    for (u32 i = 0; i < half_lanes; i++)
      to[i] = (write >> i & 1) != 0 ? (to[i] & 0xffff) | result.low[i] << 16 : to[i];
  } else {
    write_low_halves(to, result.low, write);
  }
}

// The same for AVX-512 in the usual mode, without clamp: 16 lanes at a time. Rounded to f16 by way of the odd one of the two
// f32 next to the sum, or the sum itself. NaN results go the other way, for their bits.
#if defined(__x86_64__)

struct MixSource {
  const u32* lanes;   // null: `constant`
  u32 constant;
  bool half, high;
  u32 keep, flip;
};

AMLM_INLINE MixSource mix_source_of(Wave& wave, const Instruction& in, u32 k) {
  const Operand& operand = in.src[k];
  const bool half = (in.opsel_hi >> k & 1) != 0;
  MixSource source{.lanes = operand.is_vgpr() ? wave.vgpr(operand.vgpr()) : nullptr,
                   .constant = 0,
                   .half = half,
                   .high = (in.opsel >> k & 1) != 0,
                   .keep = (in.neg_hi >> k & 1) != 0 ? 0x7fffffff : ~0u,
                   .flip = (in.neg >> k & 1) != 0 ? 0x80000000 : 0};
  if (!operand.is_vgpr())
    source.constant = half ? scalar_half(wave, operand.code, in) : wave.scalar(operand.code, in);
  return source;
}

template <bool signs>
AMLM_AVX512 AMLM_INLINE __m512 mix_lanes(const MixSource& source, u32 lane) {
  __m512i bits = source.lanes != nullptr ? _mm512_loadu_si512(source.lanes + lane) : _mm512_set1_epi32(i32(source.constant));
  if (source.half) {
    if (source.high) bits = _mm512_srli_epi32(bits, 16);
    bits = _mm512_castps_si512(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits)));
  }
  if (!signs) return _mm512_castsi512_ps(bits);
  const __m512i kept = _mm512_and_epi32(bits, _mm512_set1_epi32(i32(source.keep)));
  return _mm512_castsi512_ps(_mm512_xor_epi32(kept, _mm512_set1_epi32(i32(source.flip))));
}

enum class MixResult : u8 { f32, low, high };

// False: a result is NaN, and nothing was written.
template <MixResult kind, bool signs>
AMLM_AVX512 bool fma_mix_wide(Wave& wave, const Instruction& in) {
  constexpr int down = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC, up = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
  const MixSource a = mix_source_of(wave, in, 0), b = mix_source_of(wave, in, 1), c = mix_source_of(wave, in, 2);
  __m512i result[2];
  for (u32 i = 0; i < 2; i++) {
    const __m512 x = mix_lanes<signs>(a, 16 * i), y = mix_lanes<signs>(b, 16 * i), z = mix_lanes<signs>(c, 16 * i);
    const __m512 sum = kind == MixResult::f32 ? _mm512_fmadd_ps(x, y, z) : _mm512_fmadd_round_ps(x, y, z, down);
    if (_mm512_cmp_ps_mask(sum, sum, _CMP_UNORD_Q) != 0) return false;
    result[i] = _mm512_castps_si512(sum);
    if (kind == MixResult::f32) continue;
    const __m512i above = _mm512_castps_si512(_mm512_fmadd_round_ps(x, y, z, up));
    const __m512i odd = _mm512_mask_mov_epi32(above, _mm512_test_epi32_mask(result[i], _mm512_set1_epi32(1)), result[i]);
    const __m256i half = _mm512_cvtps_ph(_mm512_castsi512_ps(odd), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    result[i] = _mm512_cvtepu16_epi32(half);
  }
  u32* to = wave.vgpr(in.dst.vgpr());
  for (u32 i = 0; i < 2; i++) {
    const __mmask16 lanes = __mmask16(wave.exec() >> (16 * i));
    const __m512i old = _mm512_loadu_si512(to + 16 * i);
    const __m512i merged = kind == MixResult::f32 ? result[i]
                           : kind == MixResult::low
                               ? _mm512_mask_blend_epi16(0x55555555, old, result[i])
                               : _mm512_mask_blend_epi16(0xaaaaaaaa, old, _mm512_slli_epi32(result[i], 16));
    _mm512_mask_storeu_epi32(to + 16 * i, lanes, merged);
  }
  return true;
}

template <MixResult kind, Handler other>
void v_fma_mix_wide(Wave& wave, const Step& step) {
  constexpr u32 fields = mode_f32_fields | mode_f16_f64_fields, usual = mode_f32_usual | mode_f16_f64_usual;
  const Instruction& in = step.in;
  const bool fast = (wave.mode & fields) == usual && in.omod == 0 && !in.clamp && in.encoding == Encoding::native;
  const bool signs = (step.in.neg | step.in.neg_hi) != 0;
  if (fast && (signs ? fma_mix_wide<kind, true>(wave, step.in) : fma_mix_wide<kind, false>(wave, step.in))) return;
  other(wave, step);
}

#else

enum class MixResult : u8 { f32, low, high };
template <MixResult, Handler other>
void v_fma_mix_wide(Wave& wave, const Step& step) { other(wave, step); }

#endif

// ---- Dot products --------------------------------------------------------------------------------------------------

template <silicon::Factor factor>
const u32* dot_source(Wave& wave, const Instruction& in, u32 k, u32* buffer, u32& write) {
  const Operand& operand = in.src[k];
  const bool low_high = (in.opsel >> k & 1) != 0, high_high = (in.opsel_hi >> k & 1) != 0;
  const u32 flip = ((in.neg >> k & 1) != 0 ? 0x8000u : 0) | ((in.neg_hi >> k & 1) != 0 ? 0x80000000u : 0);
  u32 constant = 0;
  const u32* from = nullptr;
  if (operand.is_vgpr()) {
    from = through_dpp(wave, in, k, wave.vgpr(operand.vgpr()), buffer, write);
    if (!low_high && high_high && flip == 0) return from;
  } else if (factor == silicon::Factor::bf16 && operand.code >= 128 && operand.code <= 248) {
    constant = wave.scalar(operand.code, in) >> 16;   // captured on gfx1100: upper half of the f32, in both halves
    constant |= constant << 16;
  } else {
    constant = scalar_half(wave, operand.code, in);
  }
  for (u32 i = 0; i < half_lanes; i++) {
    const u32 value = from != nullptr ? from[i] : constant;
    buffer[i] = ((low_high ? value >> 16 : value & 0xffff) | (high_high ? value & 0xffff0000 : value << 16)) ^ flip;
  }
  return buffer;
}

template <silicon::Factor factor>
void v_dot2_f32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if ((in.neg_hi & 4) != 0) return wave.raise("undefined", "neg_hi of v_dot2's f32 source");
  LaneBuffer a, b, c;
  u32 write = wave.exec();
  const u32* left = dot_source<factor>(wave, in, 0, a.low, write);
  const u32* right = dot_source<factor>(wave, in, 1, b.low, write);
  if (wave.faulted()) return;
  const u32* sum = c.low;
  if (in.src[2].is_vgpr()) sum = wave.vgpr(in.src[2].vgpr());
  else broadcast(c.low, wave.scalar(in.src[2].code, in));
  if ((in.neg & 4) != 0) {
    for (u32 i = 0; i < half_lanes; i++) c.low[i] = sum[i] ^ 0x80000000;
    sum = c.low;
  }
  silicon::dot2_f32(factor, left, right, sum, a.high, wave.exec());   // clamp is ignored by float dot products
  write_lanes(wave.vgpr(in.dst.vgpr()), a.high, write);
}

// Parts of `bits` bits; NEG[k] says that source k is signed.
template <int bits, class Sum>
AMLM_INLINE Sum integer_dot(u32 a, u32 b, bool a_signed, bool b_signed) {
  Sum sum = 0;
  for (int i = 0; i < 32; i += bits) {
    const i32 x = a_signed ? i32(a << (32 - bits - i)) >> (32 - bits) : i32(a << (32 - bits - i) >> (32 - bits));
    const i32 y = b_signed ? i32(b << (32 - bits - i)) >> (32 - bits) : i32(b << (32 - bits - i) >> (32 - bits));
    sum += x * y;
  }
  return sum;
}

template <int bits, bool signs>
void v_dot_integer(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if ((in.neg & (signs ? 4 : 7)) != 0 || in.neg_hi != 0)
    return wave.raise("undefined", "neg bits of an integer dot product");
  const bool a_signed = signs && (in.neg & 1) != 0, b_signed = signs && (in.neg & 2) != 0;
  LaneBuffer a, b, c, result;
  const u32* left = packed_source(wave, in, in.src[0], false, a.low);
  const u32* right = packed_source(wave, in, in.src[1], false, b.low);
  const u32* sum = packed_source(wave, in, in.src[2], false, c.low);
  if (!in.clamp) {
    const auto all = [&]<bool x, bool y>() {
      for (u32 i = 0; i < half_lanes; i++) result.low[i] = u32(integer_dot<bits, i32>(left[i], right[i], x, y)) + sum[i];
    };
    if (a_signed) b_signed ? all.template operator()<true, true>() : all.template operator()<true, false>();
    else b_signed ? all.template operator()<false, true>() : all.template operator()<false, false>();
    return write_lanes(wave.vgpr(in.dst.vgpr()), result.low, wave.exec());
  }
  for (u32 i = 0; i < half_lanes; i++) {
    const i64 dot = integer_dot<bits, i64>(left[i], right[i], a_signed, b_signed);
    const i64 exact = signs ? dot + i32(sum[i]) : dot + i64(sum[i]);
    result.low[i] = signs ? u32(arith::clamp_to<i32>(exact)) : arith::clamp_to<u32>(exact);
  }
  write_lanes(wave.vgpr(in.dst.vgpr()), result.low, wave.exec());
}

#define BIND(name, ...) {Opcode::v_pk_##name, packed_op<__VA_ARGS__>, packed_wide<__VA_ARGS__>}
#define SATURATING(name) BIND(name, op::name, Last::source, op::sat_##name)
constexpr Binding bindings[] = {
    SATURATING(mad_i16), SATURATING(mad_u16), BIND(mul_lo_u16, op::mul_lo_u16), SATURATING(add_i16),
    SATURATING(sub_i16), SATURATING(add_u16), SATURATING(sub_u16), BIND(lshlrev_b16, op::lshlrev),
    BIND(lshrrev_b16, op::lshrrev), BIND(ashrrev_i16, op::ashrrev), BIND(max_i16, op::max_i16),
    BIND(min_i16, op::min_i16), BIND(max_u16, op::max_u16), BIND(min_u16, op::min_u16), BIND(fma_f16, op::fma_f16),
    BIND(add_f16, op::add_f16), BIND(mul_f16, op::mul_f16), BIND(min_f16, op::pk_min_f16),
    BIND(max_f16, op::pk_max_f16), BIND(fmac_f16, op::fma_f16, Last::destination),
    {Opcode::v_fma_mix_f32, v_fma_mix_f32, v_fma_mix_wide<MixResult::f32, v_fma_mix_f32>},
    {Opcode::v_fma_mixlo_f16, v_fma_mix_half<false>, v_fma_mix_wide<MixResult::low, v_fma_mix_half<false>>},
    {Opcode::v_fma_mixhi_f16, v_fma_mix_half<true>, v_fma_mix_wide<MixResult::high, v_fma_mix_half<true>>},
    {Opcode::v_dot2_f32_f16, v_dot2_f32<silicon::Factor::f16>},
    {Opcode::v_dot2_f32_bf16, v_dot2_f32<silicon::Factor::bf16>},
    {Opcode::v_dot4_i32_iu8, v_dot_integer<8, true>},
    {Opcode::v_dot4_u32_u8, v_dot_integer<8, false>},
    {Opcode::v_dot8_i32_iu4, v_dot_integer<4, true>},
    {Opcode::v_dot8_u32_u4, v_dot_integer<4, false>},
};
#undef BIND
#undef SATURATING

}  // namespace

std::span<const Binding> vop3p_bindings() { return bindings; }

}  // namespace amlm::isa
