// What gfx11 silicon computes for V_DOT2_* and V_WMMA_*: not IEEE. One DOT2 step takes two products and an
// accumulator; a WMMA output is eight steps in ascending k pairs, each result the next accumulator.
//
// Sources of the model: ROCm/rocm-systems issue 12056 (the adder, measured on gfx1151), and the hardware captures of
// gfx1100 published with AMD's rocjitsu simulator. All of it is integer arithmetic: the host's rounding mode, fused
// operations and denormal flags have no part in it.
#pragma once

#include "isa/base.h"

namespace amlm::isa::silicon {

enum class Factor : u8 { f16, bf16 };

// One step with an f32 accumulator. `a` and `b` hold two 16-bit factors each, the first in the low half.
u32 dot2_f32(Factor factor, u32 a, u32 b, u32 c);

// The same for 32 lanes; `out` may be any of the inputs. Lanes that `lanes` leaves out get any value.
void dot2_f32(Factor factor, const u32* a, const u32* b, const u32* c, u32* out, u32 lanes = ~0u);

// One step with a 16-bit accumulator and result of the factor's type. `overflow_to_max`: MODE.FP16_OVFL.
u16 dot2_packed(Factor factor, u32 a, u32 b, u16 c, bool overflow_to_max);

// V_WMMA_F32_16X16X16 of one wave32. a[v], b[v], c[v], d[v]: the 32 lanes of VGPR v of each operand (isa.md 4.3).
// Row i of A is taken from lane i + 16 (i % 2), as the silicon does when the two halves differ; B likewise by row.
// d may overlap a, b and c in any way.
using Matrix = const u32* const*;
void wmma_f32(Factor factor, Matrix a, Matrix b, Matrix c, u32* const* d);

}  // namespace amlm::isa::silicon
