// rmsnorm_f16: y[t][i] = x[t][i] * weight[i] / sqrt(mean over i of x[t][i]^2 + epsilon); x f32, y f16.
// Grid: one wave a token; a lane handles 4 elements of every 128, four of these pieces at a time while there are 512
// columns left. Columns: a multiple of 4.
// Bound by memory: 14 bytes an element, of which the second read of x hits the L0 or L2 cache; 2 KiB of x are in flight.
.include "kernel.inc"

// y = value * scale * factor of four elements, packed: `value`, value+1.
.macro rms_four value, factor
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[\value+\i], v[\value+\i], v[scale]
  .endr
  .irp i, 0, 1
  v_fma_mixlo_f16 v[\value+\i], v[\value+2*\i], v[\factor+2*\i], 0
  v_fma_mixhi_f16 v[\value+\i], v[\value+2*\i+1], v[\factor+2*\i+1], 0
  .endr
.endm

group_lanes = 32
kernel rmsnorm_f16
  arg x, 8                              // f32[tokens][columns]
  arg weight, 8                         // f32[columns]
  arg y, 8                              // f16[tokens][columns]
  arg columns, 4
  arg epsilon, 4

  sgpr kernarg, 2
  sgpr token
  sgpr x_row, 2, align=4
  sgpr weight_row, 2
  sgpr y_row, 2
  sgpr columns
  sgpr epsilon
  sgpr row, 2, align=2
  sgpr row_bytes                        // of f32
  sgpr left                             // columns not yet begun
  vgpr lane
  vgpr offset                           // of this lane's 4 elements, in bytes of f32
  vgpr offset_f16
  vgpr sum
  vgpr scratch
  vgpr value, 16
  vgpr factor, 16
  require kernarg == 0 && token == 2 && lane == 0

  s_load_b256   s[x_row:epsilon], s[kernarg:kernarg+1], arg_x
  require epsilon - x_row == 7
  v_and_b32     v[lane], 0x3ff, v[lane]
  v_mov_b32     v[sum], 0
  v_lshlrev_b32 v[offset], 4, v[lane]
  s_waitcnt     lgkmcnt(0)              // all arguments

  s_mul_i32     s[row], s[token], s[columns]
  s_mul_hi_u32  s[row+1], s[token], s[columns]
  s_lshl_b64    s[row:row+1], s[row:row+1], 1
  s_add_u32     s[y_row], s[y_row], s[row]
  s_addc_u32    s[y_row+1], s[y_row+1], s[row+1]
  s_lshl_b64    s[row:row+1], s[row:row+1], 1
  s_add_u32     s[x_row], s[x_row], s[row]
  s_addc_u32    s[x_row+1], s[x_row+1], s[row+1]
  s_lshl_b32    s[row_bytes], s[columns], 2

  s_mov_b32     s[left], s[columns]
.Lrms_square:
  s_cmp_lt_u32  s[left], 512
  s_cbranch_scc1 .Lrms_square_rest
  .irp piece, 0, 1, 2, 3
  global_load_b128 v[value+4*\piece:value+4*\piece+3], v[offset], s[x_row:x_row+1] offset:512*\piece
  .endr
  v_add_nc_u32  v[offset], 0x800, v[offset]
  s_sub_u32     s[left], s[left], 512
  s_waitcnt     vmcnt(0)                // value
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  v_fmac_f32    v[sum], v[value+\i], v[value+\i]
  .endr
  s_branch      .Lrms_square
.Lrms_square_rest:                      // lanes past the end drop out; all come back below
  v_cmpx_gt_u32 s[row_bytes], v[offset]
  s_cbranch_execz .Lrms_reduce
  global_load_b128 v[value:value+3], v[offset], s[x_row:x_row+1]
  v_add_nc_u32  v[offset], 0x200, v[offset]
  s_waitcnt     vmcnt(0)                // value
  .irp i, 0, 1, 2, 3
  v_fmac_f32    v[sum], v[value+\i], v[value+\i]
  .endr
  s_branch      .Lrms_square_rest

.Lrms_reduce:
  s_mov_b32     exec_lo, -1
  .irp distance, 1, 2, 4, 8
  v_add_f32_dpp v[sum], v[sum], v[sum] row_xmask:\distance row_mask:0xf bank_mask:0xf
  .endr
  v_permlanex16_b32 v[scratch], v[sum], 0, 0          // each half's sum stands in all of its lanes
  v_add_f32     v[sum], v[sum], v[scratch]
  v_cvt_f32_u32 v[scratch], s[columns]
  v_rcp_f32     v[scratch], v[scratch]
  v_fma_f32     v[sum], v[sum], v[scratch], s[epsilon]
  v_rsq_f32     v[sum], v[sum]
  rename sum, scale

  v_lshlrev_b32 v[offset], 4, v[lane]
  v_lshlrev_b32 v[offset_f16], 3, v[lane]
.Lrms_scale:
  s_cmp_lt_u32  s[columns], 512
  s_cbranch_scc1 .Lrms_scale_rest
  .irp piece, 0, 1, 2, 3
  global_load_b128 v[value+4*\piece:value+4*\piece+3], v[offset], s[x_row:x_row+1] offset:512*\piece
  global_load_b128 v[factor+4*\piece:factor+4*\piece+3], v[offset], s[weight_row:weight_row+1] offset:512*\piece
  .endr
  v_add_nc_u32  v[offset], 0x800, v[offset]
  s_sub_u32     s[columns], s[columns], 512
  s_waitcnt     vmcnt(0)                // value, factor
  .irp piece, 0, 1, 2, 3
  rms_four      value+4*\piece, factor+4*\piece
  global_store_b64 v[offset_f16], v[value+4*\piece:value+4*\piece+1], s[y_row:y_row+1] offset:256*\piece
  .endr
  v_add_nc_u32  v[offset_f16], 0x400, v[offset_f16]
  s_branch      .Lrms_scale
.Lrms_scale_rest:
  v_cmpx_gt_u32 s[row_bytes], v[offset]
  s_cbranch_execz .Lrms_end
  global_load_b128 v[value:value+3], v[offset], s[x_row:x_row+1]
  global_load_b128 v[factor:factor+3], v[offset], s[weight_row:weight_row+1]
  v_add_nc_u32  v[offset], 0x200, v[offset]
  s_waitcnt     vmcnt(0)                // value, factor
  rms_four      value, factor
  global_store_b64 v[offset_f16], v[value:value+1], s[y_row:y_row+1]
  v_add_nc_u32  v[offset_f16], 0x100, v[offset_f16]
  s_branch      .Lrms_scale_rest
.Lrms_end:
endkernel
