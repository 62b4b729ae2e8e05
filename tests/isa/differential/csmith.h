// What a csmith program needs of its world, the same for x86 and gfx1151. Stands in for csmith's own runtime headers.
//
// The wrappers give arithmetic without undefined cases a value. Both sides compile them, so only that they are defined
// (with -fwrapv) matters. CSMITH_STEP counts their calls, to find programs that run too long.
// CSMITH_LANES: how many times the program runs.
#pragma once

typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;

#define MIN_OF(T) ((T)((uint64_t)1 << (sizeof(T) * 8 - 1)))
#ifdef CSMITH_COUNT_STEPS
static uint32_t csmith_steps;
extern "C" void _exit(int);
#define CSMITH_STEP() (++csmith_steps > 20000 * CSMITH_LANES ? _exit(3) : (void)0)
#else
#define CSMITH_STEP() ((void)0)
#endif

#define SAFE_ANY(T, S) \
  static T safe_unary_minus_func_##T##_##S(T a) { CSMITH_STEP(); return (T)-a; } \
  static T safe_add_func_##T##_##S##_##S(T a, T b) { CSMITH_STEP(); return (T)(a + b); } \
  static T safe_sub_func_##T##_##S##_##S(T a, T b) { CSMITH_STEP(); return (T)(a - b); } \
  static T safe_mul_func_##T##_##S##_##S(T a, T b) { CSMITH_STEP(); return (T)((uint64_t)a * (uint64_t)b); }
#define SAFE_SHIFT(T, S, C, N) \
  static T safe_lshift_func_##T##_##S##_##N(T a, C b) { \
    CSMITH_STEP(); return (uint32_t)b >= sizeof(T) * 8 ? a : (T)((uint64_t)a << b); } \
  static T safe_rshift_func_##T##_##S##_##N(T a, C b) { \
    CSMITH_STEP(); return (uint32_t)b >= sizeof(T) * 8 ? a : (T)(a >> b); }
#define SAFE_SIGNED(T) \
  SAFE_ANY(T, s) SAFE_SHIFT(T, s, int32_t, s) SAFE_SHIFT(T, s, uint32_t, u) \
  static T safe_div_func_##T##_s_s(T a, T b) { \
    CSMITH_STEP(); return b == 0 || (a == MIN_OF(T) && b == -1) ? a : (T)(a / b); } \
  static T safe_mod_func_##T##_s_s(T a, T b) { \
    CSMITH_STEP(); return b == 0 || (a == MIN_OF(T) && b == -1) ? a : (T)(a % b); }
// LLVM 19 narrows unsigned divisions of sign-extended dividends (ERRATA.md, compiler-mistakes): hidden from it.
#ifdef __AMDGCN__
#define HIDE(x) __asm__("" : "+v"(x))
#else
#define HIDE(x) ((void)0)
#endif
#define SHOW(x) ((void)0)
#define SAFE_UNSIGNED(T, HIDDEN) \
  SAFE_ANY(T, u) SAFE_SHIFT(T, u, int32_t, s) SAFE_SHIFT(T, u, uint32_t, u) \
  static T safe_div_func_##T##_u_u(T a, T b) { CSMITH_STEP(); HIDDEN(a); return b == 0 ? a : (T)(a / b); } \
  static T safe_mod_func_##T##_u_u(T a, T b) { CSMITH_STEP(); HIDDEN(a); return b == 0 ? a : (T)(a % b); }

SAFE_SIGNED(int8_t) SAFE_SIGNED(int16_t) SAFE_SIGNED(int32_t) SAFE_SIGNED(int64_t)
SAFE_UNSIGNED(uint8_t, SHOW) SAFE_UNSIGNED(uint16_t, SHOW) SAFE_UNSIGNED(uint32_t, HIDE) SAFE_UNSIGNED(uint64_t, HIDE)

// Of zero, clang's builtins give anything.
#define SAFE_COUNT(name, T, bits) \
  static int safe_##name(T a) { return a == 0 ? bits : __builtin_##name(a); }
SAFE_COUNT(clz, uint32_t, 32) SAFE_COUNT(clzl, uint64_t, 64) SAFE_COUNT(clzll, uint64_t, 64)
SAFE_COUNT(ctz, uint32_t, 32) SAFE_COUNT(ctzl, uint64_t, 64) SAFE_COUNT(ctzll, uint64_t, 64)
#define __builtin_clz safe_clz
#define __builtin_clzl safe_clzl
#define __builtin_clzll safe_clzll
#define __builtin_ctz safe_ctz
#define __builtin_ctzl safe_ctzl
#define __builtin_ctzll safe_ctzll

#define printf(...) ((void)0)
#define crc32_gentab() ((void)0)
#define platform_main_begin() ((void)0)
#define platform_main_end(value, flag) (csmith_result = (value))
#define transparent_crc(value, name, flag) \
  (crc32_context = (crc32_context ^ (uint64_t)(value) ^ (uint64_t)(value) >> 32) * 0x9e3779b1u, \
   crc32_context ^= crc32_context >> 15)
// csmith's constant pointers, and the one x86 builtin among those that it likes to call.
#define NULL nullptr
#define memcpy __builtin_memcpy
#define __builtin_ia32_crc32qi(a, b) ((a) * 0x01000193u ^ (b))
