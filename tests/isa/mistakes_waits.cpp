// Waits that are missing, or for the wrong counter.
#include "tests/isa/mistakes.h"

namespace amlm::isa::test {

namespace {

#define STORE "\nglobal_store_b32 v1, v2, s[4:5]"
#define FLAT "v_mov_b32 v4, s7\nv_add_co_u32 v3, vcc_lo, s6, v1\nv_add_co_ci_u32 v4, vcc_lo, 0, v4, vcc_lo\n" \
             "flat_load_b32 v2, v[3:4]\n"

const Mistake rows[] = {
    {"vmcnt: a load is used", "pending-register", "global_load_b32 v2, v1, s[6:7]\nv_mov_b32 v3, v2",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v3, v2"},
    {"vmcnt: a load's register is overwritten", "pending-register", "global_load_b32 v2, v1, s[6:7]\nv_mov_b32 v2, v1",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v2, v1"},
    {"vmcnt: the wrong counter", "pending-register",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v3, v2",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v3, v2"},
    {"vmcnt: one too many left in flight", "pending-register",
     "global_load_b32 v2, v1, s[6:7]\nglobal_load_b32 v3, v1, s[6:7]\ns_waitcnt vmcnt(1)\nv_mov_b32 v4, v3",
     "global_load_b32 v2, v1, s[6:7]\nglobal_load_b32 v3, v1, s[6:7]\ns_waitcnt vmcnt(1)\nv_mov_b32 v4, v2"},
    {"vmcnt: a load is stored", "pending-register", "global_load_b32 v2, v1, s[6:7]" STORE,
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)" STORE},
    {"vmcnt: a load is an address", "pending-register", "global_load_b32 v2, v1, s[6:7]\nglobal_load_b32 v3, v2, s[4:5]",
     "global_load_b32 v2, v1, s[4:5]\ns_waitcnt vmcnt(0)\nglobal_load_b32 v3, v2, s[4:5]"},
    {"vmcnt: an atomic's result", "pending-register",
     "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v3, v1, v2, s[4:5] glc\nv_mov_b32 v4, v3",
     "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v3, v1, v2, s[4:5] glc\ns_waitcnt vmcnt(0)\nv_mov_b32 v4, v3"},
    {"vmcnt: a load is half of a dual instruction", "pending-register",
     "global_load_b32 v2, v1, s[6:7]\nv_dual_mov_b32 v4, v1 :: v_dual_mov_b32 v5, v2",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_dual_mov_b32 v4, v1 :: v_dual_mov_b32 v5, v2"},
    {"vmcnt: a scratch load", "pending-register",
     "scratch_store_b32 off, v1, off\nscratch_load_b32 v2, off, off\nv_mov_b32 v3, v2",
     "scratch_store_b32 off, v1, off\nscratch_load_b32 v2, off, off\ns_waitcnt vmcnt(0)\nv_mov_b32 v3, v2",
     {.scratch_lane_bytes = 16}},
    {"lgkmcnt: scalar loads come in any order", "pending-register",
     "s_load_b32 s10, s[6:7], 0\ns_load_b32 s11, s[6:7], 4\ns_waitcnt lgkmcnt(1)\ns_mov_b32 s12, s10",
     "s_load_b32 s10, s[6:7], 0\ns_load_b32 s11, s[6:7], 4\ns_waitcnt lgkmcnt(0)\ns_mov_b32 s12, s10"},
    {"lgkmcnt: a scalar load is an operand of a vector op", "pending-register",
     "s_load_b32 s10, s[6:7], 0\nv_add_nc_u32 v2, s10, v1", "s_load_b32 s10, s[6:7], 0\ns_waitcnt lgkmcnt(0)\n"
     "v_add_nc_u32 v2, s10, v1"},
    {"lgkmcnt: a DS load", "pending-register",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nv_mov_b32 v4, v3",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v4, v3",
     {.lds_bytes = 512}},
    {"lgkmcnt: DS is in order, one too many left", "pending-register",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nds_load_b32 v4, v1\ns_waitcnt lgkmcnt(1)\nv_mov_b32 v5, v4",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nds_load_b32 v4, v1\ns_waitcnt lgkmcnt(1)\nv_mov_b32 v5, v3",
     {.lds_bytes = 512}},
    {"lgkmcnt: a bpermute's result", "pending-register", "ds_bpermute_b32 v2, v1, v0\nv_mov_b32 v3, v2",
     "ds_bpermute_b32 v2, v1, v0\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v3, v2"},
    {"lgkmcnt: a message's answer", "pending-register",
     "s_sendmsg_rtn_b64 s[10:11], sendmsg(MSG_RTN_GET_REALTIME)\ns_mov_b32 s12, s10",
     "s_sendmsg_rtn_b64 s[10:11], sendmsg(MSG_RTN_GET_REALTIME)\ns_waitcnt lgkmcnt(0)\ns_mov_b32 s12, s10"},
    {"FLAT needs both: only lgkmcnt", "pending-register", FLAT "s_waitcnt lgkmcnt(0)\nv_mov_b32 v5, v2",
     FLAT "s_waitcnt vmcnt(0) lgkmcnt(0)\nv_mov_b32 v5, v2"},
    {"FLAT needs both: only vmcnt", "pending-register", FLAT "s_waitcnt vmcnt(0)\nv_mov_b32 v5, v2",
     FLAT "s_waitcnt vmcnt(0) lgkmcnt(0)\nv_mov_b32 v5, v2"},
    {"vscnt: before a barrier that publishes a store", "race",
     "v_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v0, s[4:5]\ns_barrier\nglobal_load_b32 v2, v3, s[4:5]\n"
     "s_waitcnt vmcnt(0)\nglobal_store_b32 v1, v2, s[4:5] offset:1024",
     "v_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v0, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\n"
     "global_load_b32 v2, v3, s[4:5]\ns_waitcnt vmcnt(0)\nglobal_store_b32 v1, v2, s[4:5] offset:1024",
     {.lanes = 64}},
    {"lgkmcnt: before a barrier that publishes LDS", "lds-race",
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\ns_barrier\nds_load_b32 v2, v3\ns_waitcnt lgkmcnt(0)" STORE,
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\ns_waitcnt lgkmcnt(0)\ns_barrier\nds_load_b32 v2, v3\n"
     "s_waitcnt lgkmcnt(0)" STORE,
     {.lanes = 64, .lds_bytes = 512}},
    // In CU mode it is enough that they have been sent: VM_VSRC 0 says so, VA_VDST 0 does not.
    {"depctr: the wrong field before a barrier", "lds-race",
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\ns_waitcnt_depctr 0xfff\ns_barrier\nds_load_b32 v2, v3\n"
     "s_waitcnt lgkmcnt(0)" STORE,
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\ns_waitcnt_depctr 0xffe3\ns_barrier\nds_load_b32 v2, v3\n"
     "s_waitcnt lgkmcnt(0)" STORE,
     {.lanes = 64, .lds_bytes = 512}},
    {"lgkmcnt: a DS load before others may overwrite", "lds-race",
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\nds_load_b32 v4, v1\ns_waitcnt lgkmcnt(1)\ns_barrier\nds_store_b32 v3, v1",
     "v_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v0\nds_load_b32 v4, v1\ns_waitcnt lgkmcnt(0)\ns_barrier\nds_store_b32 v3, v1",
     {.lanes = 64, .lds_bytes = 512}},
};

}  // namespace

std::span<const Mistake> wait_mistakes() { return rows; }

}  // namespace amlm::isa::test
