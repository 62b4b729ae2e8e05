// V_WMMA_F32_16X16X16_F16 and V_DOT2_F32_F16 for hosts with AVX-512: the same integer steps as silicon_dot.cpp, for WMMA
// with the accumulator kept taken apart from step to step. Same bits, faster than what the compiler makes of those loops.
#pragma once

#include "isa/execute/silicon_dot.h"

namespace amlm::isa::silicon {

bool has_wmma_avx512();

// False when a factor is not finite, or an accumulator is not 0 and not between 2^-60 and 2^60: the caller goes another way
bool wmma_f16_avx512(Matrix a, Matrix b, Matrix c, u32* const* d);

// dot2_f32 of 32 lanes. Returns the lanes whose result is something else: infinities, NaN, overflow.
u32 dot2_f16_avx512(const u32* a, const u32* b, const u32* c, u32* out);

}  // namespace amlm::isa::silicon
