// Addresses that are wrong: by one element, without the right, freed, misaligned.
#include "tests/isa/mistakes.h"

namespace amlm::isa::test {

namespace {

#define ZERO "v_mov_b32 v2, 0\n"
// s[12:15]: a buffer descriptor over out, raw, of `records` bytes.
#define BUFFER(records) \
  "s_mov_b32 s12, s4\ns_and_b32 s13, s5, 0xffff\ns_mov_b32 s14, " records "\ns_mov_b32 s15, 0x31014fac\n"

const Mistake rows[] = {
    {"global store: one element past the end", "unmapped", ZERO "global_store_b32 v1, v2, s[4:5] offset:3972",
     ZERO "global_store_b32 v1, v2, s[4:5] offset:3968"},
    {"global load: one element before the start", "unmapped", "global_load_b32 v2, v1, s[6:7] offset:-4",
     "global_load_b32 v2, v1, s[6:7] offset:4"},
    {"global load: 16 bytes that run over the end", "unmapped", "v_mov_b32 v3, 4084\nglobal_load_b128 v[4:7], v3, s[6:7]",
     "v_mov_b32 v3, 4080\nglobal_load_b128 v[4:7], v3, s[6:7]"},
    {"global load: one byte past the end", "unmapped", "v_mov_b32 v3, 4096\nglobal_load_u8 v2, v3, s[6:7]",
     "v_mov_b32 v3, 4095\nglobal_load_u8 v2, v3, s[6:7]"},
    {"global atomic: one element past the end", "unmapped", ZERO "global_atomic_add_u32 v1, v2, s[4:5] offset:3972",
     ZERO "global_atomic_add_u32 v1, v2, s[4:5] offset:3968"},
    {"global: only one lane past the end", "unmapped", "v_lshlrev_b32 v3, 7, v0\nv_add_nc_u32 v3, 0x80, v3\n"
     "global_load_b32 v2, v3, s[6:7]", "v_lshlrev_b32 v3, 7, v0\nglobal_load_b32 v2, v3, s[6:7]"},
    {"flat load: one element past the end", "unmapped", "v_mov_b32 v4, s7\nv_add_co_u32 v3, vcc_lo, s6, v1\n"
     "v_add_co_ci_u32 v4, vcc_lo, 0, v4, vcc_lo\nflat_load_b32 v2, v[3:4] offset:3972",
     "v_mov_b32 v4, s7\nv_add_co_u32 v3, vcc_lo, s6, v1\n"
     "v_add_co_ci_u32 v4, vcc_lo, 0, v4, vcc_lo\nflat_load_b32 v2, v[3:4] offset:3968"},
    {"scalar load: one dword past the end", "unmapped", "s_load_b64 s[10:11], s[6:7], 0xffc",
     "s_load_b64 s[10:11], s[6:7], 0xff8"},
    {"buffer load: records past its mapping", "unmapped", BUFFER("0x1004") "buffer_load_b32 v2, v1, s[12:15], 0 offen "
     "offset:3972", BUFFER("0x1000") "buffer_load_b32 v2, v1, s[12:15], 0 offen offset:3972"},
    {"buffer store: records past its mapping", "unmapped", BUFFER("0x2000") ZERO
     "buffer_store_b32 v2, v1, s[12:15], 0 offen offset:4092", BUFFER("0x1000") ZERO
     "buffer_store_b32 v2, v1, s[12:15], 0 offen offset:4092"},
    {"scalar buffer load: records past its mapping", "unmapped", BUFFER("0x2000") "s_buffer_load_b32 s16, s[12:15], 0x1000",
     BUFFER("0x1000") "s_buffer_load_b32 s16, s[12:15], 0x1000"},
    {"buffer: no descriptor", "descriptor", BUFFER("0x1000") "s_or_b32 s15, s15, 0xc0000000\n"
     "buffer_load_b32 v2, v1, s[12:15], 0 offen", BUFFER("0x1000") "buffer_load_b32 v2, v1, s[12:15], 0 offen"},
    {"LDS store: one element past the size", "lds-range", ZERO "ds_store_b32 v1, v2 offset:388",
     ZERO "ds_store_b32 v1, v2 offset:384", {.lds_bytes = 512}},
    {"LDS load: one element past the size", "lds-range", ZERO "ds_load_b32 v2, v1 offset:388",
     ZERO "ds_load_b32 v2, v1 offset:384", {.lds_bytes = 512}},
    {"LDS atomic: one element past the size", "lds-range",
     ZERO "ds_store_b32 v1, v2 offset:384\nds_add_u32 v1, v2 offset:388",
     ZERO "ds_store_b32 v1, v2 offset:384\nds_add_u32 v1, v2 offset:384", {.lds_bytes = 512}},
    {"LDS: below its start, where the offset does not make up", "lds-range",
     "v_add_nc_u32 v3, -8, v1\nds_store_b32 v3, v1 offset:4",
     "v_add_nc_u32 v3, -8, v1\nds_store_b32 v3, v1 offset:8\nds_load_b32 v2, v3 offset:8\n"
     "s_waitcnt lgkmcnt(0)\nds_add_u32 v3, v2 offset:8",
     {.lds_bytes = 512}},
    {"LDS: a kernel that declares none", "lds-range", ZERO "ds_store_b32 v1, v2", ZERO "v_mov_b32 v2, v1"},
    {"scratch store: one element past a lane's part", "scratch-range", "scratch_store_b32 off, v1, off offset:16",
     "scratch_store_b32 off, v1, off offset:12", {.scratch_lane_bytes = 16}},
    {"scratch load: before a lane's part", "scratch-range", "scratch_load_b32 v2, off, off offset:-4",
     "scratch_load_b32 v2, off, off offset:4", {.scratch_lane_bytes = 16}},
    {"scratch: a dispatch without it", "scratch-range", "scratch_store_b32 off, v1, off", "s_nop 0"},

    {"store to read-only memory", "no-write", ZERO "global_store_b32 v1, v2, s[6:7]",
     ZERO "global_store_b32 v1, v2, s[4:5]"},
    {"atomic on read-only memory", "no-write", ZERO "global_atomic_add_u32 v1, v2, s[6:7]",
     ZERO "global_atomic_add_u32 v1, v2, s[4:5]"},
    {"load from freed memory", "unmapped", "global_load_b32 v2, v1, s[8:9]", "global_load_b32 v2, v1, s[4:5]"},
    {"store to freed memory", "unmapped", ZERO "global_store_b32 v1, v2, s[8:9]", ZERO "global_store_b32 v1, v2, s[4:5]"},
    {"scalar load from freed memory", "unmapped", "s_load_b32 s10, s[8:9], 0", "s_load_b32 s10, s[4:5], 0"},
    {"jump into data", "no-exec", "s_setpc_b64 s[6:7]", "s_nop 0"},
    {"jump into freed memory", "no-exec", "s_setpc_b64 s[8:9]", "s_nop 0"},
    {"run past the end", "code-end", "s_branch 0x20", "s_nop 0"},
    {"run what is no instruction", "illegal-instruction", ".long 0xffffffff", "s_nop 0"},
    {"trap", "trap", "s_trap 2", "s_nop 0"},
    {"a message that nobody takes", "message", "s_mov_b32 m0, 0\ns_sendmsg sendmsg(MSG_INTERRUPT)", "s_nop 0"},
    {"endless loop", "endless-wave", ".L:\ns_branch .L", "s_mov_b32 s10, 9\n.L:\ns_sub_u32 s10, s10, 1\n"
     "s_cmp_lg_u32 s10, 0\ns_cbranch_scc1 .L"},
    {"endless loop of one lane", "endless-wave", "v_cmpx_eq_u32 3, v0\n.L:\ns_cbranch_execnz .L",
     "v_cmpx_eq_u32 64, v0\n.L:\ns_cbranch_execnz .L"},
    {"misaligned atomic, 32 bits", "misaligned", ZERO "global_atomic_add_u32 v1, v2, s[4:5] offset:2",
     ZERO "global_atomic_add_u32 v1, v2, s[4:5] offset:4"},
    {"misaligned atomic, 64 bits", "misaligned", ZERO "v_mov_b32 v3, 0\nv_lshlrev_b32 v4, 1, v1\n"
     "global_atomic_add_u64 v4, v[2:3], s[4:5] offset:4",
     ZERO "v_mov_b32 v3, 0\nv_lshlrev_b32 v4, 1, v1\nglobal_atomic_add_u64 v4, v[2:3], s[4:5] offset:8"},
    {"misaligned atomic in a buffer", "misaligned", BUFFER("0x1000") ZERO
     "buffer_atomic_add_u32 v2, v1, s[12:15], 0 offen offset:1", BUFFER("0x1000") ZERO
     "buffer_atomic_add_u32 v2, v1, s[12:15], 0 offen offset:4"},
    {"misaligned atomic in LDS", "misaligned", ZERO "ds_store_b32 v1, v2\nds_add_u32 v1, v2 offset:1",
     ZERO "ds_store_b32 v1, v2\nds_add_u32 v1, v2", {.lds_bytes = 512}},
    {"a register that the kernel did not allocate", "register-range", "v_mov_b32 v64, 0", "v_mov_b32 v63, 0"},
    {"a pair that runs past the last register", "register-range", "global_load_b64 v[63:64], v1, s[6:7]",
     "global_load_b64 v[62:63], v1, s[6:7]"},
};

}  // namespace

std::span<const Mistake> memory_mistakes() { return rows; }

}  // namespace amlm::isa::test
