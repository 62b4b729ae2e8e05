// Each rule of strict mode: a small program that breaks it and must be caught, and its corrected twin that must pass.
#include <catch2/catch.hpp>

#include <cstring>

#include "tests/isa/machine.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

// s[4:5] = out (4 KiB), s[6:7] = in (4 KiB, read only), s2 = workgroup, v0 = lane, v1 = 4 * lane.
const std::string prologue = R"(
  s_load_b128 s[4:7], s[0:1], 0
  v_lshlrev_b32 v1, 2, v0
  s_waitcnt lgkmcnt(0)
)";

struct Rule {
  const char* kind;
  const char* broken;
  const char* fixed;
  Launch launch{};
};

std::string run(const Rule& rule, const std::vector<u32>& code, u64 seed) {
  Machine machine;
  machine.options.seed = seed;
  TestBuffer& out = machine.buffer("out", 4096);
  TestBuffer& in = machine.buffer("in", 4096, access_read);
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  arguments.as<u64>()[0] = out.va;
  arguments.as<u64>()[1] = in.va;
  Launch launch = rule.launch;
  launch.arguments = arguments.va;
  launch.code_va = machine.code(code);
  const RunReport report = machine.run(dispatch_of(launch));
  if (!report.fault) return "";
  INFO(report.fault->sentence);
  CHECK(report.fault->sentence.size() > 20);
  CHECK(report.fault->label == "test");
  return report.fault->kind;
}

// v0-v7 are 1.0 in all halves, v8 to v31 are 0, v32 differs from lane to lane.
#define WMMA_REGISTERS \
  "v_mov_b32 v32, v0\n.irp n, 0,1,2,3,4,5,6,7\nv_mov_b32 v\\n, 0x3c003c00\n.endr\n" \
  ".irp n, 8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\nv_mov_b32 v\\n, 0\n.endr\n"
#define WMMA(d, a, b) \
  "v_wmma_f32_16x16x16_f16 v[" d ":" d "+7], v[" a ":" a "+7], v[" b ":" b "+7], v[8:15]\n"

const Rule rules[] = {
    {"pending-register", "global_load_b32 v2, v1, s[6:7]\nv_mov_b32 v3, v2",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v3, v2"},
    // overwrite, not use
    {"pending-register", "global_load_b32 v2, v1, s[6:7]\nv_mov_b32 v2, v1",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v2, v1"},
    // the wrong counter
    {"pending-register", "global_load_b32 v2, v1, s[6:7]\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v3, v2",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nv_mov_b32 v3, v2"},
    // one too many left in flight
    {"pending-register",
     "global_load_b32 v2, v1, s[6:7]\nglobal_load_b32 v3, v1, s[6:7]\ns_waitcnt vmcnt(1)\nv_mov_b32 v4, v3",
     "global_load_b32 v2, v1, s[6:7]\nglobal_load_b32 v3, v1, s[6:7]\ns_waitcnt vmcnt(1)\nv_mov_b32 v4, v2"},
    // a store's data
    {"pending-register", "global_load_b32 v2, v1, s[6:7]\nglobal_store_b32 v1, v2, s[4:5]",
     "global_load_b32 v2, v1, s[6:7]\ns_waitcnt vmcnt(0)\nglobal_store_b32 v1, v2, s[4:5]"},
    // scalar loads come in any order
    {"pending-register", "s_load_b32 s8, s[6:7], 0\ns_load_b32 s9, s[6:7], 4\ns_waitcnt lgkmcnt(1)\ns_mov_b32 s10, s8",
     "s_load_b32 s8, s[6:7], 0\ns_load_b32 s9, s[6:7], 4\ns_waitcnt lgkmcnt(0)\ns_mov_b32 s10, s8"},
    {"pending-register", "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nv_mov_b32 v4, v3",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\ns_waitcnt lgkmcnt(0)\nv_mov_b32 v4, v3",
     {.lds_bytes = 512}},
    // DS alone is in order
    {"pending-register",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nds_load_b32 v4, v1\n"
     "s_waitcnt lgkmcnt(1)\nv_mov_b32 v5, v4",
     "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v3, v1\nds_load_b32 v4, v1\n"
     "s_waitcnt lgkmcnt(1)\nv_mov_b32 v5, v3",
     {.lds_bytes = 512}},
    {"pending-register", "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v3, v1, v2, s[4:5] glc\nv_mov_b32 v4, v3",
     "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v3, v1, v2, s[4:5] glc\ns_waitcnt vmcnt(0)\nv_mov_b32 v4, v3"},

    {"uninitialised-register", "v_add_nc_u32 v3, v2, v1", "v_mov_b32 v2, 1\nv_add_nc_u32 v3, v2, v1"},
    {"uninitialised-register", "s_add_u32 s9, s8, 1", "s_mov_b32 s8, 1\ns_add_u32 s9, s8, 1"},
    {"uninitialised-register", "global_store_b32 v1, v2, s[4:5]", "v_mov_b32 v2, 1\nglobal_store_b32 v1, v2, s[4:5]"},
    // a move passes the state on
    {"uninitialised-register", "v_mov_b32 v3, v2\nv_add_nc_u32 v3, v3, v1", "v_mov_b32 v3, v2\nv_mov_b32 v2, 0"},
    // only some lanes were written
    {"uninitialised-register", "s_mov_b32 exec_lo, 0xff\nv_mov_b32 v2, 1\ns_mov_b32 exec_lo, -1\n"
     "v_add_nc_u32 v3, v2, v1",
     "s_mov_b32 exec_lo, 0xff\nv_mov_b32 v2, 1\nv_add_nc_u32 v3, v2, v1"},
    {"uninitialised-register", ".L:\ns_cbranch_scc1 .L", "s_cmp_lt_u32 s2, 0\n.L:\ns_cbranch_scc1 .L"},
    {"uninitialised-register", ".L:\ns_cbranch_vccnz .L", "s_mov_b32 vcc_lo, 0\n.L:\ns_cbranch_vccnz .L"},
    {"uninitialised-lds", "ds_load_b32 v2, v1", "v_mov_b32 v2, 0\nds_store_b32 v1, v2\nds_load_b32 v2, v1",
     {.lds_bytes = 512}},

    {"unmapped", "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5] offset:3972",
     "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5] offset:3968"},
    {"unmapped", "global_load_b32 v2, v1, s[6:7] offset:-4", "global_load_b32 v2, v1, s[6:7] offset:4"},
    {"unmapped", "s_load_b64 s[8:9], s[6:7], 0xffc", "s_load_b64 s[8:9], s[6:7], 0xff8"},
    {"no-write", "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[6:7]", "v_mov_b32 v2, 0\n"
     "global_store_b32 v1, v2, s[4:5]"},
    {"misaligned", "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v1, v2, s[4:5] offset:2",
     "v_mov_b32 v2, 0\nglobal_atomic_add_u32 v1, v2, s[4:5] offset:4"},
    {"no-exec", "s_setpc_b64 s[6:7]", "s_nop 0"},
    {"code-end", "s_branch 0x20", "s_nop 0"},
    {"trap", "s_trap 2", "s_nop 0"},
    {"illegal-instruction", ".long 0xffffffff", "s_nop 0"},
    {"lds-range", "v_mov_b32 v2, 0\nds_store_b32 v1, v2 offset:388", "v_mov_b32 v2, 0\nds_store_b32 v1, v2 offset:384",
     {.lds_bytes = 512}},
    {"register-range", "v_mov_b32 v64, 0", "v_mov_b32 v63, 0"},

    // LDS between the two waves of a workgroup
    {"lds-race", "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\n"
     "s_waitcnt lgkmcnt(0)\nds_store_b32 v3, v2",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\ns_waitcnt lgkmcnt(0)\n"
     "s_barrier\nds_store_b32 v3, v2",
     {.lanes = 64, .lds_bytes = 512}},
    // a barrier does not wait for the stores
    {"lds-race", "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\ns_barrier\nds_load_b32 v4, v3",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\ns_waitcnt lgkmcnt(0)\n"
     "s_barrier\nds_load_b32 v4, v3",
     {.lanes = 64, .lds_bytes = 512}},
    // in CU mode it is enough that they have been sent: VM_VSRC 0 says so, VA_VDST 0 does not
    {"lds-race", "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\n"
     "s_waitcnt_depctr 0xfff\ns_barrier\nds_load_b32 v4, v3",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\n"
     "s_waitcnt_depctr 0xffe3\ns_barrier\nds_load_b32 v4, v3",
     {.lanes = 64, .lds_bytes = 512}},
    // nor for the loads
    {"lds-race",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\nds_load_b32 v4, v1\n"
     "s_waitcnt lgkmcnt(1)\ns_barrier\n"
     "ds_store_b32 v3, v2",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nds_store_b32 v1, v2\nds_load_b32 v4, v1\n"
     "s_waitcnt lgkmcnt(0)\ns_barrier\n"
     "ds_store_b32 v3, v2",
     {.lanes = 64, .lds_bytes = 512}},
    // atomics of two waves may meet, but not a plain store and an atomic
    {"lds-race", "v_mov_b32 v2, 0\nv_mov_b32 v3, 0\nds_store_b32 v3, v2\nds_add_u32 v3, v2",
     "v_mov_b32 v2, 0\nv_mov_b32 v3, 0\nds_store_b32 v1, v2\ns_waitcnt lgkmcnt(0)\ns_barrier\nds_add_u32 v3, v2",
     {.lanes = 64, .lds_bytes = 512}},

    // two workgroups of a dispatch
    {"race", "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5]",
     "v_mov_b32 v2, 0\ns_lshl_b32 s8, s2, 7\nv_add_nc_u32 v1, s8, v1\nglobal_store_b32 v1, v2, s[4:5]", {.groups = 2}},
    {"race",
     "v_mov_b32 v2, 0\ns_lshl_b32 s8, s2, 7\nv_add_nc_u32 v1, s8, v1\nglobal_store_b32 v1, v2, s[4:5]\n"
     "v_xor_b32 v3, 0x80, v1\nglobal_load_b32 v4, v3, s[4:5]",
     "v_mov_b32 v2, 0\ns_lshl_b32 s8, s2, 7\nv_add_nc_u32 v1, s8, v1\nglobal_store_b32 v1, v2, s[4:5]\n"
     "global_load_b32 v4, v1, s[4:5]",
     {.groups = 2}},
    // bytes of one dword may belong to different workgroups
    {"race", "v_mov_b32 v2, 0\nv_mov_b32 v1, s2\nglobal_store_b16 v1, v2, s[4:5]",
     "v_mov_b32 v2, 0\nv_mov_b32 v1, s2\nglobal_store_b8 v1, v2, s[4:5]", {.groups = 2}},
    {"stale-read", "s_mov_b32 s8, 0\nv_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5]\ns_load_b32 s9, s[4:5], 0",
     "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5]\ns_load_b32 s9, s[6:7], 0"},

    // two waves of a workgroup, through global memory: barrier, wait before it, and in WGP mode L0 invalidated after it
    {"race",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v2, s[4:5]\ns_barrier\n"
     "global_load_b32 v4, v3, s[4:5]",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v2, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\n"
     "global_load_b32 v4, v3, s[4:5]",
     {.lanes = 64}},
    {"race", "v_mov_b32 v2, 0\nv_and_b32 v3, 0x7f, v1\nglobal_store_b32 v3, v2, s[4:5]",
     "v_mov_b32 v2, 0\nglobal_store_b32 v1, v2, s[4:5]", {.lanes = 64}},
    {"stale-read",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v2, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\n"
     "global_load_b32 v4, v3, s[4:5]",
     "v_mov_b32 v2, 0\nv_xor_b32 v3, 0x80, v1\nglobal_store_b32 v1, v2, s[4:5]\ns_waitcnt_vscnt null, 0\ns_barrier\n"
     "buffer_gl0_inv\nglobal_load_b32 v4, v3, s[4:5]",
     {.lanes = 64, .wgp_mode = true}},

    {"wmma-hazard", WMMA_REGISTERS WMMA("16", "0", "0") WMMA("24", "16", "0"),
     WMMA_REGISTERS WMMA("16", "0", "0") "v_nop\n" WMMA("24", "16", "16")},
    {"wmma-halves", WMMA_REGISTERS "v_mov_b32 v3, v32\n" WMMA("16", "0", "0"), WMMA_REGISTERS WMMA("16", "0", "0")},
    {"permlane-hazard",
     "v_cmpx_gt_u32 64, v1\nv_permlane64_b32 v2, v1", "v_cmpx_gt_u32 64, v1\nv_nop\nv_permlane64_b32 v2, v1"},
    {"vopd-banks", "v_mov_b32 v2, 0\nv_mov_b32 v6, 0\n.long 0xca100102, 0x04040106", "s_nop 0"},
    {"dealloc-hazard", "s_sendmsg sendmsg(MSG_DEALLOC_VGPRS)", "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)"},
    {"dealloc-hazard", "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)\ns_nop 0",
     "s_nop 0\ns_sendmsg sendmsg(MSG_DEALLOC_VGPRS)"},
};

}  // namespace

TEST_CASE("every rule catches its violation and lets the corrected program pass") {
  for (const Rule& rule : rules) {
    const auto broken = assemble(prologue + rule.broken + "\ns_endpgm");
    const auto fixed = assemble(prologue + rule.fixed + "\ns_endpgm");
    for (u64 seed = 1; seed <= 3; ++seed) {
      INFO(rule.kind << ", seed " << seed << ":\n" << rule.broken);
      CHECK(run(rule, broken, seed) == rule.kind);
      INFO("corrected:\n" << rule.fixed);
      CHECK(run(rule, fixed, seed) == "");
    }
  }
}

namespace {

struct Sequence {
  Machine machine;
  TestBuffer& data = machine.buffer("data", 4096);
  TestBuffer& other = machine.buffer("other", 4096);
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  u64 writer, reader, scalar_reader;

  Sequence() {
    arguments.as<u64>()[0] = data.va;
    arguments.as<u64>()[1] = other.va;
    writer = machine.code(assemble(prologue + "v_mov_b32 v2, 1\nglobal_store_b32 v1, v2, s[4:5]\ns_endpgm"));
    reader = machine.code(assemble(prologue + "global_load_b32 v2, v1, s[4:5]\ns_endpgm"));
    scalar_reader = machine.code(assemble(prologue + "s_load_b32 s8, s[4:5], 0\ns_endpgm"));
  }
  std::string run(u64 code) {
    const RunReport report = machine.run(dispatch_of({.code_va = code, .arguments = arguments.va}));
    return report.fault ? report.fault->kind : "";
  }
};

}  // namespace

TEST_CASE("a dispatch that reads what an unfinished one wrote is caught, after a barrier it is not") {
  Sequence s;
  CHECK(s.run(s.writer) == "");
  s.machine.barrier_before = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.barrier_before = true;
  CHECK(s.run(s.reader) == "");
}

TEST_CASE("waiting without invalidating is not enough, and each cache counts for itself") {
  Sequence s;
  CHECK(s.run(s.writer) == "");
  s.machine.barrier_before = false;
  s.machine.visibility.completed = s.machine.visibility.epoch - 1;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.visible_vector = 1;
  CHECK(s.run(s.reader) == "");
  CHECK(s.run(s.scalar_reader) == "stale-read");
  s.machine.visibility.visible_scalar = 1;
  CHECK(s.run(s.scalar_reader) == "");
}

TEST_CASE("writes over what an unfinished dispatch reads or writes are caught") {
  Sequence s;
  CHECK(s.run(s.reader) == "");
  s.machine.barrier_before = false;
  CHECK(s.run(s.writer) == "unordered-write");
  s.machine.visibility.completed = s.machine.visibility.epoch - 1;
  CHECK(s.run(s.writer) == "");
  CHECK(s.run(s.writer) == "unordered-write");
}

TEST_CASE("what the CPU wrote needs the caches invalidated at the start of the job") {
  Sequence s;
  s.machine.visibility.cpu_vector = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.cpu_vector = true;
  CHECK(s.run(s.reader) == "");
  s.machine.visibility.cpu_scalar = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.cpu_scalar = true;
  s.machine.visibility.cpu_instruction = false;
  CHECK(s.run(s.reader) == "stale-read");
}

TEST_CASE("unmapped code, and code without the right to execute, fault at the first instruction") {
  Machine machine;
  TestBuffer& data = machine.buffer("data", 4096);
  data.as<u32>()[0] = 0xbfb00000;   // s_endpgm
  const RunReport report = machine.run(dispatch_of({.code_va = data.va}));
  REQUIRE(report.fault);
  CHECK(report.fault->kind == "no-exec");
  const RunReport nowhere = machine.run(dispatch_of({.code_va = 0x1000}));
  REQUIRE(nowhere.fault);
  CHECK(nowhere.fault->kind == "no-exec");
}
