// attn_decode: for one query head and one split of the positions: scores, running maximum, sum and weighted V
// (softmax one batch of positions after the other, in base 2). attn_out puts the splits together.
// Grid: {heads, splits, 1}, 256 lanes. head_size a multiple of 32 up to 256; kv_heads divides heads.
// Bound by memory: K and V of the split are read once a query head; heads that share them run side by side, in L2's
// reach.
//
// Eight lanes have one position of K and V at a time, 16 bytes ("piece") of every 128 each; the eight waves have 32
// positions, times `batch` positions that are loaded before the first is used. Each 8 lanes keep a maximum, a sum
// and an output of their own until the end. Positions past the last are read as the last one and weigh 0.
.include "kernel.inc"
.include "positions.inc"

.macro attend pieces, batch
  .set attend_regs, \pieces * 4                       // registers of a position
  .irp piece, 0, 1, 2, 3
    .if \piece < \pieces
      s_mov_b32 exec_lo, s[piece_mask+\piece]
      global_load_b128 v[query+4*\piece:query+4*\piece+3], v[part_at], s[q_ptr:q_ptr+1] offset:128*\piece
      .irp i, 0, 1, 2, 3, 4, 5, 6, 7
        v_mov_b32 v[out+8*\piece+\i], 0
      .endr
    .endif
  .endr
  s_mov_b32 exec_lo, -1
  s_cmp_gt_u32 s[wave_first], s[last]
  s_cbranch_scc1 .Ljoin\@                              // no position for this wave
.Lbatch\@:
  .irp j, 0, 1, 2, 3
    .if \j < \batch
      v_add_nc_u32 v[score+\j], s[first], v[row]
      .if \j
        v_add_nc_u32 v[score+\j], 32*\j, v[score+\j]
      .endif
      v_min_u32 v[at+\j], s[last], v[score+\j]
      v_mul_lo_u32 v[at+\j], v[at+\j], s[row_bytes]
      v_add_nc_u32 v[at+\j], v[part_at], v[at+\j]
    .endif
  .endr
  attend_load \pieces, \batch, keys, k_ptr
  attend_load \pieces, \batch, values, v_ptr
  .irp j, 0, 1, 2, 3
    .if \j < \batch
      v_cmp_lt_u32 s[past+\j], s[last], v[score+\j]    // positions past the last
      v_mov_b32 v[score+\j], 0
    .endif
  .endr
  s_waitcnt vmcnt(\pieces*\batch)                      // query and keys; the values are still on their way
  .irp piece, 0, 1, 2, 3
    .if \piece < \pieces
      s_mov_b32 exec_lo, s[piece_mask+\piece]
      .irp i, 0, 1, 2, 3
        .irp j, 0, 1, 2, 3
          .if \j < \batch
            v_dot2acc_f32_f16 v[score+\j], v[keys+\j*attend_regs+4*\piece+\i], v[query+4*\piece+\i]
          .endif
        .endr
      .endr
    .endif
  .endr
  s_mov_b32 exec_lo, -1
  .irp distance, 1, 2, 4
    .irp j, 0, 1, 2, 3
      .if \j < \batch
        v_add_f32_dpp v[score+\j], v[score+\j], v[score+\j] row_xmask:\distance row_mask:0xf bank_mask:0xf
      .endif
    .endr
  .endr
  v_mov_b32 v[temp], v[maximum]
  .irp j, 0, 1, 2, 3
    .if \j < \batch
      v_mul_f32 v[score+\j], 0x3fb8aa3b, v[score+\j]   // log2(e)
      v_cndmask_b32 v[score+\j], v[score+\j], v[minus_infinity], s[past+\j]
      v_max_f32 v[maximum], v[maximum], v[score+\j]
    .endif
  .endr
  v_sub_f32 v[temp], v[temp], v[maximum]
  v_exp_f32 v[temp], v[temp]                           // what the old sums are worth under the new maximum
  .irp j, 0, 1, 2, 3
    .if \j < \batch
      v_sub_f32 v[score+\j], v[score+\j], v[maximum]
      v_exp_f32 v[score+\j], v[score+\j]
    .endif
  .endr
  v_mul_f32 v[sum], v[sum], v[temp]
  .irp j, 0, 1, 2, 3
    .if \j < \batch
      v_add_f32 v[sum], v[sum], v[score+\j]
    .endif
  .endr
  s_waitcnt vmcnt(0)                                   // values
  .irp piece, 0, 1, 2, 3
    .if \piece < \pieces
      s_mov_b32 exec_lo, s[piece_mask+\piece]
      .irp i, 0, 1, 2, 3, 4, 5, 6, 7
        v_mul_f32 v[out+8*\piece+\i], v[out+8*\piece+\i], v[temp]
      .endr
      .irp j, 0, 1, 2, 3
        .if \j < \batch
          .irp i, 0, 1, 2, 3
            attend_value out+8*\piece+2*\i, values+\j*attend_regs+4*\piece+\i, score+\j
          .endr
        .endif
      .endr
    .endif
  .endr
  s_mov_b32 exec_lo, -1
  s_add_u32 s[first], s[first], 32*\batch
  s_add_u32 s[wave_first], s[wave_first], 32*\batch
  s_cmp_le_u32 s[wave_first], s[last]
  s_cbranch_scc1 .Lbatch\@

.Ljoin\@:
  // The four rows of the wave become one: first each two in 16 lanes, then the two halves of the wave.
  v_mov_b32_dpp v[temp], v[maximum] row_xmask:8 row_mask:0xf bank_mask:0xf
  v_max_f32 v[temp], v[temp], v[maximum]
  v_permlanex16_b32 v[temp+1], v[temp], s[other_low], s[other_high]
  v_max_f32 v[temp], v[temp], v[temp+1]
  v_sub_f32 v[temp+1], v[maximum], v[temp]
  v_mov_b32 v[maximum], v[temp]
  v_exp_f32 v[temp+1], v[temp+1]
  attend_join sum
  .irp piece, 0, 1, 2, 3
    .if \piece < \pieces
      s_mov_b32 exec_lo, s[piece_mask+\piece]
      .irp i, 0, 1, 2, 3, 4, 5, 6, 7
        attend_join out+8*\piece+\i
      .endr
      s_and_b32 exec_lo, exec_lo, 0xff                 // eight lanes have it all
      ds_store_b128 v[wave_at], v[out+8*\piece:out+8*\piece+3] offset:lds_wave_out+256*\piece
      ds_store_b128 v[wave_at], v[out+8*\piece+4:out+8*\piece+7] offset:lds_wave_out+256*\piece+16
    .endif
  .endr
  s_branch .Ljoined
.endm

.macro attend_load pieces, batch, to, pointer
  .irp piece, 0, 1, 2, 3
    .if \piece < \pieces
      s_mov_b32 exec_lo, s[piece_mask+\piece]
      .irp j, 0, 1, 2, 3
        .if \j < \batch
          attend_load_piece \to+\j*attend_regs+4*\piece, at+\j, \pointer, 128*\piece
        .endif
      .endr
    .endif
  .endr
  s_mov_b32 exec_lo, -1
.endm

.macro attend_load_piece to, at, pointer, offset
  global_load_b128 v[\to:\to+3], v[\at], s[\pointer:\pointer+1] offset:\offset
.endm

.macro attend_value out, value, weight
  v_fma_mix_f32 v[\out], v[\value], v[\weight], v[\out] op_sel_hi:[1,0,0]
  v_fma_mix_f32 v[\out+1], v[\value], v[\weight], v[\out+1] op_sel:[1,0,0] op_sel_hi:[1,0,0]
.endm

.macro attend_join what
  v_mul_f32 v[\what], v[\what], v[temp+1]
  v_add_f32_dpp v[\what], v[\what], v[\what] row_xmask:8 row_mask:0xf bank_mask:0xf
  v_permlanex16_b32 v[temp+2], v[\what], s[other_low], s[other_high]
  v_add_f32 v[\what], v[\what], v[temp+2]
.endm

group_lanes = 256
kernel attn_decode, ids=2
  arg q, 8
  arg k_cache, 8
  arg v_cache, 8
  arg state, 8
  arg partial_out, 8
  arg partial_stat, 8
  arg heads, 4
  arg kv_heads, 4
  arg head_size, 4
  arg context, 4
  arg splits, 4
  arg padding, 4
  sgpr kernarg, 2
  sgpr head
  sgpr split
  sgpr q_ptr, 2, align=4
  sgpr k_ptr, 2
  sgpr v_ptr, 2
  sgpr state_ptr, 2
  sgpr out_ptr, 2
  sgpr stat_ptr, 2
  sgpr heads
  sgpr kv_heads
  sgpr head_size
  sgpr context
  sgpr splits
  sgpr position
  sgpr blocks
  sgpr split_blocks
  sgpr first                          // position of the batch
  sgpr wave_first                     // of this wave in it
  sgpr last                           // position of this split
  sgpr row_bytes
  sgpr address, 2, align=2
  sgpr past, 4
  sgpr piece_mask, 4
  sgpr other_low
  sgpr other_high
  vgpr lane
  vgpr part_at                        // byte of this lane in each 128 of a row
  vgpr row                            // position of this lane in 32
  vgpr wave_at
  vgpr minus_infinity
  vgpr maximum
  vgpr sum
  vgpr score, 4
  vgpr at, 4
  vgpr temp, 3
  vgpr query, 16
  vgpr out, 32
  vgpr keys, 32
  vgpr values, 32
  require vgpr_end <= 144             // 10 waves on a SIMD, all of whose loads are in flight
  vgpr_free query                     // what joins the waves
  vgpr waves, 16
  vgpr part_out, 8
  lds wave_out, 8 * 256 * 4
  lds wave_stat, 8 * 8
  require kernarg == 0 && head == 2 && split == 3 && q_ptr % 4 == 0 && context == q_ptr + 15 && arg_context == 60

  s_load_b512 s[q_ptr:context], s[kernarg:kernarg+1], arg_q
  s_load_b32 s[splits], s[kernarg:kernarg+1], arg_splits
  v_lshlrev_b32 v[part_at], 4, v[lane]
  v_and_b32 v[part_at], 0x70, v[part_at]
  v_lshrrev_b32 v[row], 3, v[lane]
  s_waitcnt lgkmcnt(0)                                 // the arguments
  s_load_b32 s[position], s[state_ptr:state_ptr+1], 0
  s_waitcnt lgkmcnt(0)                                 // position

  // Positions first .. last.
  split_plan blocks, split_blocks, position, splits, address
  s_lshl_b32 s[split_blocks], s[split_blocks], 8
  s_mul_i32 s[first], s[split], s[split_blocks]
  s_cmp_gt_u32 s[first], s[position]
  s_cbranch_scc1 .Lend
  s_add_u32 s[last], s[first], s[split_blocks]
  s_add_u32 s[last], s[last], -1
  s_min_u32 s[last], s[last], s[position]

  // K and V of the head: [head / (heads / kv_heads)][0][0].
  divide_small address, heads, kv_heads, temp
  divide_small blocks, head, address, temp
  s_lshl_b32 s[row_bytes], s[head_size], 1
  s_mul_i32 s[blocks], s[blocks], s[context]
  s_mul_hi_u32 s[address+1], s[blocks], s[row_bytes]
  s_mul_i32 s[address], s[blocks], s[row_bytes]
  s_add_u32 s[k_ptr], s[k_ptr], s[address]
  s_addc_u32 s[k_ptr+1], s[k_ptr+1], s[address+1]
  s_add_u32 s[v_ptr], s[v_ptr], s[address]
  s_addc_u32 s[v_ptr+1], s[v_ptr+1], s[address+1]
  s_mul_i32 s[address], s[head], s[row_bytes]
  s_add_u32 s[q_ptr], s[q_ptr], s[address]
  s_addc_u32 s[q_ptr+1], s[q_ptr+1], 0

  // Lanes whose piece is inside a row.
  .irp piece, 0, 1, 2, 3
    v_add_nc_u32 v[temp], 128*\piece, v[part_at]
    v_cmp_gt_u32 s[piece_mask+\piece], s[row_bytes], v[temp]
  .endr
  v_mov_b32 v[minus_infinity], 0xff800000
  v_mov_b32 v[maximum], 0xf149f2ca                     // -1e30: below any score, but finite: no difference is NaN
  v_mov_b32 v[sum], 0
  s_mov_b32 s[other_low], 0x76543210
  s_mov_b32 s[other_high], 0xfedcba98
  v_lshrrev_b32 v[temp], 5, v[lane]
  v_readfirstlane_b32 s[wave_first], v[temp]
  v_lshlrev_b32 v[temp], 10, v[temp]
  v_lshl_add_u32 v[wave_at], v[part_at], 1, v[temp]    // wave * 1024 + part * 32
  s_lshl_b32 s[wave_first], s[wave_first], 2
  s_add_u32 s[wave_first], s[wave_first], s[first]
  s_cmp_gt_u32 s[head_size], 128
  s_cbranch_scc1 .Lhead_256
  s_cmp_gt_u32 s[head_size], 64
  s_cbranch_scc1 .Lhead_128
  attend 1, 4
.Lhead_128:
  attend 2, 4
.Lhead_256:
  attend 4, 2

  // The eight waves become one.
.Ljoined:
  s_mov_b32 exec_lo, -1
  v_lshrrev_b32 v[temp], 5, v[lane]
  v_lshlrev_b32 v[temp], 3, v[temp]
  v_mov_b32 v[score], v[maximum]
  v_mov_b32 v[score+1], v[sum]
  s_mov_b32 exec_lo, 1
  ds_store_b64 v[temp], v[score:score+1] offset:lds_wave_stat
  s_mov_b32 exec_lo, -1
  s_waitcnt vmcnt(0) lgkmcnt(0)                        // query, if it was not used; stores of output, maximum and sum
  s_barrier
  v_cmpx_gt_u32 s[head_size], v[lane]
  s_cbranch_execz .Lend
  v_mov_b32 v[temp], 0
  v_lshlrev_b32 v[row], 2, v[lane]
  .irp i, 0, 1, 2, 3
    ds_load_b128 v[waves+4*\i:waves+4*\i+3], v[temp] offset:lds_wave_stat+16*\i
  .endr
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
    ds_load_b32 v[part_out+\i], v[row] offset:lds_wave_out+1024*\i
  .endr
  s_waitcnt lgkmcnt(0)                                 // both
  v_mov_b32 v[maximum], v[waves]
  .irp i, 1, 2, 3, 4, 5, 6, 7
    v_max_f32 v[maximum], v[maximum], v[waves+2*\i]
  .endr
  v_mov_b32 v[sum], 0
  v_mov_b32 v[at], 0
  .irp i, 0, 1, 2, 3, 4, 5, 6, 7
    v_sub_f32 v[waves+2*\i], v[waves+2*\i], v[maximum]
    v_exp_f32 v[waves+2*\i], v[waves+2*\i]
    v_fmac_f32 v[sum], v[waves+2*\i], v[waves+2*\i+1]
    v_fmac_f32 v[at], v[waves+2*\i], v[part_out+\i]
  .endr
  s_mul_i32 s[address], s[head], s[splits]
  s_add_u32 s[address], s[address], s[split]
  s_lshl_b32 s[blocks], s[address], 3                  // of the statistics
  s_mul_i32 s[address], s[address], s[head_size]
  v_add_lshl_u32 v[row], s[address], v[lane], 2
  global_store_b32 v[row], v[at], s[out_ptr:out_ptr+1]
  v_cmpx_eq_u32 0, v[lane]
  s_cbranch_execz .Lend
  v_mov_b32 v[temp], s[blocks]
  v_mov_b32 v[score], v[maximum]
  v_mov_b32 v[score+1], v[sum]
  global_store_b64 v[temp], v[score:score+1], s[stat_ptr:stat_ptr+1]
.Lend:
endkernel
