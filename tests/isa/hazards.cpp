// Each static rule: a kernel that breaks it is reported at the right place, its cured twin is not.
#include "isa/hazards.h"

#include <catch2/catch.hpp>

#include "tests/isa/llvm.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

std::vector<u32> assemble(const std::vector<std::string>& lines, u32 padding = 64) {
  std::vector<u32> code;
  const auto assembled = llvm_assemble(lines);
  for (u32 i = 0; i < lines.size(); ++i) {
    INFO(lines[i]);
    REQUIRE(assembled[i].size_dw != 0);
    code.insert(code.end(), assembled[i].words.begin(), assembled[i].words.begin() + assembled[i].size_dw);
  }
  code.insert(code.end(), padding, 0xbf9f0000);
  return code;
}

struct Expected {
  u32 offset_bytes;
  const char* part;
};

void check_hazards(const std::vector<u32>& code, const std::vector<Expected>& expected) {
  const auto found = find_hazards(code);
  std::string all;
  for (const Hazard& hazard : found) all += std::to_string(hazard.offset_bytes) + ": " + hazard.sentence + "\n";
  CAPTURE(all);
  REQUIRE(found.size() == expected.size());
  for (u32 i = 0; i < found.size(); ++i) {
    CHECK(found[i].offset_bytes == expected[i].offset_bytes);
    CHECK(found[i].sentence.find(expected[i].part) != std::string::npos);
  }
}

const std::string wmma = "v_wmma_f32_16x16x16_f16 v[0:7], v[8:15], v[16:23], v[0:7]";
const std::string reads_it = "v_wmma_f32_16x16x16_f16 v[24:31], v[0:7], v[16:23], v[24:31]";

}  // namespace

TEST_CASE("a clean kernel has no hazards") {
  check_hazards(assemble({"s_load_b64 s[0:1], s[0:1], 0x0", "s_waitcnt lgkmcnt(0)", "v_mov_b32 v0, 0", "s_endpgm"}), {});
}

TEST_CASE("WMMA after WMMA") {
  check_hazards(assemble({wmma, reads_it, "s_endpgm"}), {{8, "A or B overlaps"}});
  check_hazards(assemble({wmma, "s_nop 0", reads_it, "s_endpgm"}), {{12, "A or B overlaps"}});
  check_hazards(assemble({wmma, "v_nop", reads_it, "s_endpgm"}), {});
  check_hazards(assemble({wmma, wmma, "s_endpgm"}), {});                        // C = previous D
}

TEST_CASE("v_cmpx before a permlane") {
  const std::string permlane = "v_permlane16_b32 v0, v1, s2, s3", compare = "v_cmpx_lt_f32_e32 v1, v2";
  check_hazards(assemble({compare, permlane, "s_endpgm"}), {{4, "follows a v_cmpx"}});
  check_hazards(assemble({compare, "v_nop", permlane, "s_endpgm"}), {});
}

TEST_CASE("banks of dual instructions") {
  const auto with = [](u32 src_x, u32 src_y, u32 second_y) {                   // llvm-mc refuses to assemble bad ones
    const u32 x = 0xc9020000 | 4u << 17 | 2u << 9 | (256 + src_x);             // v_dual_add_f32 v0, vX, v2
    const u32 y = 0u << 24 | 0u << 17 | second_y << 9 | (256 + src_y);         // v_dual_add_f32 v1, vY, v..
    std::vector<u32> code{(x & ~(31u << 17)) | 4u << 17, y, 0xbfb00000};
    code.insert(code.end(), 64, 0xbf9f0000);
    return code;
  };
  check_hazards(with(4, 5, 3), {});
  check_hazards(with(4, 8, 3), {{0, "SRC0 of both halves"}});
  check_hazards(with(4, 5, 6), {{0, "SRC1 of both halves"}});
}

TEST_CASE("clauses") {
  const std::string load = "global_load_b32 v0, v[2:3], off", store = "global_store_b32 v[2:3], v0, off";
  check_hazards(assemble({"s_clause 0x1", load, load, "s_endpgm"}), {});
  check_hazards(assemble({"s_clause 0x1", load, "s_nop 0", "s_endpgm"}), {{12, "does not belong"}});
  check_hazards(assemble({"s_clause 0x1", load, store, "s_endpgm"}), {{12, "does not belong"}});
  check_hazards(assemble({"s_clause 0x0", load, "s_endpgm"}), {{0, "2 to 63"}});
  check_hazards(assemble({"s_clause 0x3", load, load, "s_endpgm"}), {{0, "longer than the code"}});
}

TEST_CASE("giving back VGPRs") {
  const std::string message = "s_sendmsg sendmsg(MSG_DEALLOC_VGPRS)";
  check_hazards(assemble({"s_nop 0", message, "s_endpgm"}), {});
  check_hazards(assemble({message, "s_endpgm"}), {{0, "s_nop right before"}});
  check_hazards(assemble({"s_nop 0", message, "s_nop 0", "s_endpgm"}), {{4, "only s_endpgm"}});
}

TEST_CASE("constant bus") {
  const u32 shift = 0xd73c0000;                                                // v_lshlrev_b64 v[0:1], s2, s[4:5]
  std::vector<u32> code{shift, 4u << 9 | 2, 0xbfb00000};
  code.insert(code.end(), 64, 0xbf9f0000);
  check_hazards(code, {{0, "constant bus"}});
  code[1] = 4u << 9 | 129;                                                     // shift by 1
  check_hazards(code, {});
}

TEST_CASE("OPSEL of dot products") {
  check_hazards(assemble({"v_dot2_f32_f16 v0, v1, v2, v3", "s_endpgm"}), {});
  check_hazards(assemble({"v_dot2_f32_f16 v0, v1, v2, v3 op_sel:[1,0,0]", "s_endpgm"}), {{0, "OPSEL"}});
}

TEST_CASE("the end of the code") {
  check_hazards(assemble({"s_endpgm"}, 63), {{4, "64 s_code_end"}});
  check_hazards(assemble({"s_nop 0"}), {{0, "runs on past"}});
  check_hazards(assemble({"s_branch 1", "s_endpgm"}), {{0, "target"}});
  check_hazards(assemble({"s_branch 0", "s_endpgm"}), {});
  std::vector<u32> damaged = assemble({"s_nop 0", "s_endpgm"});
  damaged[0] = 0xbfbf0000;
  check_hazards(damaged, {{0, "no SOPP instruction"}});
}
