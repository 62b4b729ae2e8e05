// Rules that the compiled code of others relies on and that no guide spells out (isa/ERRATA.md, "What compilers know").
#include <catch2/catch.hpp>

#include "tests/isa/machine.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

// One wave of 32 runs `body` with s[4:5] = out, s[6:7] = in; v0 = lane, v1 = 4 * lane. Every lane stores v2.
std::vector<u32> run_wave(const std::string& body, const std::vector<u32>& in, Mode mode) {
  Machine machine;
  machine.options = {.mode = mode, .seed = 1};
  TestBuffer& out = machine.buffer("out", 32 * 4);
  TestBuffer& input = machine.buffer("in", std::max<u64>(4, in.size() * 4), access_read);
  std::copy(in.begin(), in.end(), input.as<u32>());
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  arguments.as<u64>()[0] = out.va;
  arguments.as<u64>()[1] = input.va;
  Launch launch{.lds_bytes = 1024};
  launch.arguments = arguments.va;
  const std::string begin = "s_load_b128 s[4:7], s[0:1], 0\ns_waitcnt lgkmcnt(0)\nv_lshlrev_b32 v1, 2, v0\n";
  launch.code_va = machine.code(assemble(begin + body + "\nglobal_store_b32 v1, v2, s[4:5]\ns_endpgm", false));
  const RunReport report = machine.run(dispatch_of(launch));
  CHECK((report.fault ? report.fault->sentence : "") == "");
  return {out.as<u32>(), out.as<u32>() + 32};
}

constexpr Mode modes[] = {Mode::strict, Mode::fast};

}  // namespace

TEST_CASE("an LDS address and its offset add up in 32 bits") {
  for (const Mode mode : modes) {
    const auto out = run_wave(R"(
      ds_store_b32 v1, v0
      v_sub_nc_u32 v3, 0, v1
      v_mov_b32 v4, 100
      ds_add_u32 v3, v4 offset:124
      ds_load_b32 v2, v3 offset:124
      s_waitcnt lgkmcnt(0))", {}, mode);
    for (u32 lane = 0; lane < 32; ++lane) CHECK(out[lane] == 100 + 31 - lane);
  }
}

TEST_CASE("a buffer is swizzled only where there is an index") {
  std::vector<u32> in(256);
  for (u32 i = 0; i < in.size(); ++i) in[i] = 1000 + i;
  for (const Mode mode : modes) {
    // Word 1 as s_getpc_b64 leaves it for an address in the upper half: stride 0x3fff, swizzle 3.
    const auto out = run_wave(R"(
      s_mov_b32 s8, s6
      s_or_b32 s9, s7, 0xffff0000
      s_movk_i32 s10, 124
      s_mov_b32 s11, 0x30016fac
      buffer_load_b32 v2, v1, s[8:11], 0 offen
      s_waitcnt vmcnt(0))", in, mode);
    for (u32 lane = 0; lane < 32; ++lane) CHECK(out[lane] == (lane < 31 ? in[lane] : 0));
  }
}

TEST_CASE("a class test sees subnormals though MODE flushes them") {
  for (const Mode mode : modes) {
    const auto out = run_wave(R"(
      s_denorm_mode 0
      v_mov_b32 v3, 0x80
      v_cmp_class_f32 vcc_lo, 1, v3
      v_cndmask_b32 v2, 0, 1, vcc_lo
      v_mov_b32 v3, 0x10
      v_cmp_class_f32 s8, neg(1), v3
      v_cndmask_b32 v4, 0, 2, s8
      v_or_b32 v2, v2, v4
      v_mov_b32 v3, 0x80
      v_cmp_class_f16 vcc_lo, 1, v3
      v_cndmask_b32 v4, 0, 4, vcc_lo
      v_or_b32 v2, v2, v4
      v_mov_b32 v6, 1
      v_mov_b32 v7, 0
      v_cmp_class_f64 vcc_lo, v[6:7], v3
      v_cndmask_b32 v4, 0, 8, vcc_lo
      v_or_b32 v2, v2, v4)", {}, mode);
    for (u32 lane = 0; lane < 32; ++lane) CHECK(out[lane] == 15);
  }
}
