// V_WMMA_F32_16X16X16_F16 for hosts with AVX-512: the same integer steps as silicon_dot.cpp, with the accumulator kept
// taken apart from step to step. Same bits; two to three times as fast as what the compiler makes of the loops there.
#pragma once

#include "isa/execute/silicon_dot.h"

namespace amlm::isa::silicon {

bool has_wmma_avx512();

// False when a factor or the accumulator is not finite, or a result overflows: the caller takes the long way.
bool wmma_f16_avx512(Matrix a, Matrix b, Matrix c, u32* const* d);

}  // namespace amlm::isa::silicon
