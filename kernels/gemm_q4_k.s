// gemm_q4_k_store, gemm_q4_k_add: see gemm.inc. A block of 256 columns is 144 bytes: d, dmin (f16), 12 bytes with
// eight pairs of 6-bit scale and minimum, 128 bytes of nibbles. A K step is one of its eight sub-blocks: the low
// (even) or high (odd) nibbles of 32 bytes. A lane decodes 16 quants of a row: d*scale * u - dmin*minimum.
// Layout: ggml's block_q4_K, get_scale_min_k4.
.include "gemm.inc"

.macro gemm_weights_registers
  sgpr quants, 2, align=2
  sgpr part                             // sub-block of the next load
  sgpr shift                            // of the nibbles last loaded
  sgpr fresh                            // 1: a header was loaded with them
  vgpr header, 4
  vgpr raw_b, 4
  vgpr header_offset
  vgpr b_offset
  vgpr d
  vgpr dmin
  vgpr scales, 2                        // one a byte, the next sub-block's in the lowest
  vgpr minimums, 2
  vgpr scale
  vgpr addend
.endm

.macro gemm_weights_start
  s_lshr_b32    s[row_mask], s[columns], 8
  s_mul_i32     s[row_mask], s[row_mask], 144          // bytes of a row
  gemm_advance  plane, row_base, row_mask
  s_mov_b64     s[quants:quants+1], s[plane:plane+1]
  s_mov_b32     s[part], 0
  gemm_row_of_2 scratch, raw_a, 32
  v_mul_u32_u24 v[b_store], gemm_row_bytes, v[scratch]
  gemm_row_offset header_offset, scratch, row_mask
  v_and_b32     v[scratch], 1, v[lane]
  v_lshl_add_u32 v[b_offset], v[scratch], 4, v[header_offset]
  v_lshl_add_u32 v[b_store], v[scratch], 5, v[b_store]
  v_add_nc_u32  v[b_store], gemm_weights_at, v[b_store]
.endm

.macro gemm_weights_load name
  s_cmp_eq_u32  s[part], 0
  s_cselect_b32 s[fresh], 1, 0
  s_cbranch_scc0 .L\name\()_quants\@
  global_load_b128 v[header:header+3], v[header_offset], s[plane:plane+1]
  gemm_step     plane, 144
.L\name\()_quants\@:
  global_load_b128 v[raw_b:raw_b+3], v[b_offset], s[quants:quants+1] offset:16
  s_and_b32     s[product], s[part], 1
  s_lshl_b32    s[shift], s[product], 2
  s_lshl_b32    s[product], s[product], 5
  s_add_u32     s[quants], s[quants], s[product]       // the high nibbles were the last of these 32 bytes
  s_addc_u32    s[quants+1], s[quants+1], 0
  s_add_u32     s[part], s[part], 1
  s_and_b32     s[part], s[part], 7
  s_cselect_b32 s[product], 0, 16                      // SCC: part != 0. Over the next header
  s_add_u32     s[quants], s[quants], s[product]
  s_addc_u32    s[quants+1], s[quants+1], 0
.endm

.macro gemm_q4_k_unpack
  v_cvt_f32_f16 v[d], v[header]
  v_lshrrev_b32 v[dmin], 16, v[header]
  v_cvt_f32_f16 v[dmin], v[dmin]
  v_and_b32     v[scales], 0x3f3f3f3f, v[header+1]
  v_and_b32     v[minimums], 0x3f3f3f3f, v[header+2]
  v_lshrrev_b32 v[header+1], 2, v[header+1]
  v_lshrrev_b32 v[header+2], 2, v[header+2]
  v_and_b32     v[scales+1], 0x0f0f0f0f, v[header+3]
  v_lshrrev_b32 v[header+3], 4, v[header+3]
  v_and_b32     v[minimums+1], 0x0f0f0f0f, v[header+3]
  v_and_or_b32  v[scales+1], v[header+1], 0x30303030, v[scales+1]
  v_and_or_b32  v[minimums+1], v[header+2], 0x30303030, v[minimums+1]
.endm

.macro gemm_weights_store
  s_cmp_eq_u32  s[fresh], 0
  s_cbranch_scc1 .Lq4_k_unpacked\@
  gemm_q4_k_unpack
.Lq4_k_unpacked\@:
  v_cvt_f32_ubyte0 v[scale], v[scales]
  v_cvt_f32_ubyte0 v[addend], v[minimums]
  v_alignbit_b32 v[scales], v[scales+1], v[scales], 8
  v_alignbit_b32 v[minimums], v[minimums+1], v[minimums], 8
  v_lshrrev_b32 v[scales+1], 8, v[scales+1]
  v_lshrrev_b32 v[minimums+1], 8, v[minimums+1]
  v_mul_f32     v[scale], v[d], v[scale]
  v_mul_f32     v[addend], v[dmin], v[addend]
  .irp i, 0, 1, 2, 3
  v_lshrrev_b32 v[raw_b+\i], s[shift], v[raw_b+\i]
  .endr
  v_fma_f32     v[addend], v[scale], 0xc4800000, -v[addend]      // -1024 * scale - minimum
  .irp i, 0, 1, 2, 3
  v_and_b32     v[raw_b+\i], 0x0f0f0f0f, v[raw_b+\i]
  .endr
  .irp i, 0, 1, 2, 3
  gemm_bytes_to_f16 b+2*\i, raw_b+\i, a+2*\i, scale, addend
  .endr
  ds_store_b128 v[b_store], v[b:b+3]
  ds_store_b128 v[b_store], v[b+4:b+7] offset:16
.endm

gemm gemm_q4_k_store, store
gemm gemm_q4_k_add, add
