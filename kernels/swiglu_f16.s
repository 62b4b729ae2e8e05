// swiglu_f16: h[t][i] = silu(gate_up[t][i]) * gate_up[t][rows + i]; gate_up f32, h f16.
// silu(g) = g / (1 + exp(-g)). Results past f16's range are held at its ends.
// Grid: x = 256 elements, y = token; one wave, a lane handles 4 elements of each 128. Rows: a multiple of 4.
// Bound by memory: 10 bytes an element; 4 KiB of a wave are in flight.
.include "kernel.inc"
.include "f16.inc"

// Four elements in the lanes that have them, once all but `pending` loads have arrived.
.macro swiglu_four g, u, pending, store_offset
  s_waitcnt     vmcnt(\pending)         // g and u
  .irp i, 0, 2
  v_dual_mul_f32 v[e+\i], 0xbfb8aa3b, v[\g+\i] :: v_dual_mul_f32 v[e+\i+1], 0xbfb8aa3b, v[\g+\i+1]       // -log2(e)
  .endr
  .irp i, 0, 1, 2, 3
  v_exp_f32     v[e+\i], v[e+\i]
  .endr
  .irp i, 0, 2
  v_dual_add_f32 v[e+\i], 1.0, v[e+\i] :: v_dual_add_f32 v[e+\i+1], 1.0, v[e+\i+1]
  .endr
  .irp i, 0, 1, 2, 3
  v_rcp_f32     v[e+\i], v[e+\i]        // exp = inf gives 0, and so silu = -0
  .endr
  .irp with, e, \u
  .irp i, 0, 2
  v_dual_mul_f32 v[\g+\i], v[\g+\i], v[\with+\i] :: v_dual_mul_f32 v[\g+\i+1], v[\g+\i+1], v[\with+\i+1]
  .endr
  .endr
  v_max3_f32    v[e], |v[\g]|, |v[\g+1]|, |v[\g+2]|
  v_max_f32     v[e], v[e], |v[\g+3]|
  v_cmp_lt_f32  vcc_lo, s[largest], v[e]
  s_cbranch_vccz .Lswiglu_inside\@      // the usual case: nothing to hold
  .irp i, 0, 1, 2, 3
  f16_hold      \g+\i, e+\i
  .endr
.Lswiglu_inside\@:
  .irp i, 0, 1
  v_fma_mixlo_f16 v[e+\i], v[\g+2*\i], 1.0, 0 op_sel_hi:[0,0,0]
  v_fma_mixhi_f16 v[e+\i], v[\g+2*\i+1], 1.0, 0 op_sel_hi:[0,0,0]
  .endr
  global_store_b64 v[h_offset], v[e:e+1], s[h:h+1] offset:\store_offset
.endm

group_lanes = 32
kernel swiglu_f16, ids=2
  arg gate_up, 8                        // f32[tokens][2 * rows]
  arg h, 8                              // f16[tokens][rows]
  arg rows, 4
  arg padding, 4

  sgpr kernarg, 2
  sgpr part
  sgpr token
  sgpr gate, 2, align=4
  sgpr h, 2
  sgpr rows
  sgpr second                           // lanes with elements in the second 128
  sgpr offset, 2, align=2
  sgpr largest                          // of f16
  vgpr lane
  vgpr index
  vgpr gate_offset
  vgpr up_offset
  vgpr g, 8, align=2
  vgpr u, 8, align=2
  vgpr e, 4, align=2
  require kernarg == 0 && part == 2 && token == 3 && lane == 0

  s_load_b128   s[gate:h+1], s[kernarg:kernarg+1], arg_gate_up
  s_load_b32    s[rows], s[kernarg:kernarg+1], arg_rows
  v_and_b32     v[lane], 0x3ff, v[lane]
  s_lshl_b32    s[part], s[part], 8
  s_mov_b32     s[largest], 0x477fe000                 // 65504
  v_lshl_add_u32 v[index], v[lane], 2, s[part]
  require group_lanes * 8 == 256
  v_lshlrev_b32 v[gate_offset], 2, v[index]
  s_waitcnt     lgkmcnt(0)              // all arguments

  v_cmpx_gt_u32 s[rows], v[index]
  s_cbranch_execz .Lswiglu_end
  s_lshl_b32    s[second], s[rows], 1                  // bytes of a token of h
  s_mul_i32     s[offset], s[token], s[second]
  s_mul_hi_u32  s[offset+1], s[token], s[second]
  s_add_u32     s[h], s[h], s[offset]
  s_addc_u32    s[h+1], s[h+1], s[offset+1]
  s_lshl_b64    s[offset:offset+1], s[offset:offset+1], 2
  s_add_u32     s[gate], s[gate], s[offset]
  s_addc_u32    s[gate+1], s[gate+1], s[offset+1]
  v_lshl_add_u32 v[up_offset], s[rows], 2, v[gate_offset]
  s_sub_u32     s[offset], s[rows], 128
  v_cmp_gt_i32  s[second], s[offset], v[index]
  global_load_b128 v[g:g+3], v[gate_offset], s[gate:gate+1]
  global_load_b128 v[u:u+3], v[up_offset], s[gate:gate+1]
  s_mov_b32     s[offset], exec_lo
  s_mov_b32     exec_lo, s[second]
  global_load_b128 v[g+4:g+7], v[gate_offset], s[gate:gate+1] offset:512
  global_load_b128 v[u+4:u+7], v[up_offset], s[gate:gate+1] offset:512
  s_mov_b32     exec_lo, s[offset]
  v_lshlrev_b32 v[index], 1, v[index]
  rename index, h_offset

  swiglu_four   g, u, 2, 0
  s_mov_b32     exec_lo, s[second]
  s_cbranch_execz .Lswiglu_end
  swiglu_four   g+4, u+4, 0, 256
.Lswiglu_end:
endkernel
