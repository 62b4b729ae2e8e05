// Sequences that gfx1151 does not interlock, and matrices.
#include "tests/isa/mistakes.h"

namespace amlm::isa::test {

namespace {

// v2-v9 are 1.0 in all halves, v10 to v33 are 0, v34 differs from lane to lane.
#define REGISTERS \
  "v_mov_b32 v34, v0\n.irp n, 2,3,4,5,6,7,8,9\nv_mov_b32 v\\n, 0x3c003c00\n.endr\n" \
  ".irp n, 10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33\nv_mov_b32 v\\n, 0\n.endr\n"
#define WMMA(d, a, b) \
  "v_wmma_f32_16x16x16_f16 v[" d ":" d "+7], v[" a ":" a "+7], v[" b ":" b "+7], v[10:17]\n"
#define POISONED_ROW "v_cmp_ne_u32 vcc_lo, 3, v35\nv_cndmask_b32 v4, v60, v4, vcc_lo\n"    // lanes 3 and 19 of A

const Mistake rows[] = {
    {"WMMA: A of one is D of the one before", "wmma-hazard", REGISTERS WMMA("18", "2", "2") WMMA("26", "18", "2"),
     REGISTERS WMMA("18", "2", "2") "v_nop\n" WMMA("26", "18", "18")},
    {"WMMA: s_nop is no VALU instruction", "wmma-hazard", REGISTERS WMMA("18", "2", "2") "s_nop 7\n" WMMA("26", "18", "2"),
     REGISTERS WMMA("18", "2", "2") "v_mov_b32 v34, 0\n" WMMA("26", "18", "18")},
    {"WMMA: halves of A differ", "wmma-halves", REGISTERS "v_mov_b32 v5, v34\n" WMMA("18", "2", "10"),
     REGISTERS "v_and_b32 v5, 15, v34\n" WMMA("18", "2", "10")},
    {"WMMA: halves of B differ", "wmma-halves", REGISTERS "v_mov_b32 v5, v34\n" WMMA("18", "10", "2"),
     REGISTERS "v_and_b32 v5, 15, v34\n" WMMA("18", "10", "2")},
    // Row 3 of D: register 19 of lanes 16-31.
    {"WMMA: a row of A that nobody wrote", "uninitialised-register",
     REGISTERS "v_and_b32 v35, 15, v0\n" POISONED_ROW "" WMMA("18", "2", "10")
     "s_mov_b32 exec_lo, 0xffff0000\nglobal_store_b32 v1, v19, s[4:5]",
     REGISTERS "v_and_b32 v35, 15, v0\n" POISONED_ROW "" WMMA("18", "2", "10")
     "s_mov_b32 exec_lo, 0xffff\nglobal_store_b32 v1, v19, s[4:5]"},
    {"permlane right after v_cmpx", "permlane-hazard", "v_cmpx_gt_u32 64, v1\nv_permlane64_b32 v2, v1",
     "v_cmpx_gt_u32 64, v1\nv_nop\nv_permlane64_b32 v2, v1"},
    {"permlanex16 right after v_cmpx", "permlane-hazard", "v_cmpx_gt_u32 64, v1\nv_permlanex16_b32 v2, v1, 0, 0",
     "v_cmpx_gt_u32 64, v1\nv_mov_b32 v3, 0\nv_permlanex16_b32 v2, v1, 0, 0"},
    {"VOPD: sources of one bank", "vopd-banks", "v_mov_b32 v2, 0\nv_mov_b32 v6, 0\n.long 0xca100102, 0x04040106",
     "v_mov_b32 v2, 0\nv_mov_b32 v5, 0\nv_dual_mov_b32 v4, v2 :: v_dual_mov_b32 v7, v5"},
    {"dealloc_vgprs without s_nop", "dealloc-hazard", "s_sendmsg sendmsg(MSG_DEALLOC_VGPRS)",
     "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)"},
    {"dealloc_vgprs and then more", "dealloc-hazard", "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)\ns_nop 0",
     "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)"},
};

}  // namespace

std::span<const Mistake> sequence_mistakes() { return rows; }

}  // namespace amlm::isa::test
