// gemm_bf16_store, gemm_bf16_add: see gemm.inc. Weights bf16[rows][columns], as f16 in LDS: exact between 2^-17 and
// 65280 (bf16 has 8 significant bits), truncated to a multiple of 2^-24 below, 65504 above. The bf16 WMMA would round
// the activations instead.
.include "gemm.inc"
.include "gemm_half.inc"

.macro gemm_weights_store
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  v_lshlrev_b32 v[b+2*\i], 16, v[raw_b+\i]             // bf16 is the upper half of an f32
  v_and_b32     v[b+2*\i+1], 0xffff0000, v[raw_b+\i]
  v_cvt_pk_rtz_f16_f32 v[a+\i], v[b+2*\i], v[b+2*\i+1]
  .endr
  ds_store_b128 v[b_store], v[a:a+3]
  ds_store_b128 v[b_store], v[a+4:a+7] offset:32*gemm_row_bytes
.endm

gemm gemm_bf16_store, store
gemm gemm_bf16_add, add
