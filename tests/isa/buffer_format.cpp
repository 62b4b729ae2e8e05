// Buffer formats: the table against llvm-mc's names, conversions against literal facts, and whole MTBUF, MUBUF *_format_*
// and buffer atomic instructions.
#include <catch2/catch.hpp>

#include <bit>
#include <cstring>

#include "isa/execute/format.h"
#include "tests/isa/machine.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

constexpr u32 one = 0x3f800000, minus_one = 0xbf800000;
using Four = std::array<u32, 4>;

u32 bits(f32 x) { return std::bit_cast<u32>(x); }

Four unpacked(u32 number, std::array<u32, 4> memory, u32 select = select_identity) {
  return unpack_components(*buffer_format(number), select, reinterpret_cast<const u8*>(memory.data()));
}
Four packed(u32 number, std::vector<u32> components, u32 select = select_identity) {
  Four memory{};
  pack_components(*buffer_format(number), select, components, reinterpret_cast<u8*>(memory.data()));
  return memory;
}

// s[4:5] = out, s[6:7] = in (32 dwords); s[8:11] describes `in` with `word3` and `records`, s[12:15] `out`.
struct Outcome {
  std::string fault;
  std::vector<u32> out;
};
Outcome run_body(const std::string& body, u32 word3, u32 records, Mode mode, const std::vector<u32>& out_before = {}) {
  Machine machine;
  machine.options = {.mode = mode, .seed = 1};
  TestBuffer& out = machine.buffer("out", 256 * 4);
  std::copy(out_before.begin(), out_before.end(), out.as<u32>());
  TestBuffer& in = machine.buffer("in", 32 * 4, access_read);
  for (u32 i = 0; i < 128; ++i) in.bytes[i] = u8(i + 1);
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  arguments.as<u64>()[0] = out.va;
  arguments.as<u64>()[1] = in.va;
  const auto word = [](u32 x) { return std::to_string(x); };
  const std::string start = "s_load_b128 s[4:7], s[0:1], 0\ns_waitcnt lgkmcnt(0)\ns_mov_b64 s[8:9], s[6:7]\n"
                            "s_mov_b64 s[12:13], s[4:5]\nv_lshlrev_b32 v1, 2, v0\nv_lshlrev_b32 v2, 4, v0\n"
                            "v_lshlrev_b32 v3, 3, v0\n";
  const std::string describe = "s_mov_b32 s10, " + word(records) + "\ns_mov_b32 s11, " + word(word3) + "\ns_mov_b32 s14, " +
                               word(records) + "\ns_mov_b32 s15, " + word(word3) + "\n";
  Launch launch{.arguments = arguments.va};
  launch.code_va = machine.code(assemble(start + describe + body + "\ns_endpgm"));
  const RunReport report = machine.run(dispatch_of(launch));
  return {report.fault ? report.fault->kind + std::string(": ") + report.fault->sentence : "",
          {out.as<u32>(), out.as<u32>() + 256}};
}

constexpr u32 raw = 3u << 28;
u32 word3_of(u32 format, u32 select = select_identity) { return raw | format << 12 | select; }

}  // namespace

TEST_CASE("format numbers are llvm-mc's") {
  static constexpr const char* numbers[] = {"UNORM", "SNORM", "USCALED", "SSCALED", "UINT", "SINT", "FLOAT"};
  std::string text;
  for (u32 n = 1; n < 64; ++n) {
    const auto format = buffer_format(n);
    REQUIRE(format);
    std::string name;
    for (u32 i = 4; i--;)
      if (format->bits[i]) name += std::to_string(format->bits[i]) + "_";
    text += "tbuffer_load_format_x v0, off, s[0:3], 0 format:[BUF_FMT_" + name + numbers[u32(format->number)] + "]\n";
  }
  const std::vector<u32> words = assemble(text);
  REQUIRE(words.size() == 63 * 2);
  for (u32 n = 1; n < 64; ++n) CHECK((words[2 * n - 2] >> 19 & 127) == n);
  CHECK_FALSE(buffer_format(0));
  CHECK_FALSE(buffer_format(64));
}

TEST_CASE("loads convert") {
  CHECK(unpacked(42, {0x7fff8000}) == Four{0, bits(128.0f / 255), one, bits(127.0f / 255)});
  CHECK(unpacked(43, {0xff7f8081}) == Four{minus_one, minus_one, one, bits(-1.0f / 127)});
  CHECK(unpacked(44, {0xff010280}) == Four{bits(128), bits(2), one, bits(255)});
  CHECK(unpacked(45, {0xff010280}) == Four{bits(-128), bits(2), one, minus_one});
  CHECK(unpacked(47, {0xff010280}) == Four{0xffffff80, 2, 1, 0xffffffff});
  CHECK(unpacked(37, {0x200u | 0x1ffu << 10 | 0x3ffu << 20 | 2u << 30}) ==
        Four{minus_one, one, bits(-1.0f / 511), minus_one});
  CHECK(unpacked(40, {1u | 2u << 10 | 3u << 20 | 2u << 30}) == Four{1, 2, 3, 2});
  CHECK(unpacked(34, {2u | 1u << 2 | 2u << 12 | 3u << 22}) == Four{2, 1, 2, 3});
  CHECK(unpacked(30, {0x3c0u | 0x400u << 11 | 0x1c0u << 22}) == Four{one, bits(2), bits(0.5f), 0});
  CHECK(unpacked(31, {0x1e0u | 0x400u << 10 | 0x380u << 21}) == Four{one, bits(2), bits(0.5f), 0});
  CHECK(unpacked(30, {1u | 0x7c0u << 11 | 0x3e1u << 22}) == Four{bits(0x1p-20f), 0x7f800000, 0x7f840000, 0});
  CHECK(unpacked(57, {0x3c018001, 0x7c00fbff}) == Four{bits(-0x1p-24f), 0x3f802000, bits(-65504), 0x7f800000});
  CHECK(unpacked(24, {0x80007fff}) == Four{one, minus_one, 0, 0});
  CHECK(unpacked(63, {1, 2, 3, 4}) == Four{1, 2, 3, 4});
}

TEST_CASE("DST_SEL of loads and stores; constants are 1 or 1.0") {
  constexpr u32 swapped = 6 | 5 << 3 | 4 << 6 | 1 << 9;
  CHECK(unpacked(46, {0x2c21160b}, swapped) == Four{33, 22, 11, 1});
  CHECK(unpack_components(*buffer_format(46), swapped, nullptr) == Four{0, 0, 0, 1});
  CHECK(unpack_components(*buffer_format(42), swapped, nullptr) == Four{0, 0, 0, one});
  CHECK(packed(46, {33, 22, 11, 99}, swapped)[0] == 0x0021160b);
  CHECK(packed(1, {0, 0, 0, one}, 4 << 9)[0] == 255);
}

TEST_CASE("stores convert") {
  const u32 nan = 0x7fc00000, infinity = 0x7f800000;
  CHECK(packed(42, {bits(-1), bits(0.5f), bits(2), nan})[0] == 0x00ff8000);
  CHECK(packed(43, {bits(-2), bits(0.5f), bits(2), nan})[0] == 0x007f4081);
  CHECK(packed(44, {bits(-1), bits(1.9f), bits(300), nan})[0] == 0x00ff0100);
  CHECK(packed(45, {bits(-1.9f), bits(-200), bits(200), nan})[0] == 0x007f80ff);
  CHECK(packed(46, {0x101, 2, 3, 0xffffffff})[0] == 0xff030201);
  CHECK(packed(40, {1, 2, 3, 2})[0] == (1u | 2u << 10 | 3u << 20 | 2u << 30));
  CHECK(packed(34, {2, 1, 2, 3})[0] == (2u | 1u << 2 | 2u << 12 | 3u << 22));
  CHECK(packed(30, {one, bits(2), bits(0.5f)})[0] == (0x3c0u | 0x400u << 11 | 0x1c0u << 22));
  CHECK(packed(30, {bits(-3), nan, infinity})[0] == (0x7e0u << 11 | 0x3e0u << 22));
  CHECK(packed(30, {bits(1e9f), bits(0x1p-20f), bits(0x1p-21f)})[0] == (0x7bfu | 1u << 11));
  CHECK(packed(29, {bits(65520), bits(-0x1p-24f)})[0] == 0x80017c00);
  CHECK(packed(63, {7})[3] == 7);   // what is not given is X
}

TEST_CASE("D16: only 32-bit floats are cut") {
  const u32 value = bits(1.0f + 0x1.8p-10f);
  CHECK(narrowed_component(*buffer_format(22), value) == 0x3c01);
  CHECK(narrowed_component(*buffer_format(42), value) == 0x3c02);
  CHECK(narrowed_component(*buffer_format(21), 0x12348765) == 0x8765);
  CHECK(widened_component(*buffer_format(21), 0x8765) == 0xffff8765);
  CHECK(widened_component(*buffer_format(20), 0x8765) == 0x8765);
  CHECK(widened_component(*buffer_format(42), 0xbc00) == minus_one);
}

TEST_CASE("MTBUF and MUBUF loads: an element is in range as a whole") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    for (const u32 records : {128u, 127u}) {   // the second is the canary: the last element must vanish
      const Outcome typed = run_body(R"(
        tbuffer_load_format_xyzw v[4:7], v1, s[8:11], 0 format:[BUF_FMT_8_8_8_8_UINT] offen
        s_waitcnt vmcnt(0)
        global_store_b128 v2, v[4:7], s[4:5])", word3_of(22, 0), records, mode);
      const Outcome selected = run_body(R"(
        buffer_load_format_xyzw v[4:7], v1, s[8:11], 0 offen
        s_waitcnt vmcnt(0)
        global_store_b128 v2, v[4:7], s[4:5])", word3_of(46, 6 | 5 << 3 | 4 << 6 | 1 << 9), records, mode);
      CHECK(typed.fault == "");
      CHECK(selected.fault == "");
      for (u32 i = 0; i < 128; ++i) {
        const u32 element = i / 4, channel = i % 4;
        const bool there = element < 31 || records == 128;
        CHECK(typed.out[i] == (there ? i + 1 : 0));
        CHECK(selected.out[i] == (channel == 3 ? 1 : there ? element * 4 + 3 - channel : 0));
      }
    }
  }
}

TEST_CASE("D16 loads and stores keep the other half") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    const Outcome outcome = run_body(R"(
      v_mov_b32 v4, 0x55555555
      v_mov_b32 v5, 0x55555555
      v_mov_b32 v6, 0x55555555
      buffer_load_d16_format_xyz v[4:5], v1, s[8:11], 0 offen
      buffer_load_d16_hi_format_x v6, v1, s[8:11], 0 offen
      s_waitcnt vmcnt(0)
      tbuffer_store_d16_format_xyz v[4:5], v1, s[12:15], 0 format:[BUF_FMT_8_8_8_8_UINT] offen offset:640
      buffer_store_d16_hi_format_x v6, v1, s[12:15], 0 offen offset:512
      global_store_b96 v2, v[4:6], s[4:5])", word3_of(46), 1024, mode);
    CHECK(outcome.fault == "");
    const u32 lane = 31;
    CHECK(outcome.out[lane * 4] == ((lane * 4 + 1) | (lane * 4 + 2) << 16));
    CHECK(outcome.out[lane * 4 + 1] == (0x55550000 | (lane * 4 + 3)));
    CHECK(outcome.out[lane * 4 + 2] == (0x5555 | (lane * 4 + 1) << 16));
    CHECK(outcome.out[128 + lane] == 0x7d7d7d7d);   // components that are not given are X
    CHECK(outcome.out[160 + lane] == 0x7d7f7e7d);
  }
}

TEST_CASE("stores with a format: converted, in range as a whole") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    const Outcome outcome = run_body(R"(
      v_mov_b32 v4, 1.0
      v_mov_b32 v5, 0.5
      v_mov_b32 v6, -1.0
      v_mov_b32 v7, 2.0
      buffer_store_format_xyzw v[4:7], v1, s[12:15], 0 offen
      tbuffer_store_format_xy v[4:5], v1, s[12:15], 0 format:[BUF_FMT_16_16_FLOAT] offen offset:64)",
        word3_of(42), 64 + 32, mode, std::vector<u32>(256, 0xdeadbeef));
    CHECK(outcome.fault == "");
    for (u32 i = 0; i < 16; ++i) CHECK(outcome.out[i] == 0xff0080ff);
    for (u32 i = 16; i < 24; ++i) CHECK(outcome.out[i] == 0x38003c00);
    CHECK(outcome.out[24] == 0xdeadbeef);
  }
}

TEST_CASE("atomics of 64 bits and of floats through a descriptor") {
  for (const Mode mode : {Mode::strict, Mode::fast}) {
    std::vector<u32> before(256, 0xffffffff);
    for (u32 i = 64; i < 96; ++i) before[i] = bits(5);
    const Outcome outcome = run_body(R"(
      v_mov_b32 v4, 2
      v_mov_b32 v5, 3
      v_mov_b32 v6, -1.0
      v_mov_b32 v7, 7
      buffer_atomic_add_u64 v[4:5], v3, s[12:15], 0 offen glc
      buffer_atomic_min_f32 v6, v1, s[12:15], 0 offen offset:256 glc
      buffer_atomic_csub_u32 v7, v1, s[12:15], 0 offen offset:384 glc
      s_waitcnt vmcnt(0)
      global_store_b128 v2, v[4:7], s[4:5] offset:512)", raw, 256 + 124, mode, before);
    CHECK(outcome.fault == "");
    for (u32 lane = 0; lane < 32; ++lane) {
      CHECK(outcome.out[lane * 2] == 1);
      CHECK(outcome.out[lane * 2 + 1] == 3);
      CHECK(outcome.out[64 + lane] == (lane < 31 ? minus_one : bits(5)));
      CHECK(outcome.out[128 + lane * 4] == 0xffffffff);
      CHECK(outcome.out[128 + lane * 4 + 2] == (lane < 31 ? bits(5) : 0));
      CHECK(outcome.out[128 + lane * 4 + 3] == 0);   // out of range
    }
  }
}

TEST_CASE("an unbound descriptor gives 0 and takes nothing") {
  const Outcome outcome = run_body(R"(
    v_mov_b32 v4, 1
    buffer_store_format_x v4, v1, s[12:15], 0 offen
    buffer_load_format_x v4, v1, s[8:11], 0 offen
    s_waitcnt vmcnt(0)
    global_store_b32 v1, v4, s[4:5] offset:512)", 0, 0, Mode::strict, std::vector<u32>(256, 9));
  CHECK(outcome.fault == "");
  CHECK(outcome.out[0] == 9);
  CHECK(outcome.out[128] == 0);
}

TEST_CASE("TFE: a further register says that nothing was missing") {
  const Outcome outcome = run_body(R"(
    v_mov_b32 v5, 1
    v_mov_b32 v8, 1
    buffer_load_b32 v[4:5], v1, s[8:11], 0 offen tfe
    buffer_load_format_xy v[6:8], v1, s[8:11], 0 offen tfe
    s_waitcnt vmcnt(0)
    v_lshlrev_b32 v9, 2, v1
    global_store_b64 v9, v[4:5], s[4:5]
    global_store_b64 v9, v[7:8], s[4:5] offset:8)", word3_of(22), 128, Mode::strict);
  CHECK(outcome.fault == "");
  CHECK(outcome.out[4] == 0x08070605);
  CHECK(outcome.out[5] == 0);
  CHECK(outcome.out[7] == 0);
}

TEST_CASE("what is not executed is a fault that says so") {
  const auto fault = [](const std::string& body, u32 word3) { return run_body(body, word3, 128, Mode::fast).fault; };
  const auto has = [](const std::string& sentence, const char* part) { return sentence.find(part) != std::string::npos; };
  CHECK(has(fault("tbuffer_load_format_x v4, v1, s[8:11], 0 format:64 offen", word3_of(22)), "buffer format 64"));
  CHECK(has(fault("buffer_load_format_x v4, v1, s[8:11], 0 offen", word3_of(22, 3)), "DST_SEL"));
  CHECK(has(fault("buffer_atomic_add_u64 v[4:5], v1, s[8:11], 0 offen", word3_of(22)), "misaligned"));
}
