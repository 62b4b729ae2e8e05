// gate_up_<type>: h = silu(Wg * norm(x)) * (Wu * norm(x)), as f16; silu(g) = g / (1 + exp(-g)). Results
// past f16's range are held at its ends.
// Grid: {ceil(rows/16), 1, 1}, 128 lanes. Any rows >= 1; columns a multiple of 32, of 256 for q4_k and q6_k.
// Bound by memory: every weight is read once (gemv.inc); the activations serve both matrices.
.include "gemv.inc"
.include "f16.inc"

.macro gate_up_kernel type
group_lanes = 128
kernel gate_up_\type
  arg wg, 32
  arg wu, 32
  arg x, 8
  arg norm_weight, 8
  arg h, 8
  arg rows, 4
  arg columns, 4
  arg epsilon, 4
  arg padding, 4
  sgpr kernarg, 2
  sgpr group
  gemv_registers \type, 0
  norm_registers
  sgpr out_ptr, 2, align=2
  gemv_registers_end
  require kernarg == 0 && group == 2

  s_load_b256 s[base_0:base_0+7], s[kernarg:kernarg+1], arg_wg
  s_load_b256 s[base_1:base_1+7], s[kernarg:kernarg+1], arg_wu
  s_load_b64 s[x_ptr:x_ptr+1], s[kernarg:kernarg+1], arg_x
  s_load_b64 s[norm_ptr:norm_ptr+1], s[kernarg:kernarg+1], arg_norm_weight
  s_load_b64 s[out_ptr:out_ptr+1], s[kernarg:kernarg+1], arg_h
  s_load_b32 s[rows], s[kernarg:kernarg+1], arg_rows
  s_load_b32 s[columns], s[kernarg:kernarg+1], arg_columns
  s_load_b32 s[epsilon], s[kernarg:kernarg+1], arg_epsilon
  s_lshl_b32 s[first_row], s[group], 4
  s_waitcnt lgkmcnt(0)                                 // the arguments
  gemv_start \type
  gemv_run \type, norm

  v_mul_f32 v[temp], 0xbfb8aa3b, v[sum_0]              // -log2(e) * g
  v_exp_f32 v[temp], v[temp]
  v_add_f32 v[temp], 1.0, v[temp]
  v_rcp_f32 v[temp], v[temp]
  v_mul_f32 v[sum_0], v[sum_0], v[temp]
  v_mul_f32 v[sum_0], v[sum_0], v[sum_1]
  f16_hold sum_0, temp
  v_cvt_f16_f32 v[sum_0], v[sum_0]
  v_lshrrev_b32 v[temp], 3, v[lane]
  s_mov_b32 exec_lo, 0x01010101                        // one lane a row
  v_cmpx_gt_u32 s[rows], v[temp]
  v_add_nc_u32 v[temp], s[first_row], v[temp]
  v_lshlrev_b32 v[temp], 1, v[temp]
  global_store_b16 v[temp], v[sum_0], s[out_ptr:out_ptr+1]
endkernel
.endm

.irp type, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k
  gate_up_kernel \type
.endr
