// qkv_<type>: q, k, v = W * norm(x), RoPE on q and k, q scaled by 1/sqrt(head_size); k and v go into the cache at
// State::position.
// Grid: {ceil(q_rows/32) + ceil(k_rows/32) + ceil(v_rows/32), 1, 1}, 128 lanes; a workgroup has rows of one of the
// three, and of one head. Rows are multiples of head_size, that a multiple of 32; columns a multiple of 32, of 256
// for q4_k and q6_k.
// Bound by memory: every weight is read once (gemv.inc).
.include "gemv.inc"
.include "positions.inc"

.macro qkv_kernel type
group_lanes = 128
kernel qkv_\type
  arg wq, 32
  arg wk, 32
  arg wv, 32
  arg x, 8
  arg norm_weight, 8
  arg rope, 8
  arg state, 8
  arg q, 8
  arg k_cache, 8
  arg v_cache, 8
  arg columns, 4
  arg q_rows, 4
  arg k_rows, 4
  arg v_rows, 4
  arg head_size, 4
  arg context, 4
  arg epsilon, 4
  arg padding, 4
  sgpr kernarg, 2
  sgpr group
  gemv_registers \type, 1
  norm_registers
  sgpr rope_ptr, 2, align=4
  sgpr state_ptr, 2
  sgpr q_ptr, 2, align=4
  sgpr k_ptr, 2
  sgpr v_ptr, 2
  sgpr q_rows, 4, align=4
  .set k_rows, q_rows + 1
  .set v_rows, q_rows + 2
  .set head_size, q_rows + 3
  sgpr context, 2, align=2
  sgpr segment                        // 0 q, 1 k, 2 v
  sgpr matrix_at
  sgpr position
  sgpr head
  sgpr head_row                       // first_row within its head
  vgpr rotation, 2                    // cos, sin
  gemv_registers_end
  require kernarg == 0 && group == 2
  require arg_state == arg_rope + 8 && arg_k_cache == arg_q + 8 && arg_v_cache == arg_q + 16
  require arg_head_size == arg_q_rows + 12 && arg_epsilon == arg_context + 4

  s_load_b32 s[columns], s[kernarg:kernarg+1], arg_columns
  s_load_b128 s[q_rows:head_size], s[kernarg:kernarg+1], arg_q_rows
  s_load_b64 s[context:context+1], s[kernarg:kernarg+1], arg_context
  s_load_b128 s[rope_ptr:state_ptr+1], s[kernarg:kernarg+1], arg_rope
  s_load_b64 s[x_ptr:x_ptr+1], s[kernarg:kernarg+1], arg_x
  s_load_b64 s[norm_ptr:norm_ptr+1], s[kernarg:kernarg+1], arg_norm_weight
  s_load_b128 s[q_ptr:k_ptr+1], s[kernarg:kernarg+1], arg_q
  s_load_b64 s[v_ptr:v_ptr+1], s[kernarg:kernarg+1], arg_v_cache
  s_waitcnt lgkmcnt(0)                                 // the arguments
  s_load_b32 s[position], s[state_ptr:state_ptr+1], 0
  s_mov_b32 s[epsilon], s[context+1]

  // Which of the three matrices.
  s_mov_b32 s[segment], 0
  s_mov_b32 s[rows], s[q_rows]
  .irp next, k_rows, v_rows
    s_add_u32 s[address], s[rows], 31
    s_lshr_b32 s[address], s[address], 5               // workgroups of the matrix so far
    s_cmp_ge_u32 s[group], s[address]
    s_cbranch_scc0 .Lsegment\@
    s_sub_u32 s[group], s[group], s[address]
    s_add_u32 s[segment], s[segment], 1
    s_mov_b32 s[rows], s[\next]
  .endr
.Lsegment\@:
  s_lshl_b32 s[matrix_at], s[segment], 5
  require arg_wq == 0 && arg_wk == 32 && arg_wv == 64
  s_load_b256 s[base_0:base_0+7], s[kernarg:kernarg+1], s[matrix_at]
  s_lshl_b32 s[first_row], s[group], 5
  divide_small head, first_row, head_size, temp
  s_mul_i32 s[head_row], s[head], s[head_size]
  s_sub_u32 s[head_row], s[first_row], s[head_row]
  s_waitcnt lgkmcnt(0)                                 // position and the matrix
  gemv_start \type

  // cos and sin of this lane's pair of rows: rope[position][row in head / 2]
  v_lshrrev_b32 v[temp], 3, v[lane]
  v_and_b32 v[temp+1], 1, v[lane]
  v_lshl_or_b32 v[temp], v[temp+1], 4, v[temp]
  v_add_nc_u32 v[temp], s[head_row], v[temp]
  v_lshrrev_b32 v[temp], 1, v[temp]
  v_lshlrev_b32 v[temp], 3, v[temp]
  s_lshl_b32 s[address], s[head_size], 2               // bytes of a position: head_size / 2 pairs of 8 bytes
  s_mul_hi_u32 s[address+1], s[address], s[position]
  s_mul_i32 s[address], s[address], s[position]
  s_add_u32 s[rope_ptr], s[rope_ptr], s[address]
  s_addc_u32 s[rope_ptr+1], s[rope_ptr+1], s[address+1]
  global_load_b64 v[rotation:rotation+1], v[temp], s[rope_ptr:rope_ptr+1]
  gemv_run \type, norm

  // The other row of a pair is 8 lanes away.
  s_mov_b32 vcc_lo, 0xaaaaaaaa                         // odd lanes take the second way
  v_cndmask_b32 v[sum_0], v[sum_0], v[sum_1], vcc_lo
  s_cmp_eq_u32 s[segment], 2
  s_cbranch_scc1 .Lrotated\@
  v_mov_b32_dpp v[sum_1], v[sum_0] row_xmask:8 row_mask:0xf bank_mask:0xf
  s_mov_b32 vcc_lo, 0xff00ff00                         // odd rows: + sin, even rows: - sin
  v_mul_f32 v[sum_1], v[sum_1], v[rotation+1]
  v_cndmask_b32 v[sum_1], -v[sum_1], v[sum_1], vcc_lo
  v_fma_f32 v[sum_0], v[sum_0], v[rotation], v[sum_1]
.Lrotated\@:
  s_cmp_eq_u32 s[segment], 0
  s_cbranch_scc1 .Lquery\@

  // Cache: [head][position][head_size]
  s_cmp_eq_u32 s[segment], 1
  s_cselect_b32 s[q_ptr], s[k_ptr], s[v_ptr]
  s_cselect_b32 s[q_ptr+1], s[k_ptr+1], s[v_ptr+1]
  s_mul_i32 s[address], s[head], s[context]
  s_add_u32 s[address], s[address], s[position]
  s_lshl_b32 s[head_size], s[head_size], 1
  s_mul_hi_u32 s[address+1], s[address], s[head_size]
  s_mul_i32 s[address], s[address], s[head_size]
  s_add_u32 s[q_ptr], s[q_ptr], s[address]
  s_addc_u32 s[q_ptr+1], s[q_ptr+1], s[address+1]
  s_mov_b32 s[first_row], s[head_row]
  s_branch .Lstore\@
.Lquery\@:
  v_cvt_f32_u32 v[temp], s[head_size]
  v_rsq_f32 v[temp], v[temp]
  v_mul_f32 v[sum_0], v[sum_0], v[temp]
.Lstore\@:
  v_cvt_f16_f32 v[sum_0], v[sum_0]
  gemv_row_of_lane
  v_add_nc_u32 v[temp], s[first_row], v[temp]
  v_lshlrev_b32 v[temp], 1, v[temp]
  global_store_b16 v[temp], v[sum_0], s[q_ptr:q_ptr+1]
endkernel
.endm

.irp type, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k
  qkv_kernel \type
.endr
