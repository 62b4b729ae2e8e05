// argmax_final: the best of the workgroups' best logits becomes State::token and is appended to tokens;
// State::position grows by one. `best` is {f32 value, u32 row}[count], count >= 1; ties go to the lower row; NaN
// never wins; when nothing wins the token is 0.
// Grid: one workgroup. Bound by latency: 8 bytes a workgroup of logits_*, four loads of each lane in flight.
.include "kernel.inc"
.include "best.inc"

group_lanes = 512
kernel argmax_final
  arg best, 8
  arg state, 8
  arg tokens, 8
  arg count, 4
  arg capacity, 4

  sgpr kernarg, 2
  sgpr group
  sgpr best_ptr, 2, align=4
  sgpr state_ptr, 2
  sgpr tokens_ptr, 2
  sgpr count
  sgpr capacity
  sgpr last
  sgpr first
  sgpr position
  vgpr lane
  vgpr entry, 4
  vgpr pair, 8, align=2
  vgpr slot
  vgpr zero
  best_vgprs
  lds wave_best, group_lanes / 32 * 8
  require kernarg == 0 && group == 2 && lane == 0
  require arg_best == 0 && arg_capacity == 28 && best_ptr % 4 == 0 && capacity == best_ptr + 7

  s_load_b256 s[best_ptr:capacity], s[kernarg:kernarg+1], 0
  v_and_b32 v[lane], 0x3ff, v[lane]
  v_mov_b32 v[best_value], 0xff800000                  // -inf
  v_mov_b32 v[best_row], -1
  s_mov_b32 s[first], 0
  s_waitcnt lgkmcnt(0)                                 // the arguments
  s_load_b32 s[position], s[state_ptr:state_ptr+1], 0
  s_add_u32 s[last], s[count], -1

.Lscan:
  // Entries past the end are read as the last one again: that changes nothing.
  .irp i, 0, 1, 2, 3
    v_add_nc_u32 v[entry+\i], s[first], v[lane]
    .if \i
      v_add_nc_u32 v[entry+\i], \i * group_lanes, v[entry+\i]
    .endif
    v_min_u32 v[entry+\i], s[last], v[entry+\i]
    v_lshlrev_b32 v[entry+\i], 3, v[entry+\i]
    global_load_b64 v[pair+2*\i:pair+2*\i+1], v[entry+\i], s[best_ptr:best_ptr+1]
  .endr
  .irp i, 0, 1, 2, 3
    s_waitcnt vmcnt(3 - \i)                            // pair \i
    best_take pair+2*\i, pair+2*\i+1
  .endr
  s_add_u32 s[first], s[first], 4 * group_lanes
  s_cmp_lt_u32 s[first], s[count]
  s_cbranch_scc1 .Lscan

  // One pair a wave into LDS; the first 16 lanes of every wave then find the same best.
  best_of_wave
  v_lshrrev_b32 v[slot], 5, v[lane]
  v_lshlrev_b32 v[slot], 3, v[slot]
  require pair % 2 == 0 && group_lanes / 32 == 16
  v_mov_b32 v[pair], v[best_value]
  v_mov_b32 v[pair+1], v[best_row]
  ds_store_b64 v[slot], v[pair:pair+1] offset:lds_wave_best
  s_waitcnt lgkmcnt(0)                                 // the store, and position
  s_barrier
  v_and_b32 v[slot], 15, v[lane]
  v_lshlrev_b32 v[slot], 3, v[slot]
  ds_load_b64 v[pair:pair+1], v[slot] offset:lds_wave_best
  s_waitcnt lgkmcnt(0)                                 // pair
  v_mov_b32 v[best_value], v[pair]
  v_mov_b32 v[best_row], v[pair+1]
  best_of_row16

  v_cmp_ne_u32 vcc_lo, -1, v[best_row]
  v_cndmask_b32 v[best_row], 0, v[best_row], vcc_lo
  s_add_u32 s[position], s[position], 1
  v_cmpx_eq_u32 0, v[lane]                             // one lane tells the world
  s_cbranch_execz .Lend
  v_mov_b32 v[zero], 0
  v_mov_b32 v[pair], s[position]
  v_mov_b32 v[pair+1], v[best_row]
  global_store_b64 v[zero], v[pair:pair+1], s[state_ptr:state_ptr+1]
  s_cmp_lt_u32 s[position], s[capacity]
  s_cbranch_scc0 .Lend
  v_lshlrev_b32 v[slot], 2, v[pair]
  global_store_b32 v[slot], v[best_row], s[tokens_ptr:tokens_ptr+1]
.Lend:
endkernel
