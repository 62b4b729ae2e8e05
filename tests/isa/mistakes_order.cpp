// Waves and workgroups that meet: barriers, caches, what is harmless.
#include "tests/isa/mistakes.h"

namespace amlm::isa::test {

namespace {

#define OTHER "v_xor_b32 v3, 0x80, v1\n"     // the other wave's place
#define PUBLISH "s_waitcnt lgkmcnt(0)\ns_barrier\n"
#define FILLED OTHER "ds_store_b32 v1, v0\n" PUBLISH
#define GROUP "s_lshl_b32 s10, s2, 7\nv_add_nc_u32 v1, s10, v1\n"
#define USE "\ns_waitcnt vmcnt(0) lgkmcnt(0)\nglobal_store_b32 v1, v2, s[4:5] offset:1024"

const Mistake rows[] = {
    {"LDS: s_barrier between write and read", "lds-race", FILLED "ds_store_b32 v1, v1\ns_waitcnt lgkmcnt(0)\n"
     "ds_load_b32 v2, v3" USE,
     FILLED "ds_store_b32 v1, v1\n" PUBLISH "ds_load_b32 v2, v3" USE, {.lanes = 64, .lds_bytes = 512}},
    {"LDS: s_barrier between two writes", "lds-race",
     OTHER "ds_store_b32 v1, v0\ns_waitcnt lgkmcnt(0)\nds_store_b32 v3, v1",
     OTHER "ds_store_b32 v1, v0\n" PUBLISH "ds_store_b32 v3, v1", {.lanes = 64, .lds_bytes = 512}},
    {"LDS: s_barrier between read and the next write", "lds-race",
     OTHER "ds_store_b32 v1, v0\n" PUBLISH "ds_load_b32 v2, v3\ns_waitcnt lgkmcnt(0)\nds_store_b32 v1, v1",
     OTHER "ds_store_b32 v1, v0\n" PUBLISH "ds_load_b32 v2, v3\n" PUBLISH "ds_store_b32 v1, v1",
     {.lanes = 64, .lds_bytes = 512}},
    {"LDS: two waves write different values", "lds-race", "v_mov_b32 v3, 0\nds_store_b32 v3, v0",
     "v_mov_b32 v3, 0\nv_mov_b32 v2, 7\nds_store_b32 v3, v2\ns_waitcnt lgkmcnt(0)\nds_load_b32 v2, v3" USE,
     {.lanes = 64, .lds_bytes = 512}},
    {"LDS: two waves write different bytes of one value", "lds-race",
     "v_mov_b32 v3, 0\nv_lshrrev_b32 v2, 5, v0\nds_store_b8 v3, v2",
     "v_lshrrev_b32 v3, 5, v0\nds_store_b8 v3, v0", {.lanes = 64, .lds_bytes = 512}},
    {"LDS: a store meets an atomic", "lds-race", "v_mov_b32 v2, 7\nv_mov_b32 v3, 0\nds_store_b32 v3, v2\nds_add_u32 v3, v2",
     "v_mov_b32 v2, 7\nv_mov_b32 v3, 0\nds_store_b32 v1, v2\n" PUBLISH "ds_add_u32 v3, v2", {.lanes = 64, .lds_bytes = 512}},
    {"LDS: an atomic's sum is read without barrier", "lds-race",
     "v_mov_b32 v3, 0\nds_store_b32 v1, v3\n" PUBLISH "ds_add_u32 v3, v0\ns_waitcnt lgkmcnt(0)\nds_load_b32 v2, v3" USE,
     "v_mov_b32 v3, 0\nds_store_b32 v1, v3\n" PUBLISH "ds_add_u32 v3, v0\n" PUBLISH "ds_load_b32 v2, v3" USE,
     {.lanes = 64, .lds_bytes = 512}},
    {"LDS: in WGP mode VM_VSRC is too weak", "lds-race",
     OTHER "ds_store_b32 v1, v0\ns_waitcnt_depctr 0xffe3\ns_barrier\nds_load_b32 v2, v3" USE,
     OTHER "ds_store_b32 v1, v0\n" PUBLISH "ds_load_b32 v2, v3" USE, {.lanes = 64, .lds_bytes = 512, .wgp_mode = true}},

    {"memory: two workgroups write different values", "race", "v_mov_b32 v2, s2\nglobal_store_b32 v1, v2, s[4:5]",
     "v_mov_b32 v2, 7\nglobal_store_b32 v1, v2, s[4:5]", {.groups = 2}},
    {"memory: two workgroups write bytes of one half", "race", "v_mov_b32 v2, s2\nv_mov_b32 v1, s2\nv_add_nc_u32 v2, 1, v2\n"
     "v_and_b32 v2, 0xff, v2\nglobal_store_b16 v1, v2, s[4:5]",
     "v_mov_b32 v2, s2\nv_mov_b32 v1, s2\nglobal_store_b8 v1, v2, s[4:5]", {.groups = 2}},
    {"memory: another workgroup's data are used", "race",
     GROUP "global_store_b32 v1, v1, s[4:5]\nv_xor_b32 v3, 0x80, v1\nglobal_load_b32 v2, v3, s[4:5]" USE,
     GROUP "global_store_b32 v1, v1, s[4:5]\nglobal_load_b32 v2, v1, s[4:5]" USE, {.groups = 2}},
    // In half of the orders the read comes first: then the dispatch is run again.
    {"memory: another workgroup's data, overwritten, are used", "race",
     GROUP "v_xor_b32 v3, 0x80, v1\nglobal_load_b32 v2, v3, s[4:5]\ns_waitcnt vmcnt(0)\nglobal_store_b32 v1, v1, s[4:5]" USE,
     GROUP "v_xor_b32 v3, 0x80, v1\nglobal_load_b32 v2, v3, s[4:5]\ns_waitcnt vmcnt(0)\nglobal_store_b32 v1, v1, s[4:5]",
     {.groups = 2}},
    {"memory: a store meets another workgroup's atomic", "race",
     "s_cmp_eq_u32 s2, 0\ns_cbranch_scc1 .L\nglobal_atomic_add_u32 v1, v1, s[4:5]\ns_endpgm\n.L:\n"
     "v_mov_b32 v2, 9\nglobal_store_b32 v1, v2, s[4:5]",
     "global_atomic_add_u32 v1, v1, s[4:5]", {.groups = 2}},
    {"memory: s_barrier between two waves", "race",
     OTHER "global_store_b32 v1, v0, s[4:5]\ns_waitcnt_vscnt null, 0\nglobal_load_b32 v2, v3, s[4:5]" USE,
     OTHER "global_store_b32 v1, v0, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\nglobal_load_b32 v2, v3, s[4:5]" USE,
     {.lanes = 64}},
    {"memory: two waves write different values", "race", "v_and_b32 v3, 0x7f, v1\nglobal_store_b32 v3, v0, s[4:5]",
     "v_and_b32 v3, 0x7f, v1\nglobal_store_b32 v3, v3, s[4:5]\ns_waitcnt_vscnt null, 0\nglobal_load_b32 v2, v3, s[4:5]" USE,
     {.lanes = 64}},
    {"memory: buffer_gl0_inv after the barrier (WGP mode)", "stale-read",
     OTHER "global_store_b32 v1, v0, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\nglobal_load_b32 v2, v3, s[4:5]" USE,
     OTHER "global_store_b32 v1, v0, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\nbuffer_gl0_inv\n"
     "global_load_b32 v2, v3, s[4:5]" USE,
     {.lanes = 64, .wgp_mode = true}},
    {"memory: a scalar load of what the dispatch writes", "stale-read",
     "global_store_b32 v1, v0, s[4:5]\ns_load_b32 s10, s[4:5], 0\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v2, s10" USE,
     "global_store_b32 v1, v0, s[4:5]\ns_load_b32 s10, s[4:5], 0\ns_waitcnt lgkmcnt(0)\ns_load_b32 s10, s[6:7], 0\n"
     "s_waitcnt lgkmcnt(0)\n"
     "v_mov_b32 v2, s10" USE},
};

}  // namespace

std::span<const Mistake> order_mistakes() { return rows; }

}  // namespace amlm::isa::test
