// rope_kv: takes q, k and v of each token from qkv, rotates the pairs (2i, 2i+1) of q and k by the angles of the
// token's position, scales q by 1/sqrt(head_size), and writes q (f16) and the cache rows of k and v (f16).
// Grid: one workgroup a token; a wave takes every second head of q, k and v, a lane 4 elements of every 128 of a head.
// Head size: a multiple of 4. Positions at or past `context` write nothing. Each array holds fewer than 2^32 elements.
// Bound by memory: 6 bytes an element.
.include "kernel.inc"

rope_waves = 2

// The next head's elements from `source`, or to `target`, which goes on by `target_step` bytes.
.macro rope_load
  global_load_b128 v[value:value+3], v[offset_f32], s[source:source+1]
  s_add_u32     s[source], s[source], s[source_step]
  s_addc_u32    s[source+1], s[source+1], 0
  s_add_u32     s[head], s[head], rope_waves
.endm
.macro rope_store
  global_store_b64 v[offset_f16], v[result:result+1], s[target:target+1]
  s_add_u32     s[target], s[target], s[target_step]
  s_addc_u32    s[target+1], s[target+1], s[target_step+1]
.endm

// Pairs turned by `turn`, in f16.
.macro rope_rotate turn
  .irp pair, 0, 1
  v_mul_f32     v[product], v[value+2*\pair+1], v[\turn+2*\pair+1]
  v_mul_f32     v[product+1], v[value+2*\pair], v[\turn+2*\pair+1]
  v_fma_mixlo_f16 v[result+\pair], v[value+2*\pair], v[\turn+2*\pair], -v[product]
  v_fma_mixhi_f16 v[result+\pair], v[value+2*\pair+1], v[\turn+2*\pair], v[product+1]
  .endr
.endm

// The heads before `end`, turned.
.macro rope_rotated name, end, turn
.Lrope_\name:
  s_cmp_ge_u32  s[head], s[\end]
  s_cbranch_scc1 .Lrope_\name\()_done
  rope_load
  s_waitcnt     vmcnt(0)                // value
  rope_rotate   \turn
  rope_store
  s_branch      .Lrope_\name
.Lrope_\name\()_done:
.endm

// target = base + 2 * head_size * row.
.macro rope_target base, row
  s_mul_i32     s[target], s[\row], s[head_size]
  s_mov_b32     s[target+1], 0
  s_lshl_b64    s[target:target+1], s[target:target+1], 1
  s_add_u32     s[target], s[target], s[\base]
  s_addc_u32    s[target+1], s[target+1], s[\base+1]
.endm

// The cache row of this wave's next head, of which `first` heads are no longer.
.macro rope_cache_row base, first
  s_sub_u32     s[row], s[head], s[\first]
  s_mul_i32     s[row], s[row], s[context]
  s_add_u32     s[row], s[row], s[position]
  rope_target   \base, row
.endm

group_lanes = 64
require group_lanes == 32 * rope_waves
kernel rope_kv
  arg qkv, 8                            // f32[tokens][heads + 2*kv_heads][head_size]
  arg rope, 8                           // f32[context][head_size/2][2]: cos, sin
  arg q, 8                              // f16[tokens][heads][head_size]
  arg k_cache, 8                        // f16[kv_heads][context][head_size]
  arg v_cache, 8
  arg heads, 4
  arg kv_heads, 4
  arg head_size, 4
  arg context, 4
  arg first_position, 4
  arg padding, 4

  sgpr kernarg, 2
  sgpr token
  sgpr qkv, 2, align=4
  sgpr rope, 2
  sgpr q, 2
  sgpr k_cache, 2
  sgpr v_cache, 2, align=4
  sgpr heads
  sgpr kv_heads
  sgpr head_size, 1, align=4
  sgpr context
  sgpr first_position
  sgpr padding
  sgpr position
  sgpr wave
  sgpr head                             // of qkv: q's heads, then k's, then v's
  sgpr all_heads
  sgpr qk_heads
  sgpr dim                              // first of this pass
  sgpr row
  sgpr source_step
  sgpr source, 2, align=2
  sgpr target, 2, align=2
  sgpr target_step, 2, align=2
  vgpr lane
  vgpr index                            // dimension of this lane's 4 elements
  vgpr offset_f32
  vgpr offset_f16
  vgpr value, 4
  vgpr turn, 4                          // cos, sin of two pairs
  vgpr scaled, 4                        // the same for q
  vgpr product, 2
  vgpr result, 2
  require kernarg == 0 && token == 2 && lane == 0

  s_load_b256   s[qkv:k_cache+1], s[kernarg:kernarg+1], arg_qkv
  s_load_b128   s[v_cache:kv_heads], s[kernarg:kernarg+1], arg_v_cache
  s_load_b128   s[head_size:padding], s[kernarg:kernarg+1], arg_head_size
  v_and_b32     v[lane], 0x3ff, v[lane]
  v_lshrrev_b32 v[index], 5, v[lane]
  v_readfirstlane_b32 s[wave], v[index]
  v_and_b32     v[lane], 31, v[lane]
  v_lshlrev_b32 v[index], 2, v[lane]
  s_waitcnt     lgkmcnt(0)              // all arguments

  s_add_u32     s[position], s[first_position], s[token]
  s_cmp_ge_u32  s[position], s[context]
  s_cbranch_scc1 .Lrope_end
  s_add_u32     s[qk_heads], s[heads], s[kv_heads]
  s_add_u32     s[all_heads], s[qk_heads], s[kv_heads]
  s_mul_i32     s[source], s[position], s[head_size]
  s_mov_b32     s[source+1], 0
  s_lshl_b64    s[source:source+1], s[source:source+1], 2
  s_add_u32     s[rope], s[rope], s[source]
  s_addc_u32    s[rope+1], s[rope+1], s[source+1]
  s_lshl_b32    s[source_step], s[head_size], 3         // heads of f32
  require rope_waves * 4 == 1 << 3
  s_mov_b32     s[dim], 0

.Lrope_pass:                            // 128 dimensions at a time
  v_cmpx_gt_u32 s[head_size], v[index]
  v_lshlrev_b32 v[offset_f32], 2, v[index]
  v_lshlrev_b32 v[offset_f16], 1, v[index]
  global_load_b128 v[turn:turn+3], v[offset_f32], s[rope:rope+1]
  s_mov_b32     s[head], s[wave]
  s_mul_i32     s[source], s[token], s[all_heads]
  s_add_u32     s[source], s[source], s[head]
  s_mul_i32     s[source], s[source], s[head_size]
  s_mov_b32     s[source+1], 0
  s_lshl_b64    s[source:source+1], s[source:source+1], 2
  s_add_u32     s[source], s[qkv], s[source]
  s_addc_u32    s[source+1], s[qkv+1], s[source+1]

  s_mul_i32     s[row], s[token], s[heads]
  s_add_u32     s[row], s[row], s[head]
  rope_target   q, row
  s_lshl_b32    s[target_step], s[head_size], 2         // heads of f16
  require rope_waves * 2 == 1 << 2
  s_mov_b32     s[target_step+1], 0
  v_cvt_f32_u32 v[product], s[head_size]
  v_rsq_f32     v[product], v[product]
  s_waitcnt     vmcnt(0)                // turn
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[scaled+\i], v[turn+\i], v[product]
  .endr
  rope_rotated  q, heads, scaled

  rope_cache_row k_cache, heads
  s_mul_i32     s[target_step], s[context], s[head_size]
  s_lshl_b64    s[target_step:target_step+1], s[target_step:target_step+1], 2   // cache heads of f16
  rope_rotated  k, qk_heads, turn

  rope_cache_row v_cache, qk_heads
.Lrope_v:
  s_cmp_ge_u32  s[head], s[all_heads]
  s_cbranch_scc1 .Lrope_next_pass
  rope_load
  s_waitcnt     vmcnt(0)                // value
  .irp pair, 0, 1
  v_fma_mixlo_f16 v[result+\pair], v[value+2*\pair], 1.0, 0
  v_fma_mixhi_f16 v[result+\pair], v[value+2*\pair+1], 1.0, 0
  .endr
  rope_store
  s_branch      .Lrope_v

.Lrope_next_pass:
  s_mov_b32     exec_lo, -1
  v_add_nc_u32  v[index], 0x80, v[index]
  s_add_u32     s[dim], s[dim], 0x80
  s_cmp_lt_u32  s[dim], s[head_size]
  s_cbranch_scc1 .Lrope_pass
.Lrope_end:
endkernel
