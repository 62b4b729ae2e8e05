// gemm_q4_0_store, gemm_q4_0_add: see gemm.inc. A lane loads 8 bytes of a row: byte j of a block holds quant j
// in its low nibble and quant j + 16 in its high one, so a lane decodes two runs of 8. (1024 + u) * scale - 1032 *
// scale, exact in f32, rounded once.
.include "gemm.inc"
.include "gemm_block32.inc"

.macro gemm_weights_registers
  gemm_block32_registers
.endm

.macro gemm_weights_start
  gemm_block32_start 16, 16
.endm

.macro gemm_weights_load name
  global_load_b64 v[raw_b:raw_b+1], v[b_offset], s[plane:plane+1]
  global_load_u16 v[raw_scale], v[scale_offset], s[plane+2:plane+3]
  gemm_step     plane, 16
  gemm_step     plane+2, 2
.endm

.macro gemm_weights_store
  gemm_block32_scale 0xc4810000         // -1032.0
  .irp i, 0, 1
  v_lshrrev_b32 v[raw_b+2+\i], 4, v[raw_b+\i]
  v_and_b32     v[raw_b+\i], 0x0f0f0f0f, v[raw_b+\i]
  .endr
  .irp i, 0, 1
  v_and_b32     v[raw_b+2+\i], 0x0f0f0f0f, v[raw_b+2+\i]
  .endr
  .irp i, 0, 1, 2, 3
  gemm_bytes_to_f16 b+2*\i, raw_b+\i, a+2*\i, scale, addend
  .endr
  ds_store_b128 v[b_store], v[b:b+3]
  ds_store_b128 v[b_store], v[b+4:b+7] offset:32
.endm

gemm gemm_q4_0_store, store
gemm gemm_q4_0_add, add
