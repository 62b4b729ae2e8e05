// rope_kv: takes q, k and v of each token from qkv, rotates the pairs (2i, 2i+1) of q and k by the angles of the
// token's position, scales q by 1/sqrt(head_size), and writes q (f16) and the cache rows of k and v (f16).
// Grid: one workgroup a token; a wave takes every eighth head of q, k and v, a lane 4 elements of every 128 of a head.
// Head size: a multiple of 4. Positions at or past `context` write nothing. Each array holds fewer than 2^32 elements.
// Bound by memory: 6 bytes an element.
.include "kernel.inc"

group_lanes = 256
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
  sgpr source, 2, align=2
  sgpr target, 2, align=2
  vgpr lane
  vgpr index                            // dimension of this lane's 4 elements
  vgpr offset_f32
  vgpr offset_f16
  vgpr value, 4
  vgpr turn, 4                          // cos, sin of two pairs
  vgpr result, 4
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
  s_mov_b32     s[dim], 0

.Lrope_pass:                            // 128 dimensions at a time
  s_mov_b32     exec_lo, -1
  v_cmpx_gt_u32 s[head_size], v[index]
  s_cbranch_execz .Lrope_next_pass
  v_lshlrev_b32 v[offset_f32], 2, v[index]
  v_lshlrev_b32 v[offset_f16], 1, v[index]
  global_load_b128 v[turn:turn+3], v[offset_f32], s[rope:rope+1]
  s_mov_b32     s[head], s[wave]
.Lrope_head:
  s_cmp_ge_u32  s[head], s[all_heads]
  s_cbranch_scc1 .Lrope_next_pass
  s_mul_i32     s[source], s[token], s[all_heads]
  s_add_u32     s[source], s[source], s[head]
  s_mul_i32     s[source], s[source], s[head_size]
  s_mov_b32     s[source+1], 0
  s_lshl_b64    s[source:source+1], s[source:source+1], 2
  s_add_u32     s[source], s[qkv], s[source]
  s_addc_u32    s[source+1], s[qkv+1], s[source+1]
  global_load_b128 v[value:value+3], v[offset_f32], s[source:source+1]

  s_cmp_ge_u32  s[head], s[qk_heads]
  s_cbranch_scc1 .Lrope_is_v
  s_waitcnt     vmcnt(0)                // turn, value
  .irp pair, 0, 2
  v_mul_f32     v[result+\pair], v[value+\pair+1], v[turn+\pair+1]
  v_mul_f32     v[result+\pair+1], v[value+\pair], v[turn+\pair+1]
  v_fma_f32     v[result+\pair], v[value+\pair], v[turn+\pair], -v[result+\pair]
  v_fma_f32     v[result+\pair+1], v[value+\pair+1], v[turn+\pair], v[result+\pair+1]
  .endr
  s_cmp_ge_u32  s[head], s[heads]
  s_cbranch_scc1 .Lrope_is_k

  v_cvt_f32_u32 v[value], s[head_size]
  v_rsq_f32     v[value], v[value]
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[result+\i], v[result+\i], v[value]
  .endr
  s_mul_i32     s[target], s[token], s[heads]
  s_add_u32     s[target], s[target], s[head]
  s_mov_b64     s[source:source+1], s[q:q+1]
  s_branch      .Lrope_store

.Lrope_is_k:
  s_sub_u32     s[target], s[head], s[heads]
  s_mov_b64     s[source:source+1], s[k_cache:k_cache+1]
  s_branch      .Lrope_cache_row
.Lrope_is_v:
  s_sub_u32     s[target], s[head], s[qk_heads]
  s_mov_b64     s[source:source+1], s[v_cache:v_cache+1]
  s_waitcnt     vmcnt(0)                // value (and turn, unused)
  .irp i, 0, 1, 2, 3
  v_mov_b32     v[result+\i], v[value+\i]
  .endr
.Lrope_cache_row:
  s_mul_i32     s[target], s[target], s[context]
  s_add_u32     s[target], s[target], s[position]

.Lrope_store:                           // row `target` of head_size elements behind `source`
  s_mul_i32     s[target], s[target], s[head_size]
  s_mov_b32     s[target+1], 0
  s_lshl_b64    s[target:target+1], s[target:target+1], 1
  s_add_u32     s[target], s[target], s[source]
  s_addc_u32    s[target+1], s[target+1], s[source+1]
  .irp i, 0, 1, 2, 3
  v_cvt_f16_f32 v[result+\i], v[result+\i]
  .endr
  v_pack_b32_f16 v[result], v[result], v[result+1]
  v_pack_b32_f16 v[result+1], v[result+2], v[result+3]
  global_store_b64 v[offset_f16], v[result:result+1], s[target:target+1]
  s_add_u32     s[head], s[head], 8
  require group_lanes / 32 == 8
  s_branch      .Lrope_head

.Lrope_next_pass:
  s_mov_b32     exec_lo, -1
  v_add_nc_u32  v[index], 0x80, v[index]
  s_add_u32     s[dim], s[dim], 0x80
  s_cmp_lt_u32  s[dim], s[head_size]
  s_cbranch_scc1 .Lrope_pass
.Lrope_end:
endkernel
