// Values that nobody defined. The good twins read them too, where it does not matter.
#include "tests/isa/mistakes.h"

namespace amlm::isa::test {

namespace {

#define OUT(register) "\ns_waitcnt vmcnt(0) lgkmcnt(0)\nglobal_store_b32 v1, " register ", s[4:5]"
#define OUT_PAIR "\ns_waitcnt vmcnt(0)\nv_lshlrev_b32 v4, 3, v0\nglobal_store_b64 v4, v[2:3], s[4:5]"
#define UR "uninitialised-register"
#define HALF_OFF "s_mov_b32 exec_lo, 0xff\nv_mov_b32 v2, 1\ns_mov_b32 exec_lo, -1\n"     // v2 in lanes 0-7 only
#define BUFFER "s_mov_b32 s12, s4\ns_and_b32 s13, s5, 0xffff\ns_mov_b32 s14, 64\ns_mov_b32 s15, 0x31014fac\n"
#define LOWER_HALF "s_mov_b32 exec_hi, 0\nv_mov_b32 v2, 1\ns_mov_b32 exec_hi, -1\n"     // v2 of a wave64

const Mistake rows[] = {
    {"VGPR: stored", UR, OUT("v2"), "v_mov_b32 v2, 1" OUT("v2")},
    {"VGPR: through an addition", UR, "v_add_nc_u32 v3, v2, v1" OUT("v3"), "v_add_nc_u32 v3, v2, v1" OUT("v1")},
    {"VGPR: through a move", UR, "v_mov_b32 v3, v2" OUT("v3"), "v_mov_b32 v3, v2\nv_mov_b32 v3, 0" OUT("v3")},
    {"VGPR: through float arithmetic", UR, "v_cvt_f32_u32 v3, v1\nv_fma_f32 v3, v2, v3, v3" OUT("v3"),
     "v_cvt_f32_u32 v3, v1\nv_fma_f32 v4, v2, v3, v3" OUT("v3")},
    {"VGPR: half of a pair", UR, "v_mov_b32 v2, v1\nv_lshlrev_b64 v[4:5], 4, v[2:3]" OUT("v5"),
     "v_mov_b32 v2, v1\nv_lshlrev_b64 v[4:5], 4, v[2:3]" OUT("v4")},
    {"VGPR: through a multiplication", UR, "v_mul_lo_u32 v3, v2, v1\nv_or_b32 v3, 1, v3" OUT("v3"),
     "v_mov_b32 v4, 0\nv_mul_lo_u32 v3, v2, v4" OUT("v3")},
    {"VGPR: masked too little", UR, "v_and_b32 v3, 1, v2" OUT("v3"), "v_and_b32 v3, 0, v2" OUT("v3")},
    {"VGPR: shifted out too little", UR, "v_lshlrev_b32 v3, 16, v2" OUT("v3"),
     "v_lshlrev_b32 v3, 16, v2\nv_and_b32 v3, 0xffff, v3" OUT("v3")},
    {"VGPR: the wrong field", UR, "v_perm_b32 v3, v2, v1, 0x04020100" OUT("v3"),
     "v_perm_b32 v3, v2, v1, 0x0c020100" OUT("v3")},
    {"VGPR: the wrong side of a selection", UR, "v_cmp_eq_u32 vcc_lo, v0, v0\nv_cndmask_b32 v3, v1, v2, vcc_lo" OUT("v3"),
     "v_cmp_eq_u32 vcc_lo, v0, v0\nv_cndmask_b32 v3, v2, v1, vcc_lo" OUT("v3")},
    {"VGPR: the other half of a d16 load", UR, "global_load_d16_b16 v2, v1, s[6:7]" OUT("v2"),
     "global_load_d16_b16 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nglobal_store_b16 v1, v2, s[4:5]"},
    {"VGPR: the high half of a packed sum", UR, "v_mov_b16 v2.l, 1.0\nv_pk_add_f16 v3, v2, v2" OUT("v3"),
     "v_mov_b16 v2.l, 1.0\nv_pk_add_f16 v3, v2, v2\ns_nop 0\nglobal_store_b16 v1, v3, s[4:5]"},
    {"VGPR: the high half of a packed accumulation", UR, "v_mov_b32 v3, 0\nv_mov_b16 v2.l, 1.0\n"
     "v_pk_fmac_f16 v3, v2, v2" OUT("v3"),
     "v_mov_b32 v3, 0\nv_mov_b16 v2.l, 1.0\nv_pk_fmac_f16 v3, v2, v2\nglobal_store_b16 v1, v3, s[4:5]"},
    {"VGPR: an address", UR, "global_load_b32 v3, v2, s[6:7]", "v_mov_b32 v2, 0\nglobal_load_b32 v3, v2, s[6:7]"},
    {"VGPR: a buffer offset", UR, BUFFER "buffer_load_b32 v3, v2, s[12:15], 0 offen" OUT("v3"),
     BUFFER "buffer_load_b32 v3, v2, s[12:15], 0 offen" OUT("v1")},
    {"VGPR: a buffer store's offset", UR, BUFFER "buffer_store_b32 v1, v2, s[12:15], 0 offen",
     BUFFER "buffer_store_b32 v1, v1, s[12:15], 0 offen"},
    {"VGPR: an LDS address", UR, "ds_store_b32 v2, v1", "ds_store_b32 v1, v2", {.lds_bytes = 512}},
    {"VGPR: atomic data", UR, "global_atomic_add_u32 v1, v2, s[4:5]",
     "v_mov_b32 v2, 1\nglobal_atomic_add_u32 v1, v2, s[4:5]"},
    {"VGPR: written in some lanes, stored in all", UR, HALF_OFF OUT("v2"),
     HALF_OFF "s_mov_b32 exec_lo, 0xff" OUT("v2")},
    {"VGPR: result of an inactive lane by readlane", UR, HALF_OFF "v_readlane_b32 s10, v2, 9\nv_mov_b32 v3, s10" OUT("v3"),
     HALF_OFF "v_readlane_b32 s10, v2, 7\nv_mov_b32 v3, s10" OUT("v3")},
    {"VGPR: result of an inactive lane by DPP", UR, HALF_OFF "v_mov_b32_dpp v3, v2 row_ror:8 row_mask:0xf bank_mask:0xf"
     OUT("v3"), "v_mov_b32 v2, 1\nv_mov_b32_dpp v3, v2 row_ror:8 row_mask:0xf bank_mask:0xf" OUT("v3")},
    {"VGPR: result of an inactive lane by bpermute", UR,
     HALF_OFF "v_mov_b32 v4, 36\nds_bpermute_b32 v3, v4, v2" OUT("v3"),
     HALF_OFF "v_mov_b32 v4, 28\nds_bpermute_b32 v3, v4, v2" OUT("v3")},
    {"VGPR: result of an inactive lane by permlanex16", UR,
     HALF_OFF "v_permlanex16_b32 v3, v2, 0, 0" OUT("v3"), HALF_OFF "v_permlanex16_b32 v3, v2, 0, 0\n"
     "s_mov_b32 exec_lo, 0xff0000" OUT("v3")},
    {"VGPR: a relative move", UR, "s_mov_b32 m0, 1\nv_mov_b32 v2, 1\nv_movrels_b32 v4, v2" OUT("v4"),
     "s_mov_b32 m0, 1\nv_mov_b32 v3, 1\nv_movrels_b32 v4, v2" OUT("v4")},
    {"VGPR: swapped", UR, "v_mov_b32 v3, v1\nv_swap_b32 v2, v3" OUT("v3"), "v_mov_b32 v3, v1\nv_swap_b32 v2, v3" OUT("v2")},
    {"VGPR: a compare decides a branch", UR, "v_cmp_gt_u32 vcc_lo, v2, v1\ns_cbranch_vccnz .L\n.L:",
     "v_cmp_gt_u32 vcc_lo, v2, v1\ns_and_b32 vcc_lo, vcc_lo, 0\ns_cbranch_vccnz .L\n.L:"},
    {"VGPR: a compare decides EXEC", UR, "v_cmpx_gt_u32 v2, v1", "v_mov_b32 v2, 1\nv_cmpx_gt_u32 v2, v1"},
    {"VGPR: a mask's lanes that are on", UR,
     HALF_OFF "v_cmp_eq_u32 s10, 1, v2\ns_and_saveexec_b32 s11, s10",
     HALF_OFF "v_cmp_eq_u32 s10, 1, v2\ns_mov_b32 exec_lo, 0xff\ns_and_saveexec_b32 s11, s10"},
    {"wave64: written in the lower half, stored in both", UR, LOWER_HALF OUT("v2"),
     LOWER_HALF "s_mov_b64 exec, 0xff" OUT("v2"), {.lanes = 64, .wave_lanes = 64}},
    {"wave64: the upper half of a mask decides a branch", UR,
     LOWER_HALF "v_cmp_eq_u32 vcc, 2, v2\ns_cbranch_vccnz .L\n.L:",
     LOWER_HALF "v_cmp_eq_u32 vcc, 1, v2\ns_cbranch_vccnz .L\n.L:", {.lanes = 64, .wave_lanes = 64}},
    {"wave64: the upper half of a mask decides EXEC", UR,
     LOWER_HALF "v_cmp_eq_u32 vcc, 1, v2\ns_and_saveexec_b64 s[10:11], vcc",
     LOWER_HALF "v_cmp_eq_u32 vcc, 1, v2\ns_mov_b32 exec_hi, 0\ns_and_saveexec_b64 s[10:11], vcc",
     {.lanes = 64, .wave_lanes = 64}},
    {"SGPR: stored", UR, "s_add_u32 s11, s10, 1\nv_mov_b32 v2, s11" OUT("v2"), "s_add_u32 s11, s10, 1\nv_mov_b32 v2, s2"
     OUT("v2")},
    {"SGPR: an address", UR, "global_load_b32 v2, v1, s[10:11]", "global_load_b32 v2, v1, s[6:7]"},
    {"SGPR: a scalar load's base", UR, "s_load_b32 s12, s[10:11], 0", "s_load_b32 s12, s[6:7], 0"},
    {"SGPR: a scalar load's offset", UR, "s_load_b32 s12, s[6:7], s10", "s_mov_b32 s10, 4\ns_load_b32 s12, s[6:7], s10"},
    {"SGPR: a descriptor", UR, "s_mov_b32 s12, s4\ns_mov_b32 s13, s5\ns_mov_b32 s15, 0x31014fac\n"
     "buffer_load_b32 v2, v1, s[12:15], 0 offen",
     "s_mov_b32 s12, s4\ns_and_b32 s13, s5, 0xffff\ns_mov_b32 s14, 64\ns_mov_b32 s15, 0x31014fac\n"
     "buffer_load_b32 v2, v1, s[12:15], 0 offen"},
    {"SGPR: lane masks of a loop", UR, "s_mov_b32 exec_lo, 0xff\n"
     "s_and_not1_b32 s10, s10, exec_lo\ns_or_b32 s10, s10, 5\ns_mov_b32 exec_lo, s10",
     "s_mov_b32 exec_lo, 0xff\ns_and_not1_b32 s10, s10, exec_lo\ns_or_b32 s10, s10, 5\ns_and_saveexec_b32 s11, s10"},
    {"SGPR: decides a branch", UR, "s_cmp_eq_u32 s10, 0\ns_cbranch_scc1 .L\n.L:",
     "s_or_b32 s10, s10, 1\ns_cmp_eq_u32 s10, 0\ns_cbranch_scc1 .L\n.L:"},
    {"SGPR: number of a lane", UR, "v_readlane_b32 s11, v1, s10", "s_mov_b32 s10, 3\nv_readlane_b32 s11, v1, s10"},
    {"SGPR: chosen by SCC", UR, "s_cmp_eq_u32 s2, 0\ns_cselect_b32 s11, s10, s2\nv_mov_b32 v2, s11" OUT("v2"),
     "s_cmp_lg_u32 s2, 0\ns_cselect_b32 s11, s10, s2\nv_mov_b32 v2, s11" OUT("v2")},
    {"SCC: decides a branch", UR, ".L:\ns_cbranch_scc1 .L", "s_cmp_lt_u32 s2, 0\n.L:\ns_cbranch_scc1 .L"},
    {"VCC: decides a branch", UR, ".L:\ns_cbranch_vccnz .L", "s_mov_b32 vcc_lo, 0\n.L:\ns_cbranch_vccnz .L"},
    {"M0: an LDS address", UR, "ds_store_addtid_b32 v1", "s_mov_b32 m0, 0\nds_store_addtid_b32 v1", {.lds_bytes = 512}},
    {"LDS: stored", "uninitialised-lds", "ds_load_b32 v2, v1" OUT("v2"), "ds_load_b32 v2, v1" OUT("v1"),
     {.lds_bytes = 512}},
    {"LDS: read and masked too little", "uninitialised-lds",
     "ds_store_b32 v1, v1\nv_add_nc_u32 v3, 64, v1\nds_load_b32 v2, v3\ns_waitcnt lgkmcnt(0)\nv_cmp_gt_u32 vcc_lo, 17, v0\n"
     "v_cndmask_b32 v2, 0, v2, vcc_lo" OUT("v2"),
     "ds_store_b32 v1, v1\nv_add_nc_u32 v3, 64, v1\nds_load_b32 v2, v3\ns_waitcnt lgkmcnt(0)\nv_cmp_gt_u32 vcc_lo, 16, v0\n"
     "v_cndmask_b32 v2, 0, v2, vcc_lo" OUT("v2"), {.lds_bytes = 512}},
    {"LDS: one byte of a dword", "uninitialised-lds", "v_lshlrev_b32 v3, 2, v0\nds_store_b16 v3, v1\nds_load_b32 v2, v3"
     OUT("v2"), "v_lshlrev_b32 v3, 2, v0\nds_store_b16 v3, v1\nds_load_b32 v2, v3\ns_waitcnt lgkmcnt(0)\n"
     "v_and_b32 v2, 0xffff, v2" OUT("v2"), {.lds_bytes = 512}},
    {"LDS: an undefined register passes through", UR, "ds_store_b32 v1, v2\nds_load_b32 v3, v1" OUT("v3"),
     "ds_store_b32 v1, v2\nds_store_b32 v1, v1\nds_load_b32 v3, v1" OUT("v3"), {.lds_bytes = 512}},
    {"LDS: an atomic on what nobody wrote", "uninitialised-lds", "ds_add_u32 v1, v0\nds_load_b32 v2, v1" OUT("v2"),
     "ds_store_b32 v1, v0\nds_add_u32 v1, v0\nds_load_b32 v2, v1" OUT("v2"), {.lds_bytes = 512}},
    {"LDS: the second of two elements", "uninitialised-lds", "ds_store_b32 v1, v0\nds_load_2addr_b32 v[2:3], v1 offset1:32"
     OUT("v3"), "ds_store_b32 v1, v0\nds_load_2addr_b32 v[2:3], v1 offset1:32" OUT("v2"), {.lds_bytes = 512}},
    {"scratch: stored", "uninitialised-scratch", "scratch_load_b32 v2, off, off" OUT("v2"),
     "scratch_store_b32 off, v1, off\nscratch_load_b32 v2, off, off" OUT("v2"), {.scratch_lane_bytes = 16}},
    {"scratch: a struct without any member", "uninitialised-scratch", "scratch_load_b64 v[2:3], off, off" OUT_PAIR,
     "scratch_store_b8 off, v1, off offset:4\nscratch_load_b64 v[2:3], off, off" OUT_PAIR, {.scratch_lane_bytes = 16}},
    {"scratch: a bit field in a word that then counts", "uninitialised-scratch",
     "scratch_load_b32 v2, off, off\ns_waitcnt vmcnt(0)\nv_bfi_b32 v2, 0x3ffff, v1, v2\nv_add_nc_u32 v2, v1, v2" OUT("v2"),
     "scratch_load_b32 v2, off, off\ns_waitcnt vmcnt(0)\nv_bfi_b32 v2, 0x3ffff, v1, v2" OUT("v2"),
     {.scratch_lane_bytes = 16}},
    {"scratch: padding that is added to", "uninitialised-scratch",
     "scratch_store_b8 off, v1, off\nscratch_load_b32 v2, off, off\ns_waitcnt vmcnt(0)\nv_add_nc_u32 v2, 1, v2" OUT("v2"),
     "scratch_store_b8 off, v1, off\nscratch_load_b32 v2, off, off\ns_waitcnt vmcnt(0)\nv_and_b32 v2, 0xff, v2\n"
     "v_add_nc_u32 v2, 1, v2" OUT("v2"), {.scratch_lane_bytes = 16}},
    {"scratch: a spill of what nobody wrote", UR, "scratch_store_b32 off, v2, off\nscratch_load_b32 v3, off, off" OUT("v3"),
     "scratch_store_b32 off, v2, off\nscratch_load_b32 v3, off, off", {.scratch_lane_bytes = 16}},
};

}  // namespace

std::span<const Mistake> value_mistakes() { return rows; }

}  // namespace amlm::isa::test
