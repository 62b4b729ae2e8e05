// gemm_f16_store, gemm_f16_add: see gemm.inc. Weights f16[rows][columns]: four lanes share the 64 bytes of a row and
// step.
.include "gemm.inc"
.include "gemm_half.inc"

.macro gemm_weights_store
  ds_store_b128 v[b_store], v[raw_b:raw_b+3]
  ds_store_b128 v[b_store], v[raw_b+4:raw_b+7] offset:32*gemm_row_bytes
.endm

gemm gemm_f16_store, store
gemm gemm_f16_add, add
