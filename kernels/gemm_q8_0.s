// gemm_q8_0_store, gemm_q8_0_add: see gemm.inc. A lane loads 16 quants of a row. A quant q lies in memory as the
// byte u = q + 128: (1024 + u) * scale - 1152 * scale, exact in f32, rounded once to f16.
.include "gemm.inc"
.include "gemm_block32.inc"

.macro gemm_weights_registers
  gemm_block32_registers
.endm

.macro gemm_weights_start
  gemm_block32_start 32, 32
.endm

.macro gemm_weights_load name
  global_load_b128 v[raw_b:raw_b+3], v[b_offset], s[plane:plane+1]
  global_load_u16 v[raw_scale], v[scale_offset], s[plane+2:plane+3]
  gemm_step     plane, 32
  gemm_step     plane+2, 2
.endm

.macro gemm_weights_store
  gemm_block32_scale 0xc4900000         // -1152.0
  .irp i, 0, 1, 2, 3
  gemm_bytes_to_f16 b+2*\i, raw_b+\i, a+2*\i, scale, addend
  .endr
  ds_store_b128 v[b_store], v[b:b+3]
  ds_store_b128 v[b_store], v[b+4:b+7] offset:16
.endm

gemm gemm_q8_0_store, store
gemm gemm_q8_0_add, add
