// swiglu_f16: h[t][i] = silu(gate_up[t][i]) * gate_up[t][rows + i]; gate_up f32, h f16.
// silu(g) = g / (1 + exp(-g)). Results past f16's range are held at its ends.
// Grid: x = 256 elements, y = token; a lane handles 4 elements. Rows: a multiple of 4.
// Bound by memory: 10 bytes an element.
.include "kernel.inc"
.include "f16.inc"

group_lanes = 64
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
  sgpr up, 2, align=2
  sgpr offset, 2, align=2
  vgpr lane
  vgpr index
  vgpr position                         // in bytes of f32
  vgpr g, 4
  vgpr u, 4
  vgpr e, 4
  require kernarg == 0 && part == 2 && token == 3 && lane == 0

  s_load_b128   s[gate:h+1], s[kernarg:kernarg+1], arg_gate_up
  s_load_b32    s[rows], s[kernarg:kernarg+1], arg_rows
  v_and_b32     v[lane], 0x3ff, v[lane]
  s_lshl_b32    s[part], s[part], 8
  v_lshl_add_u32 v[index], v[lane], 2, s[part]
  require group_lanes * 4 == 256
  v_lshlrev_b32 v[position], 2, v[index]
  s_waitcnt     lgkmcnt(0)              // all arguments

  v_cmpx_gt_u32 s[rows], v[index]
  s_cbranch_execz .Lswiglu_end
  s_mul_i32     s[offset], s[token], s[rows]
  s_mul_hi_u32  s[offset+1], s[token], s[rows]
  s_lshl_b64    s[offset:offset+1], s[offset:offset+1], 1
  s_add_u32     s[h], s[h], s[offset]
  s_addc_u32    s[h+1], s[h+1], s[offset+1]
  s_lshl_b64    s[offset:offset+1], s[offset:offset+1], 2
  s_add_u32     s[gate], s[gate], s[offset]
  s_addc_u32    s[gate+1], s[gate+1], s[offset+1]
  s_mov_b32     s[offset], s[rows]
  s_mov_b32     s[offset+1], 0
  s_lshl_b64    s[offset:offset+1], s[offset:offset+1], 2
  s_add_u32     s[up], s[gate], s[offset]
  s_addc_u32    s[up+1], s[gate+1], s[offset+1]
  global_load_b128 v[g:g+3], v[position], s[gate:gate+1]
  global_load_b128 v[u:u+3], v[position], s[up:up+1]
  v_lshlrev_b32 v[index], 1, v[index]
  rename index, h_offset

  s_waitcnt     vmcnt(1)                // g
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[e+\i], 0xbfb8aa3b, v[g+\i]          // -log2(e)
  .endr
  .irp i, 0, 1, 2, 3
  v_exp_f32     v[e+\i], v[e+\i]
  .endr
  .irp i, 0, 1, 2, 3
  v_add_f32     v[e+\i], 1.0, v[e+\i]
  .endr
  .irp i, 0, 1, 2, 3
  v_rcp_f32     v[e+\i], v[e+\i]        // exp = inf gives 0, and so silu = -0
  .endr
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[g+\i], v[g+\i], v[e+\i]
  .endr
  s_waitcnt     vmcnt(0)                // u
  .irp i, 0, 1, 2, 3
  v_mul_f32     v[g+\i], v[g+\i], v[u+\i]
  f16_hold      g+\i, e+\i
  v_cvt_f16_f32 v[g+\i], v[g+\i]
  .endr
  v_pack_b32_f16 v[g], v[g], v[g+1]
  v_pack_b32_f16 v[g+1], v[g+2], v[g+3]
  global_store_b64 v[h_offset], v[g:g+1], s[h:h+1]
.Lswiglu_end:
endkernel
