// attn_out_<type>: combines the splits of attn_decode, as many as State::position needs, then x += Wo * attention.
// Grid: {ceil(rows/32), 1, 1}, 128 lanes. Any rows >= 1; columns = heads * head_size, a multiple of 32, of 256 for
// q4_k and q6_k; head_size a multiple of 32 up to 256; at most 16 splits.
// Bound by memory: every weight is read once (gemv.inc). Each workgroup reads all splits' outputs, which is why
// they are at most 16.
.include "gemv.inc"
.include "positions.inc"

// --- Activations: attention[column] = sum over splits of weight[head][split] * partial_out[head][split][i].
// weight = 2^(maximum - M) / (sum over splits of 2^(maximum - M) * sum), M = the largest maximum.
.set stage_heads, stage_columns / 32 + 8               // of one chunk, at most; a pass of the weights covers 8

.macro attention_registers
  sgpr out_ptr, 2, align=2
  sgpr stat_ptr, 2
  sgpr walk, 2
  sgpr position
  sgpr heads
  sgpr head_size
  sgpr splits
  sgpr used                           // splits that attn_decode has written
  sgpr split_blocks
  sgpr blocks
  sgpr chunk_column                   // first column of the chunk
  sgpr chunk_head                     // its head
  sgpr head_end                       // heads from chunk_head to the end of the chunk
  sgpr split
  sgpr count
  lds split_weight, stage_heads * 16 * 4
.endm

.macro stage_first_attention
  split_plan blocks, split_blocks, position, splits, count
  s_mov_b32 s[used], 0
  s_mov_b32 s[count], 0
.Lused\@:
  s_add_u32 s[used], s[used], 1
  s_add_u32 s[count], s[count], s[split_blocks]
  s_cmp_lt_u32 s[count], s[blocks]
  s_cbranch_scc1 .Lused\@
  s_mov_b32 s[chunk_column], 0
.endm

// The barrier behind the next chunk's weights keeps its stores behind this chunk's loads.
.macro stage_next_attention
  s_add_u32 s[chunk_column], s[chunk_column], stage_columns
.endm

.macro stage_chunk_attention
  divide_small chunk_head, chunk_column, head_size, temp
  s_min_u32 s[count], s[stage_left], stage_columns
  s_add_u32 s[count], s[chunk_column], s[count]
  s_add_u32 s[count], s[count], -1                     // the chunk's last column
  divide_small head_end, count, head_size, temp
  s_sub_u32 s[head_end], s[head_end], s[chunk_head]
  s_add_u32 s[head_end], s[head_end], 1

  // Weights: 16 lanes a head, one a split.
  s_mov_b32 s[count], 0
.Lweights\@:
  v_lshrrev_b32 v[stage_x], 4, v[lane]
  v_and_b32 v[stage_x+1], 15, v[lane]
  v_add_nc_u32 v[stage_x], s[count], v[stage_x]        // head within the chunk
  v_lshlrev_b32 v[stage_x+2], 4, v[stage_x]
  v_or_b32 v[stage_x+2], v[stage_x+2], v[stage_x+1]
  v_lshlrev_b32 v[stage_x+2], 2, v[stage_x+2]          // where its weight goes
  v_add_nc_u32 v[stage_x+3], s[chunk_head], v[stage_x]
  v_mul_lo_u32 v[stage_x+3], v[stage_x+3], s[splits]
  v_add_lshl_u32 v[stage_x+3], v[stage_x+3], v[stage_x+1], 3
  v_mov_b32 v[stage_w], 0xff800000                     // maximum: -inf, weight 0
  v_mov_b32 v[stage_w+1], 0
  v_cmpx_gt_u32 s[head_end], v[stage_x]
  s_mov_b32 s[split], exec_lo                          // lanes of heads that exist
  v_cmpx_gt_u32 s[used], v[stage_x+1]
  global_load_b64 v[stage_w:stage_w+1], v[stage_x+3], s[stat_ptr:stat_ptr+1]
  s_mov_b32 exec_lo, -1
  s_waitcnt vmcnt(0)                                   // maximum and sum
  v_mov_b32 v[stage_w+2], v[stage_w]
  .irp distance, 1, 2, 4, 8
    v_max_f32_dpp v[stage_w+2], v[stage_w+2], v[stage_w+2] row_xmask:\distance row_mask:0xf bank_mask:0xf
  .endr
  v_max_f32 v[stage_w+2], 0xff7fffff, v[stage_w+2]     // finite for lanes without a head
  v_sub_f32 v[stage_w], v[stage_w], v[stage_w+2]
  v_exp_f32 v[stage_w], v[stage_w]
  v_mul_f32 v[stage_w+1], v[stage_w], v[stage_w+1]
  .irp distance, 1, 2, 4, 8
    v_add_f32_dpp v[stage_w+1], v[stage_w+1], v[stage_w+1] row_xmask:\distance row_mask:0xf bank_mask:0xf
  .endr
  v_rcp_f32 v[stage_w+1], v[stage_w+1]
  v_mul_f32 v[stage_w], v[stage_w], v[stage_w+1]
  s_mov_b32 exec_lo, s[split]
  ds_store_b32 v[stage_x+2], v[stage_w] offset:lds_split_weight
  s_mov_b32 exec_lo, -1
  s_add_u32 s[count], s[count], 8
  s_cmp_lt_u32 s[count], s[head_end]
  s_cbranch_scc1 .Lweights\@
  s_waitcnt lgkmcnt(0)                                 // the weights' stores
  s_barrier

  // Per pass: sums + pass = offset into partial_out, dot + pass = where the weights of its head are.
  v_cvt_f32_u32 v[temp], s[head_size]
  v_rcp_f32 v[temp], v[temp]
  .irp pass, 0, 1, 2, 3
    stage_pass \pass, .Ladded\@
    v_add_nc_u32 v[temp+1], s[chunk_column], v[stage_column]
    .if \pass
      v_add_nc_u32 v[temp+1], stage_pass_columns * \pass, v[temp+1]
    .endif
    v_cvt_f32_u32 v[temp+2], v[temp+1]
    v_add_f32 v[temp+2], 0.5, v[temp+2]
    v_mul_f32 v[temp+2], v[temp], v[temp+2]
    v_cvt_u32_f32 v[temp+2], v[temp+2]                 // head (positions.inc)
    v_mul_lo_u32 v[temp+3], v[temp+2], s[head_size]
    v_sub_nc_u32 v[temp+1], v[temp+1], v[temp+3]       // column within the head
    v_mul_lo_u32 v[temp+3], v[temp+3], s[splits]
    v_add_lshl_u32 v[sums+\pass], v[temp+3], v[temp+1], 2
    v_subrev_nc_u32 v[temp+2], s[chunk_head], v[temp+2]
    v_lshlrev_b32 v[dot+\pass], 6, v[temp+2]
    .irp i, 0, 1, 2, 3
      v_mov_b32 v[stage_x+4*\pass+\i], 0
    .endr
    s_mov_b32 exec_lo, -1
  .endr
.Ladded\@:
  s_mov_b64 s[walk:walk+1], s[out_ptr:out_ptr+1]
  s_lshl_b32 s[count], s[head_size], 2                 // bytes from split to split
  s_mov_b32 s[split], 0
.Lsplit\@:
  .irp pass, 0, 1, 2, 3
    stage_pass \pass, .Lloaded\@
    global_load_b128 v[stage_w+4*\pass:stage_w+4*\pass+3], v[sums+\pass], s[walk:walk+1]
    ds_load_b32 v[temp+\pass], v[dot+\pass] offset:lds_split_weight
    v_add_nc_u32 v[dot+\pass], 4, v[dot+\pass]
    s_mov_b32 exec_lo, -1
  .endr
.Lloaded\@:
  s_waitcnt vmcnt(0) lgkmcnt(0)                        // the split's outputs and weights
  .irp pass, 0, 1, 2, 3
    stage_pass \pass, .Lmultiplied\@
    .irp i, 0, 1, 2, 3
      v_fmac_f32 v[stage_x+4*\pass+\i], v[stage_w+4*\pass+\i], v[temp+\pass]
    .endr
    s_mov_b32 exec_lo, -1
  .endr
.Lmultiplied\@:
  s_add_u32 s[walk], s[walk], s[count]
  s_addc_u32 s[walk+1], s[walk+1], 0
  s_add_u32 s[split], s[split], 1
  s_cmp_lt_u32 s[split], s[used]
  s_cbranch_scc1 .Lsplit\@

  .irp pass, 0, 1, 2, 3
    stage_pass \pass, .Lstored\@
    stage_round stage_w+4*\pass, stage_x+4*\pass, 1.0, 1.0, 1.0, 1.0
    stage_store \pass, stage_w+4*\pass
  .endr
.Lstored\@:
.endm

.macro attn_out_kernel type
group_lanes = 128
kernel attn_out_\type
  arg wo, 32
  arg partial_out, 8
  arg partial_stat, 8
  arg state, 8
  arg x, 8
  arg rows, 4
  arg columns, 4
  arg heads, 4
  arg head_size, 4
  arg splits, 4
  arg padding, 4
  sgpr kernarg, 2
  sgpr group
  gemv_registers \type, 1
  attention_registers
  gemv_old_registers
  sgpr state_ptr, 2, align=2
  gemv_registers_end
  require kernarg == 0 && group == 2

  s_load_b64 s[state_ptr:state_ptr+1], s[kernarg:kernarg+1], arg_state
  s_load_b256 s[base_0:base_0+7], s[kernarg:kernarg+1], arg_wo
  s_load_b64 s[out_ptr:out_ptr+1], s[kernarg:kernarg+1], arg_partial_out
  s_load_b64 s[stat_ptr:stat_ptr+1], s[kernarg:kernarg+1], arg_partial_stat
  s_load_b64 s[old_ptr:old_ptr+1], s[kernarg:kernarg+1], arg_x
  s_load_b32 s[rows], s[kernarg:kernarg+1], arg_rows
  s_load_b32 s[columns], s[kernarg:kernarg+1], arg_columns
  s_load_b32 s[heads], s[kernarg:kernarg+1], arg_heads
  s_load_b32 s[head_size], s[kernarg:kernarg+1], arg_head_size
  s_load_b32 s[splits], s[kernarg:kernarg+1], arg_splits
  s_lshl_b32 s[first_row], s[group], 5
  s_waitcnt lgkmcnt(0)                                 // the arguments
  s_load_b32 s[position], s[state_ptr:state_ptr+1], 0
  gemv_start \type
  gemv_load_old
  s_waitcnt lgkmcnt(0)                                 // position
  gemv_run \type, attention
  gemv_add_old
endkernel
.endm

.irp type, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k
  attn_out_kernel \type
.endr
