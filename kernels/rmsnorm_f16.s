// rmsnorm_f16: y[t][i] = x[t][i] * weight[i] / sqrt(mean over i of x[t][i]^2 + epsilon); x f32, y f16.
// Grid: one workgroup a token; a lane handles 4 elements of every 1024. Columns: a multiple of 4.
// Bound by memory: 14 bytes an element, of which the second read of x hits the L0 or L2 cache.
.include "kernel.inc"

group_lanes = 256
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
  sgpr offset_low
  sgpr offset_high
  vgpr lane
  vgpr index                            // of this lane's 4 elements
  vgpr offset                           // the same in bytes of f32
  vgpr sum
  vgpr scratch
  vgpr value, 4
  vgpr factor, 4
  vgpr sums, 8
  lds sums, 32                          // f32[waves]
  require kernarg == 0 && token == 2 && lane == 0

  s_load_b256   s[x_row:epsilon], s[kernarg:kernarg+1], arg_x
  require epsilon - x_row == 7
  v_and_b32     v[lane], 0x3ff, v[lane]
  v_mov_b32     v[sum], 0
  v_lshlrev_b32 v[index], 2, v[lane]
  v_lshlrev_b32 v[offset], 4, v[lane]
  s_waitcnt     lgkmcnt(0)              // all arguments

  s_mul_i32     s[offset_low], s[token], s[columns]
  s_mul_hi_u32  s[offset_high], s[token], s[columns]
  s_lshl_b64    s[offset_low:offset_high], s[offset_low:offset_high], 1
  require offset_low % 2 == 0
  s_add_u32     s[y_row], s[y_row], s[offset_low]
  s_addc_u32    s[y_row+1], s[y_row+1], s[offset_high]
  s_lshl_b64    s[offset_low:offset_high], s[offset_low:offset_high], 1
  s_add_u32     s[x_row], s[x_row], s[offset_low]
  s_addc_u32    s[x_row+1], s[x_row+1], s[offset_high]

.Lrms_square:                           // lanes past the end drop out; all come back below
  v_cmpx_gt_u32 s[columns], v[index]
  s_cbranch_execz .Lrms_reduce
  global_load_b128 v[value:value+3], v[offset], s[x_row:x_row+1]
  v_add_nc_u32  v[index], 0x400, v[index]
  v_add_nc_u32  v[offset], 0x1000, v[offset]
  require group_lanes == 256
  s_waitcnt     vmcnt(0)                // value
  .irp i, 0, 1, 2, 3
  v_fmac_f32    v[sum], v[value+\i], v[value+\i]
  .endr
  s_branch      .Lrms_square

.Lrms_reduce:
  s_mov_b32     exec_lo, -1
  .irp distance, 1, 2, 4, 8
  v_add_f32_dpp v[sum], v[sum], v[sum] row_xmask:\distance row_mask:0xf bank_mask:0xf
  .endr
  v_permlanex16_b32 v[scratch], v[sum], 0, 0          // each half's sum stands in all of its lanes
  v_add_f32     v[sum], v[sum], v[scratch]
  v_lshrrev_b32 v[scratch], 5, v[lane]
  v_lshlrev_b32 v[scratch], 2, v[scratch]
  s_mov_b32     exec_lo, 1              // one lane a wave
  ds_store_b32  v[scratch], v[sum] offset:lds_sums
  s_mov_b32     exec_lo, -1
  v_mov_b32     v[scratch], 0
  s_waitcnt     lgkmcnt(0)              // the store, before the other waves read it
  s_barrier
  ds_load_b128  v[sums:sums+3], v[scratch] offset:lds_sums
  ds_load_b128  v[sums+4:sums+7], v[scratch] offset:lds_sums+16
  v_cvt_f32_u32 v[scratch], s[columns]
  v_rcp_f32     v[scratch], v[scratch]
  s_waitcnt     lgkmcnt(0)              // sums
  v_add_f32     v[sum], v[sums], v[sums+1]
  .irp i, 2, 3, 4, 5, 6, 7
  v_add_f32     v[sum], v[sum], v[sums+\i]
  .endr
  v_fma_f32     v[sum], v[sum], v[scratch], s[epsilon]
  v_rsq_f32     v[sum], v[sum]
  rename sum, scale

  v_lshlrev_b32 v[index], 2, v[lane]
  v_lshlrev_b32 v[offset], 4, v[lane]
.Lrms_scale:
  v_cmpx_gt_u32 s[columns], v[index]
  s_cbranch_execz .Lrms_end
  global_load_b128 v[value:value+3], v[offset], s[x_row:x_row+1]
  global_load_b128 v[factor:factor+3], v[offset], s[weight_row:weight_row+1]
  v_lshlrev_b32 v[scratch], 1, v[index]               // in bytes of f16
  v_add_nc_u32  v[index], 0x400, v[index]
  v_add_nc_u32  v[offset], 0x1000, v[offset]
  s_waitcnt     vmcnt(0)                // value, factor
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[value+\i], v[value+\i], v[scale]
  v_mul_f32     v[value+\i], v[value+\i], v[factor+\i]
  v_cvt_f16_f32 v[value+\i], v[value+\i]
  .endr
  v_pack_b32_f16 v[value], v[value], v[value+1]
  v_pack_b32_f16 v[value+1], v[value+2], v[value+3]
  global_store_b64 v[scratch], v[value:value+1], s[y_row:y_row+1]
  s_branch      .Lrms_scale
.Lrms_end:
endkernel
