// down_<type>: x += W * h.
// Grid: {ceil(rows/32), 1, 1}, 128 lanes. Any rows >= 1; columns a multiple of 32, of 256 for q4_k and q6_k.
// Bound by memory: every weight is read once (gemv.inc).
.include "gemv.inc"

.macro down_kernel type
group_lanes = 128
kernel down_\type
  arg w, 32
  arg h, 8
  arg x, 8
  arg rows, 4
  arg columns, 4
  sgpr kernarg, 2
  sgpr group
  gemv_registers \type, 1
  half_registers
  gemv_old_registers
  gemv_registers_end
  require kernarg == 0 && group == 2

  s_load_b256 s[base_0:base_0+7], s[kernarg:kernarg+1], arg_w
  s_load_b64 s[h_ptr:h_ptr+1], s[kernarg:kernarg+1], arg_h
  s_load_b64 s[old_ptr:old_ptr+1], s[kernarg:kernarg+1], arg_x
  s_load_b32 s[rows], s[kernarg:kernarg+1], arg_rows
  s_load_b32 s[columns], s[kernarg:kernarg+1], arg_columns
  s_lshl_b32 s[first_row], s[group], 5
  s_waitcnt lgkmcnt(0)                                 // the arguments
  gemv_start \type
  gemv_load_old
  gemv_run \type, half
  gemv_add_old
endkernel
.endm

.irp type, f32, f16, bf16, q8_0, q4_0, q4_k, q6_k
  down_kernel \type
.endr
