// gemm_q6_k_store, gemm_q6_k_add: see gemm.inc. A block of 256 columns: ql (128 bytes of low nibbles), qh (64 bytes
// of upper bit pairs), 16 scales (i8), d (f16), each in its plane. A K step is one of eight parts of 32 columns: part
// p takes the low (p & 2 == 0) or high nibbles of the 32 bytes of ql at 64*(p/4) + 32*(p%2), and bits 2*(p%4) and up
// of the 32 bytes of qh at 32*(p/4). A lane decodes 16 quants of a row, which have one scale: d*scale * (u -
// 32). Layout: ggml's block_q6_K.
.include "gemm.inc"

.macro gemm_weights_registers
  sgpr part                             // of the next load
  sgpr shift                            // of the nibbles last loaded
  sgpr rotate                           // brings the bit pairs last loaded to bits 5:4 of each byte
  sgpr low_nibbles
  sgpr pairs_up
  vgpr raw_b, 4
  vgpr raw_high, 4
  vgpr raw_scale
  vgpr raw_d
  vgpr b_offset
  vgpr high_offset
  vgpr scale_offset
  vgpr d_offset
  vgpr scale
  vgpr addend
.endm

.macro gemm_weights_start
  s_mov_b32     s[part], 0
  s_mov_b32     s[low_nibbles], 0x0f0f0f0f
  s_mov_b32     s[pairs_up], 0x30303030
  s_lshr_b32    s[row_mask], s[columns], 8
  s_lshl_b32    s[row_mask+1], s[row_mask], 4          // bytes of a row: scales
  s_lshl_b32    s[row_mask+2], s[row_mask], 6          // qh
  s_lshl_b32    s[row_mask+3], s[row_mask], 7          // ql
  s_lshl_b32    s[row_mask], s[row_mask], 1            // d
  gemm_advance  plane, row_base, row_mask+3
  gemm_advance  plane+2, row_base, row_mask+2
  gemm_advance  plane+4, row_base, row_mask+1
  gemm_advance  plane+6, row_base, row_mask
  gemm_row_of_2 scratch, raw_a, 32
  v_mul_u32_u24 v[b_store], gemm_row_bytes, v[scratch]
  gemm_row_offset b_offset, scratch, row_mask+3
  gemm_row_offset high_offset, scratch, row_mask+2
  gemm_row_offset scale_offset, scratch, row_mask+1
  gemm_row_offset d_offset, scratch, row_mask
  v_and_b32     v[scratch], 1, v[lane]
  v_lshl_add_u32 v[b_offset], v[scratch], 4, v[b_offset]
  v_lshl_add_u32 v[high_offset], v[scratch], 4, v[high_offset]
  v_add_nc_u32  v[scale_offset], v[scratch], v[scale_offset]
  v_lshl_add_u32 v[b_store], v[scratch], 5, v[b_store]
  v_add_nc_u32  v[b_store], gemm_weights_at, v[b_store]
.endm

.macro gemm_weights_load name
  s_lshl_b32    s[shift], s[part], 1
  s_and_b32     s[shift], s[shift], 4
  s_and_b32     s[product], s[part], 3
  s_cbranch_scc1 .L\name\()_low\@                      // SCC: part % 4 != 0, the pairs are there
  s_lshl_b32    s[product], s[part], 3
  s_add_u32     s[product], s[plane+2], s[product]
  s_addc_u32    s[product+1], s[plane+3], 0
  global_load_b128 v[raw_high:raw_high+3], v[high_offset], s[product:product+1]
  s_cmp_lg_u32  s[part], 0
  s_cbranch_scc1 .L\name\()_low\@
  global_load_u16 v[raw_d], v[d_offset], s[plane+6:plane+7]
  gemm_step     plane+6, 2
.L\name\()_low\@:
  s_and_b32     s[rotate], s[part], 3
  s_lshl_b32    s[rotate], s[rotate], 1
  s_add_u32     s[rotate], s[rotate], 28               // v_alignbit_b32 takes it mod 32
  s_and_b32     s[product], s[part], 4
  s_lshl_b32    s[product], s[product], 4
  s_and_b32     s[product+1], s[part], 1
  s_lshl_b32    s[product+1], s[product+1], 5
  s_add_u32     s[product], s[product], s[product+1]
  s_add_u32     s[product], s[plane], s[product]
  s_addc_u32    s[product+1], s[plane+1], 0
  global_load_b128 v[raw_b:raw_b+3], v[b_offset], s[product:product+1]
  global_load_i8 v[raw_scale], v[scale_offset], s[plane+4:plane+5]
  gemm_step     plane+4, 2
  s_add_u32     s[part], s[part], 1
  s_and_b32     s[part], s[part], 7
  s_cbranch_scc1 .L\name\()_part\@                     // SCC: part != 0, same block
  gemm_step     plane, 128
  gemm_step     plane+2, 64
.L\name\()_part\@:
.endm

.macro gemm_weights_store
  v_cvt_f32_i32 v[scale], v[raw_scale]
  .irp i, 0, 1, 2, 3
  v_lshrrev_b32 v[raw_b+\i], s[shift], v[raw_b+\i]
  .endr
  v_fma_mix_f32 v[scale], v[raw_d], v[scale], 0 op_sel_hi:[1,0,0]
  .irp i, 0, 1, 2, 3
  v_alignbit_b32 v[a+\i], v[raw_high+\i], v[raw_high+\i], s[rotate]
  v_and_b32     v[raw_b+\i], s[low_nibbles], v[raw_b+\i]
  .endr
  v_mul_f32     v[addend], 0xc4840000, v[scale]        // -1056: exact, 24 bits
  .irp i, 0, 1, 2, 3
  v_and_or_b32  v[raw_b+\i], v[a+\i], s[pairs_up], v[raw_b+\i]
  .endr
  .irp i, 0, 1, 2, 3
  gemm_bytes_to_f16 b+2*\i, raw_b+\i, a+2*\i, scale, addend
  .endr
  ds_store_b128 v[b_store], v[b:b+3]
  ds_store_b128 v[b_store], v[b+4:b+7] offset:16
.endm

gemm gemm_q6_k_store, store
gemm gemm_q6_k_add, add
