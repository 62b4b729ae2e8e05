// The transcendental unit: V_EXP, LOG, RCP, RSQ, SQRT, SIN, COS as the silicon computes them, fixed-point cubics with
// roundings of their own. f32 forms but sin and cos flush subnormals whatever MODE says. The host's floating point has
// no part in any of this.
//
// What the evidence is worth (sources: silicon_coefficients.h; the digests are AMD's, of captures on gfx1100 and gfx1201):
//   exp2_f32   exact over the digests of 2 * 2^24 inputs          log2_f32  exact over the digest of 2^24 inputs
//   rcp_f32    exact, digest of all 2^23 mantissas                rsq_f32   exact, digest of all 2^24 inputs of two binades
//   sqrt_f32   exact, digest of all 2^24 inputs of two binades    sin, cos  the same staging, not exhaustively checked
//   rcp_f64, rsq_f64, sqrt_f64: 34 or 35 fraction bits as on gfx1201, from a description only
#pragma once

#include "isa/base.h"

namespace amlm::isa::silicon {

u32 exp2_f32(u32 x);
u32 log2_f32(u32 x);
u32 rcp_f32(u32 x);
u32 rsq_f32(u32 x);
u32 sqrt_f32(u32 x);

// The same for 32 lanes; `out` may be `x`.
void exp2_f32(const u32* x, u32* out);
void rcp_f32(const u32* x, u32* out);
void rsq_f32(const u32* x, u32* out);
void exp2_f32_wide(const u32* x, u32* out);   // for hosts with AVX-512: silicon_trans_wide.cpp
void rcp_f32_wide(const u32* x, u32* out);

// x in turns. `denormals`: MODE's f32 denormal field (bit 0 keeps inputs, bit 1 keeps outputs).
u32 sin_f32(u32 x, u32 denormals);
u32 cos_f32(u32 x, u32 denormals);

u64 rcp_f64(u64 x);
u64 rsq_f64(u64 x);
u64 sqrt_f64(u64 x);

}  // namespace amlm::isa::silicon
