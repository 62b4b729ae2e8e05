// V_WMMA of f16 factors and V_DOT2_F32_F16 for hosts with AVX-512: the steps of silicon_dot.cpp, with the same bits, faster
// than what the compiler makes of those loops. A WMMA's operands are taken apart first; what became of them may serve
// several WMMAs (wmma_factors.h).
#pragma once

#include "isa/execute/silicon_dot.h"

namespace amlm::isa::silicon {

// A: [k][row] or [k / 2][row]; `shift` holds two rows of one k in each dword.
struct WmmaRows {
  alignas(64) u32 from[8][16];        // the factors: even rows of the lower lanes, odd ones of the upper
  alignas(64) f32 factor[16][16];
  alignas(64) u32 shift[8][16];
  alignas(64) u32 signs[8][16];       // bytes 1, s, t, 1; s, t = 1: the factor of the first, the second k is negative
};

// B: [half of the wave][k][lane]. Usually both halves are the same: then there is one.
struct WmmaColumns {
  alignas(64) u32 from[8][16];        // the factors, when there is one half
  alignas(64) f32 factor[2][16][16];
  alignas(64) u32 shift[2][16][16];   // twice the same word
  alignas(64) u32 signs[2][8][16];    // two bits lower: bytes 0, 2 s - 1, 2 t - 1, -s - t
  int halves;
};

bool has_wmma_avx512();   // with VNNI and VBMI2

// A fragment is eight registers of 32 lanes, one after the other.
//
// False: a factor is infinite or NaN, and the WMMA goes another way.
bool split_wmma_rows(const u32* a, WmmaRows& out);
bool split_wmma_columns(const u32* b, WmmaColumns& out);

// Whether splitting this fragment would give that. (Perhaps false when B's halves differ.)
bool is_split_of(const u32* a, const WmmaRows& rows);
bool is_split_of(const u32* b, const WmmaColumns& columns);

// False, and nothing is written: an accumulator is neither +0 nor between 2^-54 and 2^64. d may overlap c in any way.
bool wmma_f16_avx512(const WmmaRows& a, const WmmaColumns& b, const u32* c, u32* d);

// V_WMMA_F16: sums and results are the halves at bit `shift` (0 or 16) of c and d, whose other halves stay. False, and
// nothing is written: an accumulator is not finite, or a step overflowed.
bool wmma_half_avx512(const WmmaRows& a, const WmmaColumns& b, const u32* c, u32* d, u32 shift);

// dot2_f32 of 32 lanes, for has_avx512(). Returns the lanes whose result is something else: infinities, NaN, overflow.
u32 dot2_f16_avx512(const u32* a, const u32* b, const u32* c, u32* out);

}  // namespace amlm::isa::silicon
