// Small kernels for the driver's own tests, written without kernels/kernel.inc.
.amdgcn_target "amdgcn-amd-amdhsa--gfx1151"
.amdhsa_code_object_version 5
.text

// count: out[i] = i + first, i over the grid, 64 lanes a workgroup.  args: u64 out, u32 first
.globl count
.protected count
.p2align 8
.type count, @function
count:
  s_load_b128 s[4:7], s[0:1], 0
  v_lshl_add_u32 v1, s2, 6, v0
  v_lshlrev_b32 v2, 2, v1
  s_waitcnt lgkmcnt(0)                   // out, first
  v_add_nc_u32 v1, s6, v1
  global_store_b32 v2, v1, s[4:5]
  s_endpgm
.size count, . - count

// increment: out[i] += 1.  args: u64 out
.globl increment
.protected increment
.p2align 8
.type increment, @function
increment:
  s_load_b64 s[4:5], s[0:1], 0
  v_lshl_add_u32 v1, s2, 6, v0
  v_lshlrev_b32 v2, 2, v1
  s_waitcnt lgkmcnt(0)                   // out
  global_load_b32 v3, v2, s[4:5]
  s_waitcnt vmcnt(0)                     // v3
  v_add_nc_u32 v3, 1, v3
  global_store_b32 v2, v3, s[4:5]
  s_endpgm
.size increment, . - increment

// forever: never ends
.globl forever
.protected forever
.p2align 8
.type forever, @function
forever:
  s_branch forever
  s_endpgm
.size forever, . - forever

.macro descriptor name, kernargs
.rodata
.p2align 6
.amdhsa_kernel \name
  .amdhsa_kernarg_size \kernargs
  .amdhsa_user_sgpr_kernarg_segment_ptr 1
  .amdhsa_next_free_vgpr 8
  .amdhsa_next_free_sgpr 8
  .amdhsa_wavefront_size32 1
  .amdhsa_workgroup_processor_mode 0
.end_amdhsa_kernel
.globl \name\().group_lanes
.set \name\().group_lanes, 64
.endm

descriptor count, 16
descriptor increment, 8
descriptor forever, 8

.globl count.arg.first
.set count.arg.first, 8

// With RELOCATE: an address that only a loader could fill in.
.ifdef RELOCATE
.data
.p2align 3
.quad count
.endif
