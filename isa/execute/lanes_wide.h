// Sources and results of handlers written for AVX-512: two vectors of 16 lanes.
#pragma once

#include "isa/execute/lanes.h"

#if defined(__x86_64__)

namespace amlm::isa {

struct WideSource {
  const u32* lanes;   // null: `constant`
  u32 constant;
  AMLM_LANES __m512i at(u32 first) const {
    return lanes != nullptr ? _mm512_loadu_si512(lanes + first) : _mm512_set1_epi32(i32(constant));
  }
};
AMLM_LANES WideSource wide_source(Wave& wave, const Instruction& in, u32 k) {
  const Operand& operand = in.src[k];
  if (operand.is_vgpr()) return {wave.vgpr(operand.vgpr()), 0};
  return {nullptr, wave.scalar(operand.code, in)};
}

AMLM_LANES void write_wide(u32* to, u32 exec, __m512i low, __m512i high) {
  _mm512_mask_storeu_epi32(to, __mmask16(exec), low);
  _mm512_mask_storeu_epi32(to + 16, __mmask16(exec >> 16), high);
}

AMLM_LANES __m512 with_signs(const Instruction& in, u32 k, __m512i x) {
  if ((in.abs >> k & 1) != 0) x = _mm512_and_epi32(x, _mm512_set1_epi32(0x7fffffff));
  if ((in.neg >> k & 1) != 0) x = _mm512_xor_epi32(x, _mm512_set1_epi32(i32(0x80000000)));
  return _mm512_castsi512_ps(x);
}

// f32 minimum and maximum of two or three sources; where one is NaN, `other` does all. -0 is below +0.
enum class Extreme : int { minimum = 4, maximum = 5 };   // as VRANGEPS counts
template <Extreme extreme, u32 sources, Handler other>
AMLM_AVX512 void extreme_wide(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (!only_signs(in) || (wave.mode & mode_f32_fields) != mode_f32_usual) return other(wave, step);
  const WideSource a = wide_source(wave, in, 0), b = wide_source(wave, in, 1), c = wide_source(wave, in, sources - 1);
  __m512 result[2];
  for (u32 i = 0; i < 2; i++) {
    const __m512 x = with_signs(in, 0, a.at(16 * i)), y = with_signs(in, 1, b.at(16 * i));
    const __m512 z = with_signs(in, sources - 1, c.at(16 * i));
    if ((_mm512_cmp_ps_mask(x, y, _CMP_UNORD_Q) | _mm512_cmp_ps_mask(z, z, _CMP_UNORD_Q)) != 0) return other(wave, step);
    result[i] = _mm512_range_round_ps(x, y, int(extreme), _MM_FROUND_NO_EXC);
    if (sources == 3) result[i] = _mm512_range_round_ps(result[i], z, int(extreme), _MM_FROUND_NO_EXC);
  }
  write_wide(wave.vgpr(in.dst.vgpr()), wave.exec(), _mm512_castps_si512(result[0]), _mm512_castps_si512(result[1]));
}

}  // namespace amlm::isa

#endif
