// attn_prefill_<head_size>: causal attention of a batch of query tokens over the KV cache, with a streaming softmax.
// out[t][h] = sum over p <= first_position + t of softmax_p(q[t][h] . k[p]) * v[p]; q comes scaled by
// 1/sqrt(head_size).
//
// Grid: x = head, y = 64 query tokens (the last ones first); four waves of 16 tokens each. Head sizes 32, 64, 96,
// 128. heads is a multiple of kv_heads. The cache must hold positions 0 .. first_position + tokens - 1; rows behind
// them are not read, tokens past the end not written.
//
// A step is 32 positions. The workgroup copies their K rows and, transposed, their V rows into LDS; the loads of the
// next step are issued before this step's work. Each wave computes S^T = K q^T, so that a query is a lane (l % 16,
// twice: lanes l < 16 hold the even positions in their VGPRs, the others the odd ones). Maximum, sum and scale of a
// query then are values of its two lanes, and the output O^T = V^T P^T needs no exchange to be rescaled; the f16 of
// P^T go into operand order by one v_permlanex16 for two registers.
// WMMA: A = K (then V^T), B = q (then P^T): a row of A or B in lane % 16, and again in the other 16 lanes; 16 k in 8
// VGPRs.
//
// Precision: scores, maximum, sum and output f32; P is truncated to f16, and the sum is taken of the truncated
// values, so that the truncation weighs positions against each other by 2^-10 at most and scales nothing.
// Bound by: WMMA and VALU. A step of a wave, head size 128 (64): 32 (16) WMMA, 100 (92) VALU (16 of them v_exp_f32),
// 64 (32) LDS loads, 8 (6) LDS stores, 12 (6) VMEM loads, 2 barriers; 38 (22) VALU more where a maximum grows much, 33 more
// on the diagonal. LDS 18,944 bytes and 240 VGPRs (128): 6 waves a SIMD.
// Duration: (first_position + tokens) / 32 steps for each of ceil(tokens / 64) * heads workgroups, modelled at 1,300
// cycles a wave and step for head size 128: 32 heads * 512 tokens at position 131,072 take 25 ms when the WMMA units
// never wait, so even at a tenth of that speed a batch stays under the 2 s of a job; more tokens or heads must be
// split over the tokens.
.include "kernel.inc"

.set attn_v_row_bytes, 80               // in LDS: 32 positions and 16 bytes of padding

// v_swizzle: the 16 bytes of 8 positions 8n .. 8n+7 of dimension d lie at n ^ d/8%4, or else all eight lanes that LDS
// serves together, four dimensions apart, would store to two groups of four banks.

.macro attn_registers size
  arg q, 8                              // f16[tokens][heads][head_size]
  arg k_cache, 8                        // f16[kv_heads][context][head_size]
  arg v_cache, 8
  arg out, 8                            // f16[tokens][heads][head_size]
  arg heads, 4
  arg kv_heads, 4
  arg head_size, 4                      // not read: it is the kernel's
  arg context, 4
  arg first_position, 4
  arg tokens, 4

  .set attn_tiles, \size/16                            // of 16 dimensions
  .set attn_k_row_bytes, 2*\size + 16                  // in LDS
  .set attn_k_pieces, \size/8                          // of 16 bytes in a row of K
  sgpr kernarg, 2
  sgpr head
  sgpr group
  sgpr q_ptr, 2, align=4
  sgpr k_ptr, 2                         // of the next step, plus attn_bias
  sgpr v_ptr, 2                         // of the next step
  sgpr out_ptr, 2
  sgpr heads, 1, align=4
  sgpr kv_heads
  sgpr head_size
  sgpr context
  sgpr first_position, 1, align=2
  sgpr tokens
  sgpr wave
  sgpr wave_position                    // of the wave's first query
  sgpr wave_tokens                      // queries of the wave, <= 0: none, may be more than 16
  sgpr position                         // first of this step
  sgpr left                             // positions from the next step's first one on
  sgpr product, 2, align=2
  sgpr k_lanes                          // lanes that copy K
  sgpr v_lanes
  sgpr pick_low                         // v_perm_b32: the low halves of two registers
  sgpr pick_high
  sgpr same_low                         // v_permlanex16_b32: lane n of the other 16
  sgpr same_high
  sgpr log2_e
  vgpr lane
  vgpr o, 8*attn_tiles, align=2         // [dimension tile][8]
  vgpr q, 8*attn_tiles                  // [dimension tile][8]
  vgpr s, 16                            // [position tile][8], then P
  vgpr pool, 32                         // operands from LDS
  vgpr raw_k, 16
  vgpr raw_v, 16
  vgpr k_row                            // of the step, copied by this lane
  vgpr k_offset
  vgpr k_store
  vgpr k_load
  vgpr v_row
  vgpr v_offset
  vgpr v_store
  vgpr v_load                           // of positions 0 .. 7 of a tile in this lane's row
  vgpr v_load_high                      // of 8 .. 15
  vgpr total                            // of P over this lane's positions
  vgpr factor, 2, align=2               // two copies in different banks
  vgpr bias                             // -m * log2(e): P is 2^(s * log2(e) + bias)
  vgpr other
  vgpr first_half                       // v_perm_b32: own and other half in position order, low 16 bits
  vgpr second_half                      // high 16 bits
  vgpr query_position                   // less lane / 16
  vgpr ones                             // two f16
  lds k, 32*attn_k_row_bytes
  lds v, \size*attn_v_row_bytes
  require kernarg == 0 && head == 2 && group == 3 && lane == 0
  require out_ptr + 1 - q_ptr == 7 && context - heads == 3
.endm

// How a step is copied. K: a lane loads 16 bytes of row k_row + k_rows*i, i < k_loads. V: 4 dimensions of v_rows
// consecutive rows.
.macro attn_shape size
  .if \size == 32
    .set attn_k_rows, 32
    .set attn_k_shift, 2                // log2 of the pieces in a row
    .set attn_v_shift, 3                // log2 of the lanes side by side in a row of V
  .elseif \size == 64
    .set attn_k_rows, 16
    .set attn_k_shift, 3
    .set attn_v_shift, 4
  .else
    .set attn_k_rows, 8
    .set attn_k_shift, 4                // 96: not a power of two, see attn_copy_setup
    .set attn_v_shift, 5
  .endif
  .set attn_v_lanes, 1 << attn_v_shift
  .set attn_k_loads, 32/attn_k_rows
  .set attn_v_rows, attn_v_lanes/4
  .set attn_k_stride, attn_k_rows*2*\size              // bytes between a lane's loads
  .set attn_bias, 4096                                 // an offset is -4096 .. 4095
  require (attn_k_loads - 1) * attn_k_stride - attn_bias <= 4095
.endm

// pointer += index * bytes, in 64 bits.
.macro attn_advance pointer, index, bytes
  s_mul_i32     s[product], s[\index], \bytes
  s_mul_hi_u32  s[product+1], s[\index], \bytes
  s_add_u32     s[\pointer], s[\pointer], s[product]
  s_addc_u32    s[\pointer+1], s[\pointer+1], s[product+1]
.endm

.macro attn_setup name, size
  s_load_b256   s[q_ptr:out_ptr+1], s[kernarg:kernarg+1], arg_q
  s_load_b128   s[heads:context], s[kernarg:kernarg+1], arg_heads
  s_load_b64    s[first_position:tokens], s[kernarg:kernarg+1], arg_first_position
  v_and_b32     v[lane], 0x3ff, v[lane]
  v_lshrrev_b32 v[other], 5, v[lane]
  v_readfirstlane_b32 s[wave], v[other]
  s_mov_b32     s[pick_low], 0x05040100
  s_mov_b32     s[pick_high], 0x07060302
  s_mov_b32     s[same_low], 0x76543210
  s_mov_b32     s[same_high], 0xfedcba98
  s_mov_b32     s[log2_e], 0x3fb8aa3b
  s_mov_b32     s[position], 0
  v_mov_b32     v[total], 0
  v_mov_b32     v[ones], 0x3c003c00
  .set attn_i, 0
  .rept 4*attn_tiles
  v_dual_mov_b32 v[o+attn_i], 0 :: v_dual_mov_b32 v[o+attn_i+1], 0
  .set attn_i, attn_i + 2
  .endr
  attn_copy_setup \size
  v_and_b32     v[other], 15, v[lane]
  v_mul_u32_u24 v[k_load], attn_k_row_bytes, v[other]
  v_mul_u32_u24 v[v_load_high], attn_v_row_bytes, v[other]
  v_bfe_u32     v[v_load], v[lane], 3, 1
  v_lshl_add_u32 v[v_load], v[v_load], 4, v[v_load_high]         // v_swizzle: 16 bytes up in every second group of 8
  v_bfe_u32     v[bias], v[lane], 3, 1
  v_xor_b32     v[bias], 1, v[bias]
  v_lshl_add_u32 v[v_load_high], v[bias], 4, v[v_load_high]
  v_bfe_u32     v[bias], v[lane], 4, 1
  v_cmp_eq_u32  vcc_lo, 0, v[bias]
  v_mov_b32     v[pool], 0x01000504
  v_mov_b32     v[pool+1], 0x03020706
  v_cndmask_b32 v[first_half], v[pool], s[pick_low], vcc_lo
  v_cndmask_b32 v[second_half], v[pool+1], s[pick_high], vcc_lo
  s_waitcnt     lgkmcnt(0)              // all arguments

  s_sub_u32     s[product], s[tokens], 1               // the last tokens first: their workgroups run longest
  s_lshr_b32    s[product], s[product], 6
  s_sub_u32     s[group], s[product], s[group]
  s_lshl_b32    s[product], s[group], 6
  s_lshl_b32    s[wave_position], s[wave], 4
  s_add_u32     s[wave_position], s[wave_position], s[product]   // the wave's first token, for now
  s_sub_u32     s[wave_tokens], s[tokens], s[wave_position]
  s_add_u32     s[left], s[product], 64
  s_min_u32     s[left], s[left], s[tokens]
  s_add_u32     s[left], s[left], s[first_position]    // positions that the workgroup's queries see

  // This wave's queries, each lane one token: tokens past the end read the last one.
  s_mul_i32     s[head_size], s[head], 2*\size         // byte of the head in a row of q and out
  s_add_u32     s[q_ptr], s[q_ptr], s[head_size]
  s_addc_u32    s[q_ptr+1], s[q_ptr+1], 0
  s_add_u32     s[out_ptr], s[out_ptr], s[head_size]
  s_addc_u32    s[out_ptr+1], s[out_ptr+1], 0
  s_mul_i32     s[head_size], s[heads], 2*\size        // bytes of a token
  s_sub_u32     s[product], s[tokens], 1
  v_add_nc_u32  v[query_position], s[wave_position], v[other]
  v_min_u32     v[other], s[product], v[query_position]
  v_mul_lo_u32  v[other], v[other], s[head_size]
  s_clause      2*attn_tiles-1
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  .if \i < attn_tiles
  global_load_b128 v[q+8*\i:q+8*\i+3], v[other], s[q_ptr:q_ptr+1] offset:32*\i
  global_load_b128 v[q+8*\i+4:q+8*\i+7], v[other], s[q_ptr:q_ptr+1] offset:32*\i+16
  .endif
  .endr
  v_add_nc_u32  v[query_position], s[first_position], v[query_position]
  v_sub_nc_u32  v[query_position], v[query_position], v[bias]
  s_add_u32     s[wave_position], s[wave_position], s[first_position]

  // The KV head: floor((head + 0.5) * kv_heads / heads), far enough from an integer for the rounding of v_rcp_f32.
  v_cvt_f32_u32 v[other], s[heads]
  v_cvt_f32_u32 v[bias], s[head]
  v_cvt_f32_u32 v[factor], s[kv_heads]
  v_rcp_f32     v[other], v[other]
  v_add_f32     v[bias], 0.5, v[bias]
  v_mul_f32     v[bias], v[bias], v[factor]
  v_mul_f32     v[bias], v[bias], v[other]
  v_cvt_u32_f32 v[bias], v[bias]                       // towards zero
  v_readfirstlane_b32 s[kv_heads], v[bias]
  s_mul_i32     s[kv_heads], s[kv_heads], s[context]
  attn_advance  k_ptr, kv_heads, 2*\size
  attn_advance  v_ptr, kv_heads, 2*\size
  s_add_u32     s[k_ptr], s[k_ptr], attn_bias
  s_addc_u32    s[k_ptr+1], s[k_ptr+1], 0
  v_mov_b32     v[bias], 0x7f800000                    // inf: no maximum yet
.endm

// Which piece of a step this lane copies, from where to where.
.macro attn_copy_setup size
  .if attn_k_pieces == 12
  v_mul_u32_u24 v[k_row], 43, v[lane]                  // lane / 12 for lane < 96
  v_lshrrev_b32 v[k_row], 9, v[k_row]
  v_mul_u32_u24 v[other], 12, v[k_row]
  v_sub_nc_u32  v[other], v[lane], v[other]
  .else
  v_lshrrev_b32 v[k_row], attn_k_shift, v[lane]
  v_and_b32     v[other], attn_k_pieces-1, v[lane]
  .endif
  v_lshlrev_b32 v[k_offset], 4, v[other]
  v_mad_u32_u24 v[k_store], v[k_row], attn_k_row_bytes, v[k_offset]
  v_mad_u32_u24 v[k_offset], v[k_row], 2*\size, v[k_offset]
  v_cmp_gt_u32  s[k_lanes], attn_k_rows*attn_k_pieces, v[lane]

  v_lshrrev_b32 v[v_row], attn_v_shift, v[lane]
  v_mul_u32_u24 v[v_row], attn_v_rows, v[v_row]
  v_and_b32     v[other], attn_v_lanes-1, v[lane]
  v_cmp_gt_u32  s[v_lanes], \size/4, v[other]
  v_lshlrev_b32 v[v_offset], 3, v[other]
  v_mul_u32_u24 v[v_store], 4*attn_v_row_bytes, v[other]
  v_bfe_u32     v[other], v[other], 1, 2               // dimension / 8 % 4
  v_lshlrev_b32 v[v_load], 1, v[v_row]
  v_lshlrev_b32 v[other], 4, v[other]
  v_xor_b32     v[other], v[other], v[v_load]          // v_swizzle
  v_add_nc_u32  v[v_store], v[v_store], v[other]
  v_mad_u32_u24 v[v_offset], v[v_row], 2*\size, v[v_offset]
.endm

// Issues the loads of the next step; rows behind the last position become that one.
.macro attn_load name, size
  s_cmp_lt_u32  s[left], 32
  s_cbranch_scc1 .L\name\()_last\@
  s_mov_b32     exec_lo, s[k_lanes]
  .if attn_k_loads > 1
  s_clause      attn_k_loads-1
  .endif
  .irp i, 0, 1, 2, 3
  .if \i < attn_k_loads
  global_load_b128 v[raw_k+4*\i:raw_k+4*\i+3], v[k_offset], s[k_ptr:k_ptr+1] offset:\i*attn_k_stride-attn_bias
  .endif
  .endr
  s_mov_b32     exec_lo, s[v_lanes]
  s_clause      attn_v_rows-1
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  .if \i < attn_v_rows
  global_load_b64 v[raw_v+2*\i:raw_v+2*\i+1], v[v_offset], s[v_ptr:v_ptr+1] offset:2*\i*\size
  .endif
  .endr
  s_branch      .L\name\()_loaded\@
.L\name\()_last\@:
  s_sub_u32     s[product], s[left], 1
  s_mov_b32     exec_lo, s[k_lanes]
  .irp i, 0, 1, 2, 3
  .if \i < attn_k_loads
  v_add_nc_u32  v[raw_k+4*\i], attn_k_rows*\i, v[k_row]
  v_min_u32     v[raw_k+4*\i], s[product], v[raw_k+4*\i]
  v_sub_nc_u32  v[raw_k+4*\i], v[raw_k+4*\i], v[k_row]            // may be negative: so is the sum's wrap
  v_mul_i32_i24 v[raw_k+4*\i], 2*\size, v[raw_k+4*\i]
  v_add_nc_u32  v[raw_k+4*\i], v[raw_k+4*\i], v[k_offset]
  global_load_b128 v[raw_k+4*\i:raw_k+4*\i+3], v[raw_k+4*\i], s[k_ptr:k_ptr+1] offset:-attn_bias
  .endif
  .endr
  s_mov_b32     exec_lo, s[v_lanes]
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  .if \i < attn_v_rows
  v_add_nc_u32  v[raw_v+2*\i], \i, v[v_row]
  v_min_u32     v[raw_v+2*\i], s[product], v[raw_v+2*\i]
  v_sub_nc_u32  v[raw_v+2*\i], v[raw_v+2*\i], v[v_row]
  v_mul_i32_i24 v[raw_v+2*\i], 2*\size, v[raw_v+2*\i]
  v_add_nc_u32  v[raw_v+2*\i], v[raw_v+2*\i], v[v_offset]
  global_load_b64 v[raw_v+2*\i:raw_v+2*\i+1], v[raw_v+2*\i], s[v_ptr:v_ptr+1]
  .endif
  .endr
.L\name\()_loaded\@:
  s_mov_b32     exec_lo, -1
  s_add_u32     s[k_ptr], s[k_ptr], 64*\size
  s_addc_u32    s[k_ptr+1], s[k_ptr+1], 0
  s_add_u32     s[v_ptr], s[v_ptr], 64*\size
  s_addc_u32    s[v_ptr+1], s[v_ptr+1], 0
.endm

// One dimension of the lane's rows of V, pairs of rows in a register, to LDS.
.macro attn_store_v dim, half, pick
  .set attn_i, 0
  .rept attn_v_rows/2
  v_perm_b32    v[pool+4*\dim+attn_i], v[raw_v+4*attn_i+2+\half], v[raw_v+4*attn_i+\half], s[\pick]
  .set attn_i, attn_i + 1
  .endr
  .if attn_v_rows == 8
  ds_store_b128 v[v_store], v[pool+4*\dim:pool+4*\dim+3] offset:lds_v+\dim*attn_v_row_bytes
  .elseif attn_v_rows == 4
  ds_store_b64  v[v_store], v[pool+4*\dim:pool+4*\dim+1] offset:lds_v+\dim*attn_v_row_bytes
  .else
  ds_store_b32  v[v_store], v[pool+4*\dim] offset:lds_v+\dim*attn_v_row_bytes
  .endif
.endm

.macro attn_store
  s_mov_b32     exec_lo, s[k_lanes]
  .irp i, 0, 1, 2, 3
  .if \i < attn_k_loads
  ds_store_b128 v[k_store], v[raw_k+4*\i:raw_k+4*\i+3] offset:lds_k+\i*attn_k_rows*attn_k_row_bytes
  .endif
  .endr
  s_mov_b32     exec_lo, s[v_lanes]
  attn_store_v  0, 0, pick_low
  attn_store_v  1, 0, pick_high
  attn_store_v  2, 1, pick_low
  attn_store_v  3, 1, pick_high
  s_mov_b32     exec_lo, -1
.endm

// Operand number n of the pool: 16 k of the row of this lane.
.macro attn_operand n, address, offset
  ds_load_b128  v[pool+8*\n:pool+8*\n+3], v[\address] offset:\offset
  ds_load_b128  v[pool+8*\n+4:pool+8*\n+7], v[\address] offset:\offset+16
.endm

.macro attn_wmma c, n, b, addend, pending
  s_waitcnt     lgkmcnt(\pending)       // operand n
  .ifc \addend, zero
  v_wmma_f32_16x16x16_f16 v[\c:\c+7], v[pool+8*\n:pool+8*\n+7], v[\b:\b+7], 0
  .else
  v_wmma_f32_16x16x16_f16 v[\c:\c+7], v[pool+8*\n:pool+8*\n+7], v[\b:\b+7], v[\c:\c+7]
  .endif
.endm

// S^T of 32 positions, dimensions 16i .. 16i + 31.
.macro attn_scores i, addend
  .irp n, 0, 1, 2, 3
  attn_operand  \n, k_load, (lds_k + 16*(\n & 1)*attn_k_row_bytes + 32*(\i + \n/2))
  .endr
  attn_wmma     s, 0, q+8*\i, \addend, 6
  attn_wmma     s+8, 1, q+8*\i, \addend, 4
  attn_wmma     s, 2, q+8*(\i+1), sum, 2
  attn_wmma     s+8, 3, q+8*(\i+1), sum, 0
.endm

// For operand n: dimension tile i + n%2, positions of tile n/2; the swizzle exchanges the two tiles in odd ones.
.macro attn_values_load i
  .irp n, 0, 1, 2, 3
  .set attn_at, lds_v + 16*(\i + (\n & 1))*attn_v_row_bytes + 32*((\n/2) ^ (\n & 1))
  ds_load_b128  v[pool+8*\n:pool+8*\n+3], v[v_load] offset:attn_at
  ds_load_b128  v[pool+8*\n+4:pool+8*\n+7], v[v_load_high] offset:attn_at
  .endr
.endm

// O^T, dimensions 16i .. 16i + 31, of 32 positions.
.macro attn_values i
  attn_wmma     o+8*\i, 0, s, sum, 6
  attn_wmma     o+8*(\i+1), 1, s, sum, 4
  attn_wmma     o+8*\i, 2, s+8, sum, 2
  attn_wmma     o+8*(\i+1), 3, s+8, sum, 0
.endm

// Positions behind a query get -inf. VGPR i of tile t holds position 16t + 2i + lane/16 of the step.
.macro attn_mask
  v_subrev_nc_u32 v[other], s[position], v[query_position]
  .irp t, 0, 1
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  v_cmp_le_i32  vcc_lo, 16*\t+2*\i, v[other]
  v_cndmask_b32 v[s+8*\t+\i], 0xff800000, v[s+8*\t+\i], vcc_lo
  .endr
  .endr
.endm

// P is taken relative to m, a maximum of the past. Only where some query's scores would make P larger than 2^8, which f16
// holds as well as 1, every query's m becomes its maximum, and output and total shrink. Then s = P in f32.
.macro attn_softmax name
  v_max3_f32    v[other], v[s], v[s+1], v[s+2]
  .irp i, 3, 5, 7, 9, 11, 13
  v_max3_f32    v[other], v[other], v[s+\i], v[s+\i+1]
  .endr
  v_max_f32     v[other], v[other], v[s+15]
  v_permlanex16_b32 v[factor], v[other], s[same_low], s[same_high]
  v_max_f32     v[other], v[other], v[factor]
  v_fma_f32     v[factor], v[other], s[log2_e], v[bias]          // inf at the first step
  v_cmp_lt_f32  vcc_lo, 0x41000000, v[factor]           // 8
  s_cbranch_vccz .L\name\()_kept
  v_mul_f32     v[other], 0xbfb8aa3b, v[other]         // -log2(e)
  v_min_f32     v[other], v[bias], v[other]
  v_sub_f32     v[factor], v[other], v[bias]           // -inf at the first step: factor 0
  v_exp_f32     v[factor], v[factor]
  v_mov_b32     v[bias], v[other]
  v_mov_b32     v[factor+1], v[factor]
  v_mul_f32     v[total], v[total], v[factor]
  .set attn_i, 0
  .rept 4*attn_tiles
  v_dual_mul_f32 v[o+attn_i], v[o+attn_i], v[factor] :: v_dual_mul_f32 v[o+attn_i+1], v[o+attn_i+1], v[factor+1]
  .set attn_i, attn_i + 2
  .endr
.L\name\()_kept:
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  v_fma_f32     v[s+\i], v[s+\i], s[log2_e], v[bias]
  .endr
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
  v_exp_f32     v[s+\i], v[s+\i]
  .endr
.endm

// Two f32 registers become one of two f16, in the first.
.macro attn_pack low, high
  v_fma_mixlo_f16 v[\low], v[\low], 1.0, 0 op_sel_hi:[0,0,0]
  v_fma_mixhi_f16 v[\low], v[\high], 1.0, 0 op_sel_hi:[0,0,0]
.endm

// P in f32 becomes operand B: VGPR i of tile t holds positions 16t + 2i and 16t + 2i + 1 in all lanes of a query.
.macro attn_probabilities
  .irp i, 0, 2, 4, 6, 8, 10, 12, 14
  v_cvt_pk_rtz_f16_f32 v[s+\i], v[s+\i], v[s+\i+1]
  .endr
  .irp i, 0, 2, 4, 6, 8, 10, 12, 14
  v_dot2_f32_f16 v[total], v[s+\i], v[ones], v[total]
  v_permlanex16_b32 v[other], v[s+\i], s[same_low], s[same_high]
  v_perm_b32    v[s+\i+1], v[other], v[s+\i], v[second_half]
  v_perm_b32    v[s+\i], v[other], v[s+\i], v[first_half]
  .endr
.endm

.macro attn_step name, size
  attn_scores   0, zero
  .irp i, 2, 4, 6
  .if \i < attn_tiles
  attn_scores   \i, sum
  .endif
  .endr
  attn_values_load 0                    // arrives during the softmax
  s_add_u32     s[product], s[position], 31
  s_cmp_le_u32  s[product], s[wave_position]
  s_cbranch_scc1 .L\name\()_unmasked    // all positions are before the first query
  attn_mask
.L\name\()_unmasked:
  attn_softmax  \name
  attn_probabilities
  attn_values   0
  .irp i, 2, 4, 6
  .if \i < attn_tiles
  attn_values_load \i
  attn_values   \i
  .endif
  .endr
.endm

.macro attn_loop name, size
  attn_load     \name, \size
.L\name\()_step:
  s_waitcnt     vmcnt(0)                // K and V of this step, at first q too
  s_barrier                             // everyone has read the step before
  attn_store
  s_sub_u32     s[left], s[left], 32
  s_cmp_le_i32  s[left], 0
  s_cbranch_scc1 .L\name\()_no_load
  attn_load     \name, \size
.L\name\()_no_load:
  s_waitcnt     lgkmcnt(0)              // this wave's stores
  s_barrier                             // everyone's
  s_cmp_le_i32  s[wave_tokens], 0
  s_cbranch_scc1 .L\name\()_stepped     // no query
  s_add_u32     s[product], s[wave_position], 15
  s_cmp_gt_u32  s[position], s[product]
  s_cbranch_scc1 .L\name\()_stepped     // behind the last query
  attn_step     \name, \size
.L\name\()_stepped:
  s_add_u32     s[position], s[position], 32
  s_cmp_gt_i32  s[left], 0
  s_cbranch_scc1 .L\name\()_step
.endm

// O^T / total to out. Lanes below 16 take dimensions 0 .. 7 of a tile, the others 8 .. 15, by swapping registers with
// each other.
.macro attn_finish name, size
  s_cmp_le_i32  s[wave_tokens], 0
  s_cbranch_scc1 .L\name\()_end
  v_permlanex16_b32 v[other], v[total], s[same_low], s[same_high]
  v_add_f32     v[total], v[total], v[other]
  v_rcp_f32     v[factor], v[total]
  v_mov_b32     v[factor+1], v[factor]
  v_and_b32     v[other], 15, v[lane]
  v_cmp_gt_i32  s[k_lanes], s[wave_tokens], v[other]   // k_lanes: queries that exist
  s_sub_u32     s[wave_position], s[wave_position], s[first_position]
  v_add_nc_u32  v[other], s[wave_position], v[other]
  v_mul_lo_u32  v[other], v[other], s[head_size]
  v_and_b32     v[bias], 16, v[lane]
  v_add_nc_u32  v[other], v[other], v[bias]
  v_cmp_ne_u32  vcc_lo, 0, v[bias]
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
  .if \i < attn_tiles
  attn_finish_tile o+8*\i, 32*\i
  .endif
  .endr
.L\name\()_end:
.endm

.macro attn_finish_tile tile, offset
  .irp i, 0, 2, 4, 6
  v_dual_mul_f32 v[\tile+\i], v[\tile+\i], v[factor] :: v_dual_mul_f32 v[\tile+\i+1], v[\tile+\i+1], v[factor+1]
  .endr
  .irp i, 0, 2, 4, 6
  attn_pack     \tile+\i, \tile+\i+1
  .endr
  .irp i, 0, 2                          // pool: what the other half gets; tile+1, tile+3: what stays
  v_cndmask_b32 v[pool+\i], v[\tile+\i+4], v[\tile+\i], vcc_lo
  v_cndmask_b32 v[\tile+\i+1], v[\tile+\i], v[\tile+\i+4], vcc_lo
  v_permlanex16_b32 v[pool+\i], v[pool+\i], s[same_low], s[same_high]
  .endr
  .irp i, 0, 2
  v_perm_b32    v[pool+4+\i], v[pool+\i], v[\tile+\i+1], v[first_half]
  v_perm_b32    v[pool+5+\i], v[pool+\i], v[\tile+\i+1], v[second_half]
  .endr
  s_mov_b32     exec_lo, s[k_lanes]
  global_store_b128 v[other], v[pool+4:pool+7], s[out_ptr:out_ptr+1] offset:\offset
  s_mov_b32     exec_lo, -1
.endm

.macro attn_prefill size
  .set group_lanes, 128
  kernel attn_prefill_\size, ids=2
  attn_registers \size
  attn_shape    \size
  attn_setup    attn_prefill_\size, \size
  attn_loop     attn_prefill_\size, \size
  attn_finish   attn_prefill_\size, \size
  endkernel
.endm

attn_prefill 32
attn_prefill 64
attn_prefill 96
attn_prefill 128
