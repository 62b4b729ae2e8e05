// One sample for each section of isa/ERRATA.md on the decoder: both sides still behave as it says.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/isa/agreement.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

enum class Verdict { valid, refused };

struct Case {
  const char* erratum;
  Words words;
  Verdict ours, llvm;
};

constexpr Verdict valid = Verdict::valid, refused = Verdict::refused;

constexpr Case cases[] = {
    {"reserved-bits", {0xd5030800, 0x00020501, 0}, refused, valid},       // v_add_f32_e64, OPSEL
    {"reserved-bits", {0xdc6a0000, 0x157c0500, 0}, refused, valid},       // global_store_b32, VDST
    {"integer-modifiers", {0xd6410000, 0x240e0501, 0}, refused, valid},   // v_mad_u16, NEG
    {"integer-modifiers", {0xd5880000, 0x08000101, 0}, refused, valid},   // v_cvt_i32_f32, OMOD
    {"sixteen-bit-halves", {0x643f9530, 0, 0}, valid, refused},           // v_add_f16 v31.h, s48, v74.h
    {"unused-third-source", {0xd5030000, 0x02020501, 0}, valid, refused},
    {"spare-fields", {0xe0500000, 0x80010080, 0}, valid, valid},          // buffer_load_b32 off, address 0x80
    {"spare-fields", {0xe0500000, 0x80010081, 0}, refused, valid},
    {"spare-fields", {0xdc510000, 0x007c0080, 0}, valid, valid},          // scratch_load_b32 off, off
    {"spare-fields", {0xf4840000, 0xf8000000, 0}, valid, valid},          // s_dcache_inv, offset NULL
    {"spare-fields", {0xd52b0005, 0x04160501, 0}, valid, refused},        // v_fmac_f32_e64 v5, v1, v2, v5
    {"spare-fields", {0xd52b0005, 0x041a0501, 0}, refused, refused},      // the same with v6
    {"spare-fields", {0xd5030000, 0x200204fa, 0xff101b01}, valid, valid}, // v_add_f32_e64_dpp -v1, NEG twice
    {"spare-fields", {0xd5030000, 0x000204fa, 0xff101b01}, refused, valid},
    {"misaligned-tuples", {0xbe840103, 0, 0}, refused, valid},            // s_mov_b64 s[4:5], s[3:4]
    {"misaligned-tuples", {0xe0500000, 0x801f0000, 0}, refused, valid},   // buffer_load_b32, resource NULL
    {"absent-sources", {0x7e0202fe, 0, 0}, refused, valid},               // v_mov_b32 v1, LDS_DIRECT
    {"absent-sources", {0x7e0202fb, 0, 0}, refused, valid},               // v_mov_b32 v1, VCCZ
    {"scalar-destinations", {0xd4910005, 0x00020501, 0}, refused, valid}, // v_cmpx_lt_f32_e64, VDST 5
    {"scalar-destinations", {0xd41100fc, 0x00020501, 0}, refused, valid}, // v_cmp_lt_f32_e64, VDST 252
    {"flat-offset", {0xdc501008, 0x007c0001, 0}, refused, valid},
    {"graphics", {0xf8000001, 0x00000000, 0}, refused, valid},            // exp
    {"newer-forms", {0xd5820001, 0x00000102, 0}, valid, refused},         // v_readfirstlane_b32_e64
    {"newer-forms", {0xc91a0501, 0x00020703, 0}, valid, refused},         // v_dual_dot2acc_f32_bf16
    {"newer-forms", {0xcc1a0001, 0x040e04e9, 0x00fac688}, valid, refused}, // v_dot2_f32_bf16 dpp8
    {"operand-kinds", {0xd7600001, 0x0001ff02, 0x1234}, refused, valid},  // v_readlane_b32, literal
    {"packed-dpp", {0xcc130001, 0x040c04e9, 0x00fac688}, valid, valid},     // v_dot2_f32_f16 dpp8, s2
    {"packed-dpp", {0xcc200001, 0x040c04e9, 0x00fac688}, refused, refused}, // v_fma_mix_f32 dpp8, s2
    {"delay-codes", {0xbf870801, 0, 0}, refused, valid},
    {"wait-registers", {0xbc000000, 0, 0}, refused, valid},
    {"texture-faults", {0xe0680000, 0x00200000, 0}, refused, valid},      // buffer_store_b32 tfe
};

bool assembles(const std::string& text) { return llvm_assemble(std::vector{text})[0].size_dw != 0; }

}  // namespace

TEST_CASE("each erratum has its section") {
  std::ifstream file(AMLM_ERRATA);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  for (const char* name : errata) {
    CAPTURE(name);
    CHECK(text.str().find(std::string("\n## ") + name + "\n") != std::string::npos);
  }
}

TEST_CASE("each erratum still holds") {
  std::vector<Words> words;
  for (const Case& c : cases) words.push_back(c.words);
  const auto llvm = llvm_disassemble(words);
  for (u32 i = 0; i < words.size(); ++i) {
    DecodeError error;
    const auto in = decode(words[i], &error);
    CAPTURE(cases[i].erratum, words[i][0], words[i][1], error.sentence, llvm[i].text);
    CHECK(in.has_value() == (cases[i].ours == valid));
    CHECK(llvm[i].valid == (cases[i].llvm == valid));
    CHECK(error.sentence.empty() == in.has_value());
  }
}

TEST_CASE("reserved bits are named, and LLVM's text does not depend on them") {
  const Words set{0xd5030800, 0x00020501, 0}, cleared{0xd5030000, 0x00020501, 0};
  DecodeError error;
  CHECK_FALSE(decode(set, &error));
  CHECK(error.reserved == std::array<u32, 3>{0x800, 0, 0});
  CHECK(error.sentence == "0xd5030800: v_add_f32: reserved bits 0x800 of dword 0 are set");
  const auto llvm = llvm_disassemble(std::vector{set, cleared});
  CHECK(llvm[0].text == llvm[1].text);
}

TEST_CASE("halves of 16-bit registers: LLVM with +real-true16 agrees on what it knows") {
  const std::vector<std::string> text{"v_mov_b16_e32 v1.h, v2.l", "v_mov_b16_e32 v1.l, v2.h", "v_mov_b16_e32 v1.l, v2.l"};
  const auto assembled = llvm_assemble(text, "+real-true16");
  const u8 opsel[] = {8, 1, 0};
  for (u32 i = 0; i < text.size(); ++i) {
    REQUIRE(assembled[i].size_dw == 1);
    const auto in = decode(assembled[i].words);
    REQUIRE(in);
    CHECK(in->dst.vgpr() == 1);
    CHECK(in->src[0].vgpr() == 2);
    CHECK(in->opsel == opsel[i]);
    CHECK(print(*in) == text[i]);
  }
}

TEST_CASE("lane masks of wave64 are pairs") {
  const std::vector<std::string> text{"v_cmp_lt_f32_e64 s[4:5], v1, v2", "v_cmp_lt_f32_e32 vcc, v1, v2",
                                      "v_cndmask_b32_e64 v0, v1, v2, s[6:7]", "v_cndmask_b32_e32 v0, v1, v2, vcc",
                                      "v_add_co_ci_u32_e64 v0, s[2:3], v1, v2, s[6:7]"};
  const auto assembled = llvm_assemble(text, "+wavefrontsize64,-wavefrontsize32");
  for (u32 i = 0; i < text.size(); ++i) {
    CAPTURE(text[i]);
    REQUIRE(assembled[i].size_dw != 0);
    const auto in = decode(assembled[i].words);
    REQUIRE(in);
    CHECK(print(*in, 0, 64) == text[i]);
  }
}

TEST_CASE("what LLVM disassembles and does not assemble") {
  CHECK_FALSE(assembles("v_mov_b32 v1, src_lds_direct"));
  CHECK_FALSE(assembles("v_mov_b32 v1, src_vccz"));
  CHECK_FALSE(assembles("s_mov_b64 s[4:5], s[3:4]"));
  CHECK_FALSE(assembles("buffer_load_b32 v0, off, null, 0"));
  CHECK_FALSE(assembles("flat_load_b32 v0, v[1:2] offset:4104"));
  CHECK_FALSE(assembles("s_waitcnt_vscnt s0, 0x0"));
  CHECK_FALSE(assembles("v_readlane_b32 s1, v2, 0x1234"));
  CHECK_FALSE(assembles("v_add_f16_e64 v0, v1, v2 op_sel:[1,0,0]"));
  CHECK(assembles("v_add_f16_e64 v0, v1, v2"));
}

TEST_CASE("a literal that is also an inline constant cannot be spelled") {
  const Words words{0x060204ff, 0x3f800000, 0};                           // v_add_f32 v1, literal 1.0, v2
  const auto in = decode(words);
  REQUIRE(in);
  CHECK(in->size_dw == 2);
  CHECK(llvm_assemble(std::vector{print(*in)})[0].size_dw == 1);
  Words again{};
  CHECK(encode(*in, again) == 2);
  CHECK(again == words);
}
