// Tiny kernels for the tests of the virtual GPU. No kernel descriptors: the tests write the registers themselves.
// User SGPRs: s[0:1] = out, s[2:3] = in, s4 = a number. s5 = workgroup id, v0 = lane (32 lanes a workgroup).
.amdgcn_target "amdgcn-amd-amdhsa--gfx1151"
.text

.macro kernel name
  .p2align 8
  .globl \name
  .type \name,@function
\name:
.endm
.macro endkernel name
  s_endpgm
  .size \name, .-\name
  .rept 64
  s_code_end
  .endr
.endm
// v1 = byte offset of this lane's element
.macro element
  s_lshl_b32 s6, s5, 7
  v_lshl_add_u32 v1, v0, 2, s6
.endm

// out[i] = number + i
kernel fill
  element
  v_lshrrev_b32 v2, 2, v1
  v_add_nc_u32 v2, s4, v2
  global_store_b32 v1, v2, s[0:1]
endkernel fill

// out[i] = in[i] + number, by vector loads
kernel add
  element
  global_load_b32 v2, v1, s[2:3]
  s_waitcnt vmcnt(0)
  v_add_nc_u32 v2, s4, v2
  global_store_b32 v1, v2, s[0:1]
endkernel add

// out[i] = in[0] + number, by a scalar load
kernel add_scalar
  element
  s_load_b32 s7, s[2:3], 0x0
  s_waitcnt lgkmcnt(0)
  s_add_u32 s7, s7, s4
  v_mov_b32 v2, s7
  global_store_b32 v1, v2, s[0:1]
endkernel add_scalar

// out[i] = in[i] + number without waiting for the load
kernel add_without_wait
  element
  global_load_b32 v2, v1, s[2:3]
  v_add_nc_u32 v2, s4, v2
  global_store_b32 v1, v2, s[0:1]
endkernel add_without_wait

// never ends
kernel endless
.Lagain:
  s_branch .Lagain
endkernel endless

// `number` rounds of a loop
kernel busy
.Lround:
  v_add_nc_u32 v2, 1, v0
  s_sub_u32 s4, s4, 1
  s_cmp_lg_u32 s4, 0
  s_cbranch_scc1 .Lround
endkernel busy

// reads nothing
kernel nothing
endkernel nothing
