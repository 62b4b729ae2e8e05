// logits_<type>: logits = W * norm(x), and each workgroup's best row for the greedy choice (best.inc).
// Grid: {ceil(rows/32), 1, 1}, 128 lanes. Any rows >= 1; columns a multiple of 32, of 256 for q4_k and q6_k.
// Bound by memory: every weight is read once (gemv.inc).
.include "gemv.inc"
.include "best.inc"

.macro logits_kernel type
group_lanes = 128
kernel logits_\type
  arg w, 32
  arg x, 8
  arg norm_weight, 8
  arg logits, 8
  arg best, 8
  arg rows, 4
  arg columns, 4
  arg epsilon, 4
  arg padding, 4
  sgpr kernarg, 2
  sgpr group
  gemv_registers \type, 1
  norm_registers
  sgpr logits_ptr, 2, align=2
  sgpr best_ptr, 2
  lds wave_best, 4 * 8
  gemv_registers_end
  best_vgprs                                           // when the activations are done with
  require kernarg == 0 && group == 2 && arg_columns == arg_rows + 4

  s_load_b256 s[base_0:base_0+7], s[kernarg:kernarg+1], arg_w
  s_load_b32 s[rows], s[kernarg:kernarg+1], arg_rows
  s_load_b32 s[columns], s[kernarg:kernarg+1], arg_columns
  s_load_b32 s[epsilon], s[kernarg:kernarg+1], arg_epsilon
  s_load_b64 s[x_ptr:x_ptr+1], s[kernarg:kernarg+1], arg_x
  s_load_b64 s[norm_ptr:norm_ptr+1], s[kernarg:kernarg+1], arg_norm_weight
  s_load_b64 s[logits_ptr:logits_ptr+1], s[kernarg:kernarg+1], arg_logits
  s_load_b64 s[best_ptr:best_ptr+1], s[kernarg:kernarg+1], arg_best
  s_lshl_b32 s[first_row], s[group], 5
  s_waitcnt lgkmcnt(0)                                 // the arguments
  gemv_start \type
  gemv_run \type, norm

  v_mov_b32 v[best_value], 0xff800000                  // lanes without a row: nothing seen
  v_mov_b32 v[best_row], -1
  gemv_rows_of_lanes
  v_add_nc_u32 v[temp], s[first_row], v[temp]
  v_lshlrev_b32 v[temp+1], 2, v[temp]
  global_store_b32 v[temp+1], v[sum_0], s[logits_ptr:logits_ptr+1]
  best_take sum_0, temp
  s_mov_b32 exec_lo, -1
  best_of 1, 8                                         // rows are where part is 0 or 1: two ways of two rows,
  best_of_halves                                       // and of two more
  // One pair a wave into LDS; the first wave finds the best of four.
  v_lshrrev_b32 v[temp+2], 5, v[lane]
  v_lshlrev_b32 v[temp+2], 3, v[temp+2]
  v_mov_b32 v[temp], v[best_value]
  v_mov_b32 v[temp+1], v[best_row]
  s_mov_b32 exec_lo, 1
  ds_store_b64 v[temp+2], v[temp:temp+1] offset:lds_wave_best
  s_waitcnt lgkmcnt(0)                                 // the store
  s_mov_b32 exec_lo, -1
  s_barrier
  v_cmpx_gt_u32 4, v[lane]                             // one lane a wave's pair
  s_cbranch_execz .Lend\@
  v_lshlrev_b32 v[temp+2], 3, v[lane]
  ds_load_b64 v[temp:temp+1], v[temp+2] offset:lds_wave_best
  s_waitcnt lgkmcnt(0)                                 // four pairs
  v_mov_b32 v[best_value], v[temp]
  v_mov_b32 v[best_row], v[temp+1]
  best_of 1, 2
  s_mov_b32 exec_lo, 1
  // Nothing but NaN: the first row stands for the workgroup, with -inf.
  v_cmp_eq_u32 vcc_lo, -1, v[best_row]
  v_mov_b32 v[temp+2], s[first_row]
  v_cndmask_b32 v[temp+1], v[best_row], v[temp+2], vcc_lo
  v_mov_b32 v[temp], v[best_value]
  s_lshl_b32 s[address], s[group], 3
  v_mov_b32 v[temp+2], s[address]
  global_store_b64 v[temp+2], v[temp:temp+1], s[best_ptr:best_ptr+1]
.Lend\@:
endkernel
.endm

.irp type, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k
  logits_kernel \type
.endr
