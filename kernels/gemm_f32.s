// gemm_f32_store, gemm_f32_add: see gemm.inc. Weights f32[rows][columns], rounded to f16 in LDS. Four lanes share the
// 128 bytes of a row and step; a lane loads 32 bytes of two rows, 32 apart.
.include "gemm.inc"

.macro gemm_weights_registers
  vgpr raw_b, 16
  vgpr b_offset, 2
.endm

.macro gemm_weights_start
  s_lshl_b32    s[row_mask], s[columns], 2             // bytes of a row
  gemm_advance  plane, row_base, row_mask
  gemm_row_of_4 scratch, raw_a
  v_mul_u32_u24 v[b_store], gemm_row_bytes, v[scratch]
  gemm_row_offset b_offset, scratch, row_mask
  v_add_nc_u32  v[scratch], 32, v[scratch]
  gemm_row_offset b_offset+1, scratch, row_mask
  v_and_b32     v[scratch], 3, v[lane]
  v_lshl_add_u32 v[b_offset], v[scratch], 5, v[b_offset]
  v_lshl_add_u32 v[b_offset+1], v[scratch], 5, v[b_offset+1]
  v_lshl_add_u32 v[b_store], v[scratch], 4, v[b_store]
  v_add_nc_u32  v[b_store], gemm_weights_at, v[b_store]
.endm

.macro gemm_weights_load name
  .irp i, 0, 1
  global_load_b128 v[raw_b+8*\i:raw_b+8*\i+3], v[b_offset+\i], s[plane:plane+1]
  global_load_b128 v[raw_b+8*\i+4:raw_b+8*\i+7], v[b_offset+\i], s[plane:plane+1] offset:16
  .endr
  gemm_step     plane, 128
.endm

.macro gemm_weights_store
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  v_cvt_f16_f32 v[b+2*\i], v[raw_b+2*\i]
  v_cvt_f16_f32 v[b+2*\i+1], v[raw_b+2*\i+1]
  .endr
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  v_pack_b32_f16 v[a+\i], v[b+2*\i], v[b+2*\i+1]
  .endr
  ds_store_b128 v[b_store], v[a:a+3]
  ds_store_b128 v[b_store], v[a+4:a+7] offset:32*gemm_row_bytes
.endm

gemm gemm_f32_store, store
gemm gemm_f32_add, add
