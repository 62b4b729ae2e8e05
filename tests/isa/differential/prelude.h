#pragma once

// Put in front of every generated program; compiled by clang for x86 and for gfx1151.
//
// Only operations that both must compute alike, bit for bit: wrapping integers (-fwrapv), IEEE + - * / sqrt fma without
// contraction, conversions inside their range. NaNs are made one before they are stored.
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;
typedef float f32;
typedef double f64;
typedef _Float16 f16;
typedef i16 v2i16 __attribute__((ext_vector_type(2)));
typedef u16 v2u16 __attribute__((ext_vector_type(2)));
typedef f16 v2f16 __attribute__((ext_vector_type(2)));

#define GROUP_LANES 64
#define INPUT_WORDS 24
#define OUTPUT_WORDS 48

#ifdef __AMDGCN__
#define LDS __attribute__((address_space(3)))
#define HIDE(x) __asm__("" : "+v"(x))
#define FN static
#define NOINLINE static __attribute__((noinline))
#else
#define LDS
#define HIDE(x) __asm__("" : "+r"(x))
#define FN static
#define NOINLINE static __attribute__((noinline))
#endif

typedef struct {
  u32 w[4 * GROUP_LANES];
  u64 d[GROUP_LANES];
  u16 h[2 * GROUP_LANES];
  u8 b[4 * GROUP_LANES];
  u32 a[8];                            /* atomics only, zero at first */
} Shared;

typedef struct {
  u32 lane, group;
  u8 a0; i8 a1; u16 b0; i16 b1;
  u32 c0, c1, c2; i32 e0, e1, e2;
  u64 g0, g1; i64 k0, k1;
  f32 x0, x1, x2; f64 y0, y1; f16 z0, z1;
  v2i16 p0; v2u16 p1; v2f16 q0, q1;
  u32 t[8];
  u32 s0; i32 s1; u64 s2; f32 s3;      /* the same in all lanes */
} State;

FN u32 bits32(f32 x) { union { f32 f; u32 u; } v; v.f = x; return x != x ? 0x7fc00000u : v.u; }
FN u64 bits64(f64 x) { union { f64 f; u64 u; } v; v.f = x; return x != x ? 0x7ff8000000000000ull : v.u; }
FN u32 bits16(f16 x) { union { f16 f; u16 u; } v; v.f = x; return x != x ? 0x7e00u : v.u; }
FN u32 pair_i(v2i16 x) { return (u16)x.x | (u32)(u16)x.y << 16; }
FN u32 pair_u(v2u16 x) { return x.x | (u32)x.y << 16; }
FN i32 div_i32(i32 a, i32 b) { return b == 0 || b == -1 ? a : a / b; }
FN i32 rem_i32(i32 a, i32 b) { return b == 0 || b == -1 ? a : a % b; }
/* LLVM 19's AMDGPU back end narrows an unsigned division by counting sign bits, which is wrong for a dividend that was
   sign-extended (seed 100080 at -O1): the dividend is hidden from it. */
FN u32 div_u32(u32 a, u32 b) { HIDE(a); return b == 0 ? a : a / b; }
FN u32 rem_u32(u32 a, u32 b) { HIDE(a); return b == 0 ? a : a % b; }
FN i64 div_i64(i64 a, i64 b) { return b == 0 || b == -1 ? a : a / b; }
FN u64 div_u64(u64 a, u64 b) { HIDE(a); return b == 0 ? a : a / b; }
FN u64 rem_u64(u64 a, u64 b) { HIDE(a); return b == 0 ? a : a % b; }
/* LLVM 19 takes a * b + (c * d | e) of 8-bit values for a sum of three and makes v_dot4 of it (seed 900000126 at -O1). */
FN u32 or_8(u32 a, u32 b) { HIDE(a); HIDE(b); return a | b; }
FN i32 to_i32(f32 x) { return x > -2e9f && x < 2e9f ? (i32)x : 77; }
FN u32 to_u32(f32 x) { return x >= 0 && x < 4e9f ? (u32)x : 78; }
FN i64 to_i64(f64 x) { return x > -9e18 && x < 9e18 ? (i64)x : 79; }
FN u64 to_u64(f32 x) { return x >= 0 && x < 1.8e19f ? (u64)x : 80; }
FN i16 to_i16(f16 x) { return x > -30000 && x < 30000 ? (i16)x : 81; }
/* Instructions that C has no operator for: builtins on gfx1151, their meaning in C on x86. */
#ifdef __AMDGCN__
#define perm(a, b, s) __builtin_amdgcn_perm(a, b, s)
#define alignbit(a, b, c) __builtin_amdgcn_alignbit(a, b, c)
#define alignbyte(a, b, c) __builtin_amdgcn_alignbyte(a, b, c)
#define ubfe(a, b, c) __builtin_amdgcn_ubfe(a, (b) & 31, (c) & 31)
#define sbfe(a, b, c) ((u32)__builtin_amdgcn_sbfe((i32)(a), (b) & 31, (c) & 31))
#define sad_u8(a, b, c) __builtin_amdgcn_sad_u8(a, b, c)
#define msad_u8(a, b, c) __builtin_amdgcn_msad_u8(a, b, c)
#define sad_u16(a, b, c) __builtin_amdgcn_sad_u16(a, b, c)
#define sad_hi_u8(a, b, c) __builtin_amdgcn_sad_hi_u8(a, b, c)
#define lerp(a, b, c) __builtin_amdgcn_lerp(a, b, c)
#define udot4(a, b, c) __builtin_amdgcn_udot4(a, b, c, 0)
#define udot8(a, b, c) __builtin_amdgcn_udot8(a, b, c, 0)
#define sudot4(a, b, c) ((u32)__builtin_amdgcn_sudot4(1, (i32)(a), 0, (i32)(b), (i32)(c), 0))
#define ssdot8(a, b, c) ((u32)__builtin_amdgcn_sudot8(1, (i32)(a), 1, (i32)(b), (i32)(c), 0))
#define med3(a, b, c) __builtin_amdgcn_fmed3f(a, b, c)
#else
FN u32 alignbit(u32 a, u32 b, u32 c) { return (u32)(((u64)a << 32 | b) >> (c & 31)); }
FN u32 alignbyte(u32 a, u32 b, u32 c) { return (u32)(((u64)a << 32 | b) >> 8 * (c & 3)); }
FN u32 perm(u32 a, u32 b, u32 s) {
  u32 result = 0;
  for (u32 i = 0; i < 4; ++i) {
    const u32 c = s >> 8 * i & 255;
    const u64 all = (u64)a << 32 | b;
    u32 byte = c < 8 ? all >> 8 * c & 255 : c < 12 ? (all >> (16 * (c - 8) + 15) & 1) * 255 : c == 12 ? 0 : 255;
    result |= byte << 8 * i;
  }
  return result;
}
FN u32 ubfe(u32 a, u32 b, u32 c) { return a >> (b & 31) & ((1u << (c & 31)) - 1); }
FN u32 sbfe(u32 a, u32 b, u32 c) {
  const i64 shifted = (i64)(i32)a >> (b & 31);
  return (c & 31) == 0 ? 0 : (u32)(shifted << (64 - (c & 31)) >> (64 - (c & 31)));
}
FN u32 distance(u32 a, u32 b) { return a > b ? a - b : b - a; }
FN u32 sad_u8(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 8) c += distance(a >> i & 255, b >> i & 255);
  return c;
}
FN u32 msad_u8(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 8) c += b >> i & 255 ? distance(a >> i & 255, b >> i & 255) : 0;
  return c;
}
FN u32 sad_u16(u32 a, u32 b, u32 c) { return c + distance(a & 0xffff, b & 0xffff) + distance(a >> 16, b >> 16); }
FN u32 sad_hi_u8(u32 a, u32 b, u32 c) { return c + (sad_u8(a, b, 0) << 16); }
FN u32 lerp(u32 a, u32 b, u32 c) {
  u32 result = 0;
  for (u32 i = 0; i < 32; i += 8) result |= ((a >> i & 255) + (b >> i & 255) + (c >> i & 1)) / 2 << i;
  return result;
}
FN u32 udot4(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 8) c += (a >> i & 255) * (b >> i & 255);
  return c;
}
FN u32 udot8(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 4) c += (a >> i & 15) * (b >> i & 15);
  return c;
}
FN u32 sudot4(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 8) c += (u32)((i32)(i8)(a >> i) * (i32)(b >> i & 255));
  return c;
}
FN u32 ssdot8(u32 a, u32 b, u32 c) {
  for (u32 i = 0; i < 32; i += 4) c += (u32)(((i32)(a << (28 - i)) >> 28) * ((i32)(b << (28 - i)) >> 28));
  return c;
}
FN f32 med3(f32 a, f32 b, f32 c) {
  const f32 low = a < b ? a : b, high = a < b ? b : a;
  return c < low ? low : c > high ? high : c;
}
#endif
/* At the scope of the device (clang: 4) there is an instruction; at the system's, LLVM 19 makes a loop. */
#ifdef __AMDGCN__
#define atomic_min(p, x) __hip_atomic_fetch_min(p, x, __ATOMIC_RELAXED, 4)
#define atomic_max(p, x) __hip_atomic_fetch_max(p, x, __ATOMIC_RELAXED, 4)
#else
#define atomic_min(p, x) __atomic_fetch_min(p, x, __ATOMIC_RELAXED)
#define atomic_max(p, x) __atomic_fetch_max(p, x, __ATOMIC_RELAXED)
#endif
/* No NaN, and one zero. */
FN f32 middle(f32 a, f32 b, f32 c) { return a == a && b == b && c == c ? med3(a, b, c) + 0.0f : 2.0f; }

NOINLINE u32 pick(const u32* t, u32 i) { return t[i & 7] + i; }
NOINLINE f32 horner(f32 x, f32 a, f32 b) { return __builtin_fmaf(__builtin_fmaf(x, a, b), x, a); }
NOINLINE u64 mix(u64 a, u32 b) { return (a ^ a >> 29) * 0xbf58476d1ce4e5b9ull + b; }
NOINLINE void turn(u32* t, u32 by) {
  u32 first = t[0];
  for (u32 i = 0; i < 7; ++i) t[i] = t[i + 1] + by;
  t[7] = first;
}
