// embed_<type>: x[t][i] = table[tokens[t]][i], as f32; ids >= rows read row 0.
// Grid: {tokens, 1, 1}, 128 lanes, four columns a lane. columns a multiple of 32, of 256 for q4_k and q6_k.
// Bound by latency: one row a workgroup.
.include "kernel.inc"

// embed_row_TYPE: bytes of a row in each plane. embed_load_TYPE: the words of four columns. embed_value_TYPE: four
// f32 in v[value...]; a multiplication by a scale is the only rounding (q4_k: and one fused subtraction).

.macro embed_row_f32
  s_lshl_b32 s[row_bytes], s[columns], 2
.endm
.macro embed_load_f32
  v_lshlrev_b32 v[at], 4, v[quad]
  global_load_b128 v[value:value+3], v[at], s[table:table+1]
.endm
.macro embed_value_f32
.endm

.macro embed_row_f16
  s_lshl_b32 s[row_bytes], s[columns], 1
.endm
.macro embed_load_f16
  v_lshlrev_b32 v[at], 3, v[quad]
  global_load_b64 v[word:word+1], v[at], s[table:table+1]
.endm
.macro embed_value_f16
  v_cvt_f32_f16 v[value], v[word]
  v_lshrrev_b32 v[word], 16, v[word]
  v_cvt_f32_f16 v[value+1], v[word]
  v_cvt_f32_f16 v[value+2], v[word+1]
  v_lshrrev_b32 v[word+1], 16, v[word+1]
  v_cvt_f32_f16 v[value+3], v[word+1]
.endm

.macro embed_row_bf16
  embed_row_f16
.endm
.macro embed_load_bf16
  embed_load_f16
.endm
.macro embed_value_bf16
  v_lshlrev_b32 v[value], 16, v[word]
  v_and_b32 v[value+1], 0xffff0000, v[word]
  v_lshlrev_b32 v[value+2], 16, v[word+1]
  v_and_b32 v[value+3], 0xffff0000, v[word+1]
.endm

// v[value...] = (bytes of v[word] - zero) * v[scale]
.macro embed_bytes zero
  .irp i, 0, 1, 2, 3
    v_cvt_f32_ubyte\i v[value+\i], v[word]
    .ifnc \zero, 0
      v_add_f32 v[value+\i], \zero, v[value+\i]
    .endif
    v_mul_f32 v[value+\i], v[value+\i], v[scale]
  .endr
.endm

.macro embed_row_q8_0
  s_mov_b32 s[row_bytes], s[columns]
  s_lshr_b32 s[row_bytes+1], s[columns], 4
.endm
.macro embed_load_q8_0
  v_lshlrev_b32 v[at], 2, v[quad]
  global_load_b32 v[word], v[at], s[table:table+1]
  v_lshrrev_b32 v[at], 3, v[quad]
  v_lshlrev_b32 v[at], 1, v[at]
  global_load_u16 v[scale], v[at], s[table+2:table+3]
.endm
.macro embed_value_q8_0
  v_cvt_f32_f16 v[scale], v[scale]
  embed_bytes 0xc3000000                               // -128
.endm

.macro embed_row_q4_0
  s_lshr_b32 s[row_bytes], s[columns], 1
  s_lshr_b32 s[row_bytes+1], s[columns], 4
.endm
.macro embed_load_q4_0                                  // quad % 8 in the block: bit 2 = high nibbles, bits 1:0 = dword
  v_lshrrev_b32 v[block], 3, v[quad]
  v_and_b32 v[at], 3, v[quad]
  v_lshlrev_b32 v[at], 2, v[at]
  v_lshl_add_u32 v[at], v[block], 4, v[at]
  global_load_b32 v[word], v[at], s[table:table+1]
  v_lshlrev_b32 v[at], 1, v[block]
  global_load_u16 v[scale], v[at], s[table+2:table+3]
.endm
.macro embed_value_q4_0
  v_and_b32 v[at], 4, v[quad]
  v_lshrrev_b32 v[word], v[at], v[word]
  v_and_b32 v[word], 0x0f0f0f0f, v[word]
  v_cvt_f32_f16 v[scale], v[scale]
  embed_bytes 0xc1000000                               // -8
.endm

.macro embed_row_q4_k
  s_lshr_b32 s[row_bytes], s[columns], 8
  s_mul_i32 s[row_bytes], s[row_bytes], 144
.endm
// quad % 64: bits 5:4 = 32 bytes, bit 3 = high nibbles, bits 2:0 = dword
.macro embed_load_q4_k
  v_lshrrev_b32 v[block], 6, v[quad]
  v_mul_u32_u24 v[block], 144, v[block]
  global_load_b128 v[header:header+3], v[block], s[table:table+1]
  v_bfe_u32 v[at], v[quad], 4, 2
  v_lshl_add_u32 v[block], v[at], 5, v[block]
  v_and_b32 v[at], 7, v[quad]
  v_lshl_add_u32 v[at], v[at], 2, v[block]
  global_load_b32 v[word], v[at], s[table:table+1] offset:16
.endm
.macro embed_value_q4_k
  v_bfe_u32 v[at], v[quad], 3, 1
  v_lshlrev_b32 v[at], 2, v[at]
  v_lshrrev_b32 v[word], v[at], v[word]
  v_and_b32 v[word], 0x0f0f0f0f, v[word]
  // Group of 32 j = quad / 8 % 8; j % 4 chooses a byte of each dword of scales.
  v_bfe_u32 v[at], v[quad], 3, 2
  v_lshlrev_b32 v[at], 3, v[at]
  .irp i, 1, 2, 3
    v_lshrrev_b32 v[header+\i], v[at], v[header+\i]
  .endr
  v_and_b32 v[scale], 63, v[header+1]
  v_and_b32 v[minimum], 63, v[header+2]
  v_bfe_u32 v[header+1], v[header+1], 6, 2
  v_bfe_u32 v[header+2], v[header+2], 6, 2
  v_and_b32 v[at], 15, v[header+3]
  v_bfe_u32 v[block], v[header+3], 4, 4
  v_lshl_or_b32 v[at], v[header+1], 4, v[at]
  v_lshl_or_b32 v[block], v[header+2], 4, v[block]
  v_and_b32 v[header+1], 32, v[quad]
  v_cmp_ne_u32 vcc_lo, 0, v[header+1]                  // j >= 4
  v_cndmask_b32 v[scale], v[scale], v[at], vcc_lo
  v_cndmask_b32 v[minimum], v[minimum], v[block], vcc_lo
  v_cvt_f32_u32 v[scale], v[scale]
  v_cvt_f32_u32 v[minimum], v[minimum]
  v_lshrrev_b32 v[at], 16, v[header]
  v_cvt_f32_f16 v[header], v[header]
  v_cvt_f32_f16 v[at], v[at]
  v_mul_f32 v[scale], v[scale], v[header]
  v_mul_f32 v[minimum], v[minimum], v[at]
  .irp i, 0, 1, 2, 3
    v_cvt_f32_ubyte\i v[value+\i], v[word]
    v_fma_f32 v[value+\i], v[value+\i], v[scale], -v[minimum]
  .endr
.endm

.macro embed_row_q6_k
  s_lshr_b32 s[row_bytes], s[columns], 1
  s_lshr_b32 s[row_bytes+1], s[columns], 2
  s_lshr_b32 s[row_bytes+2], s[columns], 4
  s_lshr_b32 s[row_bytes+3], s[columns], 7
.endm
// quad % 64: bit 5 = half n, bits 4:3 = run of 32, bits 2:0 = dword of the run
.macro embed_load_q6_k
  v_lshrrev_b32 v[block], 6, v[quad]
  v_bfe_u32 v[header], v[quad], 5, 1
  v_bfe_u32 v[header+1], v[quad], 3, 2
  v_and_b32 v[header+2], 7, v[quad]
  v_lshlrev_b32 v[at], 7, v[block]
  v_lshl_add_u32 v[at], v[header], 6, v[at]
  v_and_b32 v[header+3], 1, v[header+1]
  v_lshl_add_u32 v[at], v[header+3], 5, v[at]
  v_lshl_add_u32 v[at], v[header+2], 2, v[at]
  global_load_b32 v[word], v[at], s[table:table+1]
  v_lshlrev_b32 v[at], 6, v[block]
  v_lshl_add_u32 v[at], v[header], 5, v[at]
  v_lshl_add_u32 v[at], v[header+2], 2, v[at]
  global_load_b32 v[word+1], v[at], s[table+2:table+3]
  v_lshlrev_b32 v[at], 4, v[block]
  v_lshl_add_u32 v[at], v[header], 3, v[at]
  v_lshl_add_u32 v[at], v[header+1], 1, v[at]
  v_lshrrev_b32 v[header+2], 2, v[header+2]
  v_add_nc_u32 v[at], v[at], v[header+2]
  global_load_i8 v[scale], v[at], s[table+4:table+5]
  v_lshlrev_b32 v[at], 1, v[block]
  global_load_u16 v[minimum], v[at], s[table+6:table+7]
.endm
.macro embed_value_q6_k
  v_lshrrev_b32 v[at], 1, v[header+1]
  v_lshlrev_b32 v[at], 2, v[at]
  v_lshrrev_b32 v[word], v[at], v[word]                // runs 2 and 3: high nibbles
  v_lshlrev_b32 v[at], 1, v[header+1]
  v_lshrrev_b32 v[word+1], v[at], v[word+1]
  v_lshlrev_b32 v[word+1], 4, v[word+1]
  v_and_b32 v[word], 0x0f0f0f0f, v[word]
  v_and_b32 v[word+1], 0x30303030, v[word+1]
  v_or_b32 v[word], v[word], v[word+1]
  v_cvt_f32_i32 v[scale], v[scale]
  v_cvt_f32_f16 v[minimum], v[minimum]
  v_mul_f32 v[scale], v[scale], v[minimum]
  embed_bytes 0xc2000000                               // -32
.endm

.macro embed_kernel type, planes
group_lanes = 128
kernel embed_\type
  arg table, 32
  arg tokens, 8
  arg x, 8
  arg columns, 4
  arg rows, 4
  sgpr kernarg, 2
  sgpr token_index
  sgpr table, 8, align=4
  sgpr tokens_ptr, 2, align=4
  sgpr x_ptr, 2
  sgpr columns, 2, align=2
  .set rows, columns + 1
  sgpr token
  sgpr row_bytes, 4
  sgpr address, 2, align=2
  vgpr lane
  vgpr quad                           // four columns
  vgpr at
  vgpr block
  vgpr value, 4
  vgpr word, 2
  vgpr scale
  vgpr minimum
  vgpr header, 4
  require kernarg == 0 && token_index == 2
  require arg_x == arg_tokens + 8 && arg_rows == arg_columns + 4

  s_load_b256 s[table:table+7], s[kernarg:kernarg+1], arg_table
  s_load_b128 s[tokens_ptr:x_ptr+1], s[kernarg:kernarg+1], arg_tokens
  s_load_b64 s[columns:rows], s[kernarg:kernarg+1], arg_columns
  s_lshl_b32 s[address], s[token_index], 2
  s_waitcnt lgkmcnt(0)                                 // the arguments
  s_load_b32 s[token], s[tokens_ptr:tokens_ptr+1], s[address]
  embed_row_\type
  s_waitcnt lgkmcnt(0)                                 // token
  s_cmp_lt_u32 s[token], s[rows]
  s_cselect_b32 s[token], s[token], 0
  .irp plane, 0, 1, 2, 3
    .if \plane < \planes
      s_mul_i32 s[address], s[token], s[row_bytes+\plane]
      s_mul_hi_u32 s[address+1], s[token], s[row_bytes+\plane]
      s_add_u32 s[table+2*\plane], s[table+2*\plane], s[address]
      s_addc_u32 s[table+2*\plane+1], s[table+2*\plane+1], s[address+1]
    .endif
  .endr
  s_lshl_b32 s[address], s[columns], 2
  s_mul_hi_u32 s[address+1], s[token_index], s[address]
  s_mul_i32 s[address], s[token_index], s[address]
  s_add_u32 s[x_ptr], s[x_ptr], s[address]
  s_addc_u32 s[x_ptr+1], s[x_ptr+1], s[address+1]
  s_lshr_b32 s[columns], s[columns], 2
  rename columns, quads
  v_mov_b32 v[quad], v[lane]
.Lnext\@:
  v_cmpx_gt_u32 s[quads], v[quad]                      // lanes past the end
  s_cbranch_execz .Lend\@
  embed_load_\type
  s_waitcnt vmcnt(0)                                   // the words of four columns
  embed_value_\type
  v_lshlrev_b32 v[at], 4, v[quad]
  global_store_b128 v[at], v[value:value+3], s[x_ptr:x_ptr+1]
  v_add_nc_u32 v[quad], group_lanes, v[quad]
  s_branch .Lnext\@
.Lend\@:
endkernel
.endm

embed_kernel f32, 1
embed_kernel f16, 1
embed_kernel bf16, 1
embed_kernel q8_0, 2
embed_kernel q4_0, 2
embed_kernel q4_k, 1
embed_kernel q6_k, 4
