// scale_f32: y[i] = a * x[i] for i < n, one lane an element. A kernel in plain llvm-mc syntax, to try `amlm asm` with:
//
//   amlm asm scale_f32.s --run --device virtual --grid 4 --arg buf:4000=iota_f32 --arg buf:4000 --arg u32:1000 --arg f32:0.5
.amdgcn_target "amdgcn-amd-amdhsa--gfx1151"

.text
.globl scale_f32
.p2align 8
.type scale_f32, @function
scale_f32:                                // s[0:1]: the arguments; s2: the workgroup; v0: the lane in it
  s_load_b128   s[4:7], s[0:1], 0x0       // x, y
  s_load_b64    s[8:9], s[0:1], 0x10      // n, a
  v_and_b32     v0, 0x3ff, v0
  v_lshl_add_u32 v0, s2, 8, v0            // i
  s_waitcnt     lgkmcnt(0)
  v_cmpx_gt_u32 s8, v0                    // lanes past the end stop here
  s_cbranch_execz .Lend
  v_lshlrev_b32 v0, 2, v0
  global_load_b32 v1, v0, s[4:5]
  s_waitcnt     vmcnt(0)
  v_mul_f32     v1, s9, v1
  global_store_b32 v0, v1, s[6:7]
.Lend:
  s_endpgm
.Lcode_end:
.size scale_f32, .Lcode_end - scale_f32
.fill 64, 4, 0xbf9f0000                   // s_code_end: instruction prefetch runs past the end

.globl scale_f32.group_lanes              // what `--group` is when left out
.set scale_f32.group_lanes, 256

.rodata
.p2align 6
.amdhsa_kernel scale_f32
  .amdhsa_kernarg_size 24                 // x: 8, y: 8, n: 4, a: 4
  .amdhsa_user_sgpr_kernarg_segment_ptr 1
  .amdhsa_next_free_vgpr 2
  .amdhsa_next_free_sgpr 10
  .amdhsa_float_denorm_mode_32 3          // keep denormals
.end_amdhsa_kernel
