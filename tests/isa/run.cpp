// The run loop, memory and LDS: programs that must do what they say, in both modes and every order.
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstring>

#include "isa/execute/wave.h"
#include "isa/tables.h"
#include "tests/isa/machine.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

struct Outcome {
  RunReport report;
  std::vector<u32> out;
};

// Runs `body` with s[4:5] = out, s[6:7] = in, s2 = workgroup; v0 = lane.
Outcome run_body(const std::string& body, const std::vector<u32>& in, u32 out_dwords, Mode mode, Launch launch = {},
                 u64 seed = 1) {
  Machine machine;
  machine.options = {.mode = mode, .seed = seed};
  TestBuffer& out = machine.buffer("out", out_dwords * 4);
  TestBuffer& input = machine.buffer("in", std::max<u64>(4, in.size() * 4), access_read);
  std::copy(in.begin(), in.end(), input.as<u32>());
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  arguments.as<u64>()[0] = out.va;
  arguments.as<u64>()[1] = input.va;
  launch.arguments = arguments.va;
  launch.code_va = machine.code(
      assemble("s_load_b128 s[4:7], s[0:1], 0\ns_waitcnt lgkmcnt(0)\n" + body + "\ns_endpgm", launch.wave_lanes == 64));
  Outcome outcome{machine.run(dispatch_of(launch)), {}};
  outcome.out.assign(out.as<u32>(), out.as<u32>() + out_dwords);
  return outcome;
}

std::string sentence(const Outcome& outcome) { return outcome.report.fault ? outcome.report.fault->sentence : ""; }

}  // namespace

TEST_CASE("a copy of one dword a lane, in both modes and wave sizes") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    for (const u32 lanes : {32u, 64u}) {
      std::vector<u32> in(256);
      for (u32 i = 0; i < 256; ++i) in[i] = i * 2654435761u;
      const Outcome outcome = run_body(R"(
        v_lshlrev_b32 v1, 2, v0
        s_lshl_b32 s8, s2, 9
        v_add_nc_u32 v1, s8, v1
        global_load_b32 v2, v1, s[6:7]
        s_waitcnt vmcnt(0)
        global_store_b32 v1, v2, s[4:5])", in, 256, mode, {.groups = 2, .lanes = 128, .wave_lanes = lanes});
      CHECK(sentence(outcome) == "");
      CHECK(outcome.out == in);
      CHECK(outcome.report.counters.vmem_load == 2 * 128 / lanes);
      CHECK(outcome.report.counters.global_write_bytes == 1024);
      CHECK(outcome.report.counters.waves == 2 * 128 / lanes);
    }
  }
}

TEST_CASE("a loop with a scalar counter ends when it should") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    const Outcome outcome = run_body(R"(
      s_mov_b32 s8, 0
      s_mov_b32 s9, 0
    .Lloop:
      s_add_u32 s9, s9, s8
      s_add_u32 s8, s8, 1
      s_cmp_lt_u32 s8, 100
      s_cbranch_scc1 .Lloop
      v_mov_b32 v1, 0
      v_mov_b32 v2, s9
      global_store_b32 v1, v2, s[4:5])", {}, 1, mode);
    CHECK(sentence(outcome) == "");
    CHECK(outcome.out[0] == 4950);
  }
}

TEST_CASE("LDS carries data between waves across a barrier, in every order") {
  for (u64 seed = 1; seed <= 20; ++seed) {
    const Outcome outcome = run_body(R"(
      v_lshlrev_b32 v1, 2, v0
      v_mov_b32 v2, v0
      ds_store_b32 v1, v2
      s_waitcnt lgkmcnt(0)
      s_barrier
      v_xor_b32 v3, 0x1fc, v1
      ds_load_b32 v4, v3
      s_waitcnt lgkmcnt(0)
      global_store_b32 v1, v4, s[4:5])", {}, 128, seed % 2 ? Mode::strict : Mode::fast,
                                     {.lanes = 128, .lds_bytes = 512}, seed);
    CHECK(sentence(outcome) == "");
    for (u32 i = 0; i < 128; ++i) CHECK(outcome.out[i] == 127 - i);
  }
}

TEST_CASE("wide, narrow and d16 memory accesses") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    std::vector<u32> in(32 * 4);
    for (u32 i = 0; i < in.size(); ++i) in[i] = 0x80818283u + i * 0x01010101u;
    const Outcome outcome = run_body(R"(
      v_lshlrev_b32 v1, 4, v0
      global_load_b128 v[4:7], v1, s[6:7]
      global_load_u8 v8, v1, s[6:7] offset:1
      global_load_i8 v9, v1, s[6:7] offset:2
      global_load_i16 v10, v1, s[6:7] offset:4
      s_waitcnt vmcnt(0)
      v_mov_b32 v11, 0x11111111
      v_mov_b32 v12, 0x22222222
      global_load_d16_b16 v11, v1, s[6:7]
      global_load_d16_hi_u8 v12, v1, s[6:7]
      s_waitcnt vmcnt(0)
      v_lshlrev_b32 v2, 5, v0
      v_lshlrev_b32 v3, 1, v2
      global_store_b128 v3, v[4:7], s[4:5]
      global_store_b96 v3, v[8:10], s[4:5] offset:16
      global_store_b64 v3, v[11:12], s[4:5] offset:28
      global_store_b8 v3, v4, s[4:5] offset:36
      global_store_d16_hi_b16 v3, v4, s[4:5] offset:38)", in, 32 * 16, mode);
    CHECK(sentence(outcome) == "");
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32* x = &in[lane * 4];
      const u32* y = &outcome.out[lane * 16];
      for (u32 i = 0; i < 4; ++i) CHECK(y[i] == x[i]);
      CHECK(y[4] == (x[0] >> 8 & 0xff));
      CHECK(y[5] == u32(i32(i8(x[0] >> 16))));
      CHECK(y[6] == u32(i32(i16(x[1]))));
      CHECK(y[7] == (0x11110000u | (x[0] & 0xffff)));
      CHECK(y[8] == (0x2222u | (x[0] & 0xff) << 16));
      CHECK(y[9] == ((x[0] & 0xff) | (x[0] >> 16) << 16));
    }
  }
}

TEST_CASE("global atomics from all lanes and workgroups add up, and return old values") {
  const Outcome outcome = run_body(R"(
    v_mov_b32 v1, 0
    v_mov_b32 v2, 1
    global_atomic_add_u32 v3, v1, v2, s[4:5] glc
    global_atomic_max_u32 v1, v0, s[4:5] offset:4
    s_waitcnt vmcnt(0)
    v_lshlrev_b32 v4, 2, v3
    global_store_b32 v4, v2, s[4:5] offset:8)", {}, 2 + 64 * 8, Mode::strict, {.groups = 8, .lanes = 64});
  CHECK(sentence(outcome) == "");
  CHECK(outcome.out[0] == 512);
  CHECK(outcome.out[1] == 63);
  for (u32 i = 0; i < 512; ++i) CHECK(outcome.out[2 + i] == 1);
}

TEST_CASE("DS: pairs, strides, narrow forms, atomics, lane exchange") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    const Outcome outcome = run_body(R"(
      v_lshlrev_b32 v1, 3, v0
      v_mov_b32 v2, v0
      v_add_nc_u32 v3, 100, v0
      ds_store_2addr_b32 v1, v2, v3 offset0:0 offset1:1
      ds_load_b64 v[4:5], v1
      v_lshlrev_b32 v6, 2, v0
      ds_store_2addr_stride64_b32 v6, v2, v3 offset0:1 offset1:2
      ds_load_2addr_stride64_b32 v[7:8], v6 offset0:2 offset1:1
      v_mov_b32 v9, 0x400
      v_mov_b32 v10, 0
      s_waitcnt lgkmcnt(0)
      ds_store_b32 v9, v10
      v_mov_b32 v11, 3
      ds_add_rtn_u32 v12, v9, v11
      ds_load_b32 v13, v9
      v_xor_b32 v14, 4, v6
      ds_bpermute_b32 v15, v14, v0
      ds_swizzle_b32 v16, v0 offset:swizzle(SWAP,16)
      s_waitcnt lgkmcnt(0)
      v_lshlrev_b32 v17, 5, v0
      global_store_b64 v17, v[4:5], s[4:5]
      global_store_b64 v17, v[7:8], s[4:5] offset:8
      global_store_b64 v17, v[12:13], s[4:5] offset:16
      global_store_b64 v17, v[15:16], s[4:5] offset:24)", {}, 32 * 8, mode, {.lds_bytes = 2048});
    CHECK(sentence(outcome) == "");
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32* y = &outcome.out[lane * 8];
      CHECK(y[0] == lane);
      CHECK(y[1] == 100 + lane);
      CHECK(y[2] == 100 + lane);
      CHECK(y[3] == lane);
      CHECK(y[4] == lane * 3);
      CHECK(y[5] == 96);
      CHECK(y[6] == (lane ^ 1));
      CHECK(y[7] == (lane ^ 16));
    }
  }
}

TEST_CASE("DS conditional exchange: bit 31 says whether a dword is written, and is not") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    const Outcome outcome = run_body(R"(
      v_lshlrev_b32 v1, 3, v0
      v_mov_b32 v2, 11
      v_mov_b32 v3, 22
      ds_store_b64 v1, v[2:3] offset:16
      v_mov_b32 v4, 0x80000005
      v_mov_b32 v5, 6
      v_or_b32 v6, 4, v1
      ds_condxchg32_rtn_b64 v[8:9], v6, v[4:5] offset:16
      ds_load_b64 v[10:11], v1 offset:16
      ds_nop
      s_waitcnt lgkmcnt(0)
      v_lshlrev_b32 v12, 4, v0
      global_store_b128 v12, v[8:11], s[4:5])", {}, 32 * 4, mode, {.lds_bytes = 512});
    CHECK(sentence(outcome) == "");
    for (u32 lane = 0; lane < 32; ++lane)
      CHECK(std::vector(&outcome.out[4 * lane], &outcome.out[4 * lane] + 4) == std::vector<u32>{11, 22, 5, 22});
  }
}

TEST_CASE("GLOBAL loads and stores of consecutive lanes") {
  for (const u32 lanes : {32u, 64u}) {
    std::vector<u32> in(65);
    for (u32 i = 0; i < in.size(); ++i) in[i] = 7 * i;
    const Outcome outcome = run_body(R"(
      global_load_addtid_b32 v1, s[6:7] offset:4
      s_waitcnt vmcnt(0)
      global_store_addtid_b32 v1, s[4:5])", in, 64, Mode::strict, {.lanes = lanes, .wave_lanes = lanes});
    CHECK(sentence(outcome) == "");
    for (u32 lane = 0; lane < lanes; ++lane) CHECK(outcome.out[lane] == 7 * (lane + 1));
  }
}

TEST_CASE("a subvector loop runs for the low and the high lanes of a wave64") {
  const Outcome outcome = run_body(R"(
      s_mov_b32 s20, 0
      v_mov_b32 v1, 0
      s_subvector_loop_begin s21, .Lpast
      .Lbody:
      s_add_u32 s20, s20, 1
      v_add_nc_u32 v1, s20, v1
      s_subvector_loop_end s21, .Lbody
      .Lpast:
      v_lshlrev_b32 v2, 2, v0
      s_atc_probe 0, s[4:5], 0
      s_ttracedata_imm 1
      s_cbranch_cdbguser .Lbody
      global_store_b32 v2, v1, s[4:5])", {}, 64, Mode::strict, {.lanes = 64, .wave_lanes = 64});
  CHECK(sentence(outcome) == "");
  for (u32 lane = 0; lane < 64; ++lane) CHECK(outcome.out[lane] == 1 + lane / 32);
}

TEST_CASE("buffer accesses: raw, structured, swizzled, and out of range dword by dword") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    std::vector<u32> in(32 * 4);
    for (u32 i = 0; i < in.size(); ++i) in[i] = 1000 + i;
    // s[8:11]: raw, 4 bytes short of 31 elements of 16; s[12:15]: stride 16, 20 records;
    // s[16:19]: swizzled, 8 indices, 4 bytes
    const Outcome outcome = run_body(R"(
      s_mov_b64 s[8:9], s[6:7]
      s_mov_b32 s10, 31*16-4
      s_mov_b32 s11, 0x30000000
      s_mov_b32 s12, s6
      s_or_b32 s13, s7, 0x00100000
      s_mov_b32 s14, 20
      s_mov_b32 s15, 0
      s_mov_b32 s16, s6
      s_or_b32 s17, s7, 0x40100000
      s_mov_b32 s18, 32
      s_mov_b32 s19, 0
      v_lshlrev_b32 v1, 4, v0
      v_mov_b32 v2, v0
      v_mov_b32 v3, 8
      buffer_load_b128 v[4:7], v1, s[8:11], 0 offen
      buffer_load_b32 v8, v[2:3], s[12:15], 0 idxen offen offset:4
      buffer_load_b32 v9, v[2:3], s[16:19], 0 idxen offen
      buffer_load_u16 v10, v1, s[8:11], 0 offen offset:2
      v_lshlrev_b32 v11, 5, v0
      s_waitcnt vmcnt(0)
      global_store_b128 v11, v[4:7], s[4:5]
      global_store_b96 v11, v[8:10], s[4:5] offset:16)", in, 32 * 8, mode);
    CHECK(sentence(outcome) == "");
    for (u32 lane = 0; lane < 32; ++lane) {
      const u32* y = &outcome.out[lane * 8];
      for (u32 i = 0; i < 4; ++i) CHECK(y[i] == (lane * 4 + i < 31 * 4 - 1 ? in[lane * 4 + i] : 0));
      CHECK(y[4] == (lane < 20 ? in[lane * 4 + 3] : 0));
      CHECK(y[5] == in[(lane / 8 * 4 + 2) * 8 + lane % 8]);
      CHECK(y[6] == (lane < 31 ? in[lane * 4] >> 16 : 0));
    }
  }
}

TEST_CASE("fast mode: LDS past the declared size takes no stores and gives 0") {
  const Outcome outcome = run_body(R"(
    v_lshlrev_b32 v1, 3, v0
    v_lshlrev_b32 v2, 5, v0
    v_mov_b32 v3, 7
    v_mov_b32 v4, 9
    ds_store_b64 v2, v[3:4]
    ds_load_b64 v[5:6], v2
    s_waitcnt lgkmcnt(0)
    global_store_b64 v1, v[5:6], s[4:5])", {}, 64, Mode::fast, {.lds_bytes = 512});
  CHECK(sentence(outcome) == "");
  for (u32 lane = 0; lane < 32; ++lane) {
    CHECK(outcome.out[lane * 2] == (lane < 16 ? 7 : 0));
    CHECK(outcome.out[lane * 2 + 1] == (lane < 16 ? 9 : 0));
  }
}

TEST_CASE("the same seed gives the same run, and the order of workgroups follows the seed") {
  // each workgroup notes its place in the order
  const std::string body = R"(
    v_mov_b32 v1, 0
    v_mov_b32 v2, 1
    s_mov_b32 exec_lo, 1
    global_atomic_add_u32 v3, v1, v2, s[4:5] glc
    s_lshl_b32 s8, s2, 2
    v_mov_b32 v4, s8
    s_waitcnt vmcnt(0)
    global_store_b32 v4, v3, s[4:5] offset:4)";
  Machine machine;
  TestBuffer& out = machine.buffer("out", 65 * 4);
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  arguments.as<u64>()[0] = out.va;
  const u64 code = machine.code(assemble("s_load_b128 s[4:7], s[0:1], 0\ns_waitcnt lgkmcnt(0)\n" + body + "\ns_endpgm"));
  const auto order = [&](u64 seed) {
    machine.options = {.mode = Mode::strict, .seed = seed, .host_threads = 1};
    std::fill(out.bytes.begin(), out.bytes.end(), 0);
    const RunReport report = machine.run(dispatch_of({.code_va = code, .arguments = arguments.va, .groups = 64}));
    CHECK(!report.fault);
    return std::vector<u32>(out.as<u32>() + 1, out.as<u32>() + 65);
  };
  const auto first = order(5);
  CHECK(order(5) == first);
  CHECK(order(6) != first);
}

// The sequence that LLVM emits for a / b.
TEST_CASE("division is correctly rounded over all of f32") {
  constexpr u32 groups = 512, count = groups * 32;
  static constexpr u32 special[] = {0, 0x80000000, 1, 0x80000001, 0x7fffff, 0x800000, 0x7f7fffff, 0x7f800000, 0x3f800000,
                                    0x00400000, 0x7f000000, 0x0c000000, 0x73000000};
  std::vector<u32> in(count * 2);
  u64 state = 88172645463325252ull;
  for (u32& x : in) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    const u32 random = u32(state >> 20);
    x = state % 3 == 0 ? special[random % std::size(special)] : random;
  }
  const Outcome outcome = run_body(R"(
    v_lshl_add_u32 v10, s2, 5, v0
    v_lshlrev_b32 v11, 3, v10
    v_lshlrev_b32 v12, 2, v10
    global_load_b64 v[14:15], v11, s[6:7]
    s_waitcnt vmcnt(0)
    v_div_scale_f32 v1, null, v15, v15, v14
    v_rcp_f32 v2, v1
    v_fma_f32 v3, -v1, v2, 1.0
    v_fmac_f32 v2, v3, v2
    v_div_scale_f32 v3, vcc_lo, v14, v15, v14
    v_mul_f32 v4, v3, v2
    v_fma_f32 v5, -v1, v4, v3
    v_fmac_f32 v4, v5, v2
    v_fma_f32 v3, -v1, v4, v3
    v_div_fmas_f32 v3, v3, v2, v4
    v_div_fixup_f32 v3, v3, v15, v14
    global_store_b32 v12, v3, s[4:5])", in, count, Mode::fast, {.groups = groups});
  CHECK(sentence(outcome) == "");
  u32 different = 0;
  for (u32 i = 0; i < count; ++i) {
    const f32 want = std::bit_cast<f32>(in[2 * i]) / std::bit_cast<f32>(in[2 * i + 1]);
    const f32 got = std::bit_cast<f32>(outcome.out[i]);
    different += std::isnan(want) ? !std::isnan(got) : std::bit_cast<u32>(want) != outcome.out[i];
  }
  CHECK(different == 0);
}

TEST_CASE("calls and returns through registers") {
  const Outcome outcome = run_body(R"(
      v_mov_b32 v1, 0
      v_mov_b32 v2, 5
      s_getpc_b64 s[8:9]
    .Lhere:
      s_add_u32 s8, s8, .Lfunction-.Lhere
      s_addc_u32 s9, s9, 0
      s_swappc_b64 s[10:11], s[8:9]
      s_call_b64 s[10:11], .Lfunction
      global_store_b32 v1, v2, s[4:5]
      s_endpgm
    .Lfunction:
      v_add_nc_u32 v2, v2, v2
      s_setpc_b64 s[10:11])", {}, 1, Mode::strict);
  CHECK(sentence(outcome) == "");
  CHECK(outcome.out[0] == 20);
}

TEST_CASE("an opcode is marked executed exactly when it has a handler") {
  for (u32 i = 0; i < opcode_count; ++i) {
    Instruction in;
    in.opcode = Opcode(i);
    const OpInfo& row = info(in.opcode);
    if (row.format == Format::vopd) continue;       // halves have no handler of their own
    in.format = row.format;
    const bool has = handler_for(in) || memory_handler_for(in) || flow_handler_for(in);
    INFO(row.name);
    CHECK(row.executed == has);
  }
}

TEST_CASE("a wave that never ends is stopped") {
  Machine machine;
  machine.options = {.mode = Mode::fast, .seed = 1, .instruction_limit = 1000};
  const RunReport report = machine.run(dispatch_of({.code_va = machine.code(assemble(".L: s_branch .L"))}));
  REQUIRE(report.fault);
  CHECK(report.fault->kind == "endless-wave");
  CHECK(report.counters.instructions == 1000);
}

namespace {

std::vector<u64> counts_of(const Counters& c) {
  return {c.waves, c.instructions, c.valu, c.vopd, c.trans, c.wmma, c.dot, c.salu, c.smem, c.vmem_load, c.vmem_store,
          c.atomic, c.lds, c.branch, c.wait, c.barrier, c.other, c.global_read_bytes, c.global_write_bytes, c.lds_bytes};
}

}  // namespace

// Fast mode counts what stands between two branches together, and does not call waits at all.
TEST_CASE("both modes count the same, to the end, to a fault and to the limit") {
  const std::string body = R"(
    s_mov_b32 s8, 0
    v_lshlrev_b32 v1, 2, v0
    s_clause 0x1
    global_load_b32 v2, v1, s[6:7]
    global_load_b32 v3, v1, s[6:7]
  .Lloop:
    s_waitcnt vmcnt(0)
    v_rcp_f32 v4, v3
    ds_store_b32 v1, v2
    s_waitcnt lgkmcnt(0)
    s_barrier
    ds_load_b32 v2, v1
    s_add_u32 s8, s8, 1
    v_dual_mov_b32 v4, v3 :: v_dual_mov_b32 v5, v1
    s_waitcnt lgkmcnt(0)
    s_cmp_lt_u32 s8, 5
    s_cbranch_scc1 .Lloop
    s_nop 1
    global_store_b32 v1, v2, s[4:5] offset:OFFSET
    v_mov_b32 v6, 0
    s_nop 1)";
  std::vector<u32> in(128);
  for (u32 i = 0; i < 128; ++i) in[i] = i;
  for (const char* offset : {"0", "2048"}) {
    std::string text = body;
    text.replace(text.find("OFFSET"), 6, offset);
    const Launch launch{.lanes = 128, .lds_bytes = 512};
    const Outcome strict = run_body(text, in, 128, Mode::strict, launch);
    const Outcome fast = run_body(text, in, 128, Mode::fast, launch);
    CHECK((sentence(strict) == "") == (std::string(offset) == "0"));
    CHECK(sentence(fast) == sentence(strict));
    if (!fast.report.fault) CHECK(counts_of(fast.report.counters) == counts_of(strict.report.counters));
  }
  Machine machine;   // one wave, faults in the middle of a line; or reaches the limit there
  const u64 code = machine.code(assemble(
      "s_nop 0\ns_mov_b32 s4, 0\ns_mov_b32 s5, 0\n.L: v_mov_b32 v1, 0\ns_waitcnt vmcnt(0)\ns_branch .M\n"
      ".M: v_mov_b32 v3, s4\ns_load_b32 s6, s[4:5], 0\nv_mov_b32 v2, 0\ns_nop 0\ns_branch .L"));
  for (u64 limit = 1; limit < 12; ++limit) {
    std::vector<u64> counts[2];
    for (const Mode mode : {Mode::strict, Mode::fast}) {
      machine.options = {.mode = mode, .seed = 1, .instruction_limit = limit};
      const RunReport report = machine.run(dispatch_of({.code_va = code}));
      REQUIRE(report.fault);
      CHECK(report.fault->kind == (limit < 8 ? "endless-wave" : "unmapped"));
      counts[mode == Mode::fast] = counts_of(report.counters);
    }
    INFO("limit " << limit);
    CHECK(counts[0] == counts[1]);
  }
}
