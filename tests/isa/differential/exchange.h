#pragma once

// What lanes do with one another between two phases of a generated program, all of them active. On gfx1151 an exchange is
// an expression of one lane's state; on x86 a function of all states of the workgroup, written from the guide's words.
// WAVE_LANES is the wave's size.
#define MIX32(x) ((u32)(x) * 0x9e3779b1u ^ (u32)(x) * 0x85ebca6bu >> 15)
/* Matrix elements: the same for lanes that hold copies, so they come from the uniform state. */
#define ELEMENT(s, which, row, k) (MIX32((s)->s0 + (which) * 977u + (row) * 31u + (k)))

#ifdef __AMDGCN__

typedef int v4i __attribute__((ext_vector_type(4)));
typedef int v8i __attribute__((ext_vector_type(8)));
typedef float v8f __attribute__((ext_vector_type(8)));
typedef f16 v16h __attribute__((ext_vector_type(16)));
typedef float v4f __attribute__((ext_vector_type(4)));
#if WAVE_LANES == 32
typedef v8i Sum;
typedef v8f FloatSum;
#define WMMA_IU8 __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32
#define WMMA_F16 __builtin_amdgcn_wmma_f32_16x16x16_f16_w32
#else
typedef v4i Sum;
typedef v4f FloatSum;
#define WMMA_IU8 __builtin_amdgcn_wmma_i32_16x16x16_iu8_w64
#define WMMA_F16 __builtin_amdgcn_wmma_f32_16x16x16_f16_w64
#endif

#define x_dpp(s, control, rows, banks, bound) \
  ((s)->c1 = __builtin_amdgcn_update_dpp((s)->c0, (s)->c1, control, rows, banks, bound))
#define x_dpp8(s, select) ((s)->c1 = __builtin_amdgcn_mov_dpp8((s)->c1, select))
#define x_permlane(s, low, high) ((s)->c1 = __builtin_amdgcn_permlane16((s)->c0, (s)->c1, low, high, 0, 0))
#define x_permlanex(s, low, high) ((s)->c1 = __builtin_amdgcn_permlanex16((s)->c0, (s)->c1, low, high, 0, 0))
#define x_swizzle(s, pattern) ((s)->c1 = __builtin_amdgcn_ds_swizzle((s)->c1, pattern))
#define x_bpermute(s, by, add) ((s)->c1 = __builtin_amdgcn_ds_bpermute(((s)->lane * (by) + (add)) * 4, (s)->c1))
#define x_permute(s, by, add) ((s)->c1 = __builtin_amdgcn_ds_permute(((s)->lane * (by) + (add)) * 4, (s)->c1))
#define x_readlane(s, from) ((s)->c1 += __builtin_amdgcn_readlane((s)->c1, (from) % WAVE_LANES))
#if WAVE_LANES == 32
#define x_ballot(s, bit) \
  ((s)->g0 ^= __builtin_amdgcn_ballot_w32((s)->c1 >> (bit) & 1), \
   (s)->c1 += __builtin_amdgcn_mbcnt_lo(__builtin_amdgcn_ballot_w32((s)->c1 >> (bit) & 1), 0))
#else
#define x_ballot(s, bit) \
  ((s)->g0 ^= __builtin_amdgcn_ballot_w64((s)->c1 >> (bit) & 1), \
   (s)->c1 += __builtin_amdgcn_mbcnt_hi((u32)(__builtin_amdgcn_ballot_w64((s)->c1 >> (bit) & 1) >> 32), \
       __builtin_amdgcn_mbcnt_lo((u32)__builtin_amdgcn_ballot_w64((s)->c1 >> (bit) & 1), 0)))
#endif

/* The compiler may not see that copies are equal, and need not. */
#define x_wmma_iu8(s, a_signed, b_signed) do { \
    const u32 row = (s)->lane & 15; \
    v4i a, b; \
    for (u32 k = 0; k < 4; ++k) a[k] = (int)ELEMENT(s, 1, row, k), b[k] = (int)ELEMENT(s, 2, row, k); \
    Sum c; \
    for (u32 v = 0; v < 256 / WAVE_LANES; ++v) c[v] = (int)((s)->c0 + v); \
    c = WMMA_IU8(a_signed, a, b_signed, b, c, 0); \
    for (u32 v = 0; v < 256 / WAVE_LANES; ++v) (s)->c1 = (s)->c1 * 3 + (u32)c[v]; \
  } while (0)
/* Small numbers of one sign: exact in the silicon's sums too. */
#define x_wmma_f16(s, unused) do { \
    const u32 row = (s)->lane & 15; \
    v16h a, b; \
    for (u32 k = 0; k < 16; ++k) \
      a[k] = (f16)(f32)(ELEMENT(s, 3, row, k) & 31), b[k] = (f16)(f32)(ELEMENT(s, 4, row, k) & 31); \
    FloatSum c; \
    for (u32 v = 0; v < 256 / WAVE_LANES; ++v) c[v] = (f32)(((s)->c0 + v) & 1023); \
    c = WMMA_F16(a, b, c); \
    for (u32 v = 0; v < 256 / WAVE_LANES; ++v) (s)->c1 = (s)->c1 * 3 + (u32)c[v]; \
  } while (0)

#else

#define EACH(i) for (u32 i = 0; i < GROUP_LANES; ++i)

FN int dpp_source(u32 control, int lane) {
  const int row = lane & ~15, column = lane & 15, n = (int)(control & 15);
  if (control < 0x100) return (lane & ~3) + (int)(control >> 2 * (lane & 3) & 3);
  if (control < 0x110) return column + n > 15 ? -1 : lane + n;
  if (control < 0x120) return column < n ? -1 : lane - n;
  if (control < 0x130) return row + ((column + 16 - n) & 15);
  if (control == 0x140) return row + 15 - column;
  if (control == 0x141) return (lane & ~7) + 7 - (lane & 7);
  return control < 0x160 ? row + n : row + (column ^ n);
}
FN void x_dpp(State* s, u32 control, u32 rows, u32 banks, u32 bound) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) {
    const int source = dpp_source(control, (int)i);
    if (!(rows >> (i % WAVE_LANES) / 16 & 1) || !(banks >> i % 16 / 4 & 1)) s[i].c1 = s[i].c0;
    else s[i].c1 = source >= 0 ? from[source] : bound ? 0 : s[i].c0;
  }
}
FN void x_dpp8(State* s, u32 select) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) s[i].c1 = from[(i & ~7u) + (select >> 3 * (i & 7) & 7)];
}
FN void permlane(State* s, u32 low, u32 high, u32 other) {
  const u64 select = low | (u64)high << 32;
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) s[i].c1 = from[((i & ~15u) ^ other) + (u32)(select >> 4 * (i & 15) & 15)];
}
FN void x_permlane(State* s, u32 low, u32 high) { permlane(s, low, high, 0); }
FN void x_permlanex(State* s, u32 low, u32 high) { permlane(s, low, high, 16); }
FN void x_swizzle(State* s, u32 pattern) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) {
    const u32 quad = (i & ~3u) + (pattern >> 2 * (i & 3) & 3);
    const u32 masked = (i & ~31u) + ((((i & pattern) | pattern >> 5) ^ pattern >> 10) & 31);
    s[i].c1 = from[pattern & 0x8000 ? quad : masked];
  }
}
FN void x_bpermute(State* s, u32 by, u32 add) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) s[i].c1 = from[(i & ~31u) + (s[i].lane * by + add) % 32];
}
FN void x_permute(State* s, u32 by, u32 add) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) s[i].c1 = 0;
  EACH(i) s[(i & ~31u) + (s[i].lane * by + add) % 32].c1 = from[i];
}
FN void x_readlane(State* s, u32 lane) {
  u32 from[GROUP_LANES];
  EACH(i) from[i] = s[i].c1;
  EACH(i) s[i].c1 += from[i / WAVE_LANES * WAVE_LANES + lane % WAVE_LANES];
}
FN void x_ballot(State* s, u32 bit) {
  for (u32 first = 0; first < GROUP_LANES; first += WAVE_LANES) {
    u64 mask = 0;
    for (u32 i = 0; i < WAVE_LANES; ++i) mask |= (u64)(s[first + i].c1 >> bit & 1) << i;
    for (u32 i = 0; i < WAVE_LANES; ++i) {
      s[first + i].g0 ^= mask;
      s[first + i].c1 += (u32)__builtin_popcountll(mask & ((1ull << i) - 1));
    }
  }
}
/* Element (row, column) of C and D: register and lane. */
#define FOR_SUMS(v, i, row, column) \
  for (u32 v = 0; v < 256 / WAVE_LANES; ++v) \
    for (u32 i = 0, row, column; row = v * (WAVE_LANES / 16) + i % WAVE_LANES / 16, column = i & 15, i < GROUP_LANES; ++i)
FN i32 byte_of(u32 word, u32 k, u32 is_signed) {
  return is_signed ? (i32)(i8)(word >> 8 * k) : (i32)(u8)(word >> 8 * k);
}
FN void x_wmma_iu8(State* s, u32 a_signed, u32 b_signed) {
  FOR_SUMS(v, i, row, column) {
    u32 sum = s[i].c0 + v;
    for (u32 k = 0; k < 16; ++k)
      sum += (u32)(byte_of(ELEMENT(s, 1, row, k / 4), k & 3, a_signed) *
                   byte_of(ELEMENT(s, 2, column, k / 4), k & 3, b_signed));
    s[i].c1 = s[i].c1 * 3 + sum;
  }
}
FN void x_wmma_f16(State* s, u32 unused) {
  FOR_SUMS(v, i, row, column) {
    u32 sum = (s[i].c0 + v) & 1023;
    for (u32 k = 0; k < 16; ++k) sum += (ELEMENT(s, 3, row, k) & 31) * (ELEMENT(s, 4, column, k) & 31);
    s[i].c1 = s[i].c1 * 3 + sum;
  }
}

#endif
