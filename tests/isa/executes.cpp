// Every compute row executes, with whatever modifiers its encodings allow and in every MODE; or ERRATA.md says by name why
// not. Random instructions of each row run in a machine of zeros: a fault of kind "not-executed" must be one of those.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "isa/run.h"
#include "isa/tables.h"
#include "tests/isa/samples.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

constexpr u32 s_code_end = 0xbf9f0000, s_endpgm = 0xbfb00000, s_mov_zero = 0xbe800080, v_mov_zero = 0x7e000280;
constexpr u64 code_va = 0x400000;

bool is_graphics(Format format) {
  return format == Format::mimg || format == Format::exp || format == Format::vinterp || format == Format::lds_direct;
}

// The words of ERRATA.md's section "not-executed".
std::string reasons() {
  std::ifstream in(AMLM_ERRATA);
  std::string line, text;
  for (bool inside = false; std::getline(in, line);) {
    if (line.starts_with("## ") || line.starts_with("# ")) inside = line == "## not-executed";
    else if (inside) text += line + "\n";
  }
  return text;
}

// Numbers become N, then M.
std::string generic(const std::string& what) {
  std::string text;
  u32 seen = 0;
  for (std::size_t i = 0; i < what.size(); ++i) {
    const bool number = std::isdigit(what[i]) && (i == 0 || what[i - 1] == ' ');
    if (!number) {
      text += what[i];
      continue;
    }
    text += seen++ == 0 ? 'N' : 'M';
    while (i + 1 < what.size() && std::isdigit(what[i + 1])) ++i;
  }
  return text;
}

// Registers of zeros, then one instruction.
class ZeroMachine {
 public:
  ZeroMachine() : words_(1024, s_code_end) {
    for (u32 sgpr = 0; sgpr < 106; ++sgpr) words_[at_++] = s_mov_zero | sgpr << 16;
    for (u32 vgpr = 0; vgpr < 256; ++vgpr) words_[at_++] = v_mov_zero | vgpr << 17;
    space_.insert({code_va, words_.size() * 4, reinterpret_cast<u8*>(words_.data()), nullptr,
                   access_read | access_execute, true, "code"});
    dispatch_.code_va = code_va;
    dispatch_.label = "row";
    constexpr u32 lds_512 = 1 << 15;
    dispatch_.rsrc2 = lds_512;
  }

  std::optional<Fault> run(const Instruction& in, u32 wave_lanes, u32 mode) {
    Words words{};
    const u32 size = encode(in, words);
    std::fill(words_.begin() + at_, words_.end(), s_code_end);
    std::copy_n(words.begin(), size, words_.begin() + at_);
    words_[at_ + size] = s_endpgm;
    dispatch_.wave_lanes = dispatch_.group_lanes[0] = wave_lanes;
    dispatch_.rsrc1 = (wave_lanes == 32 ? 31 : 63) | (mode & 0xff) << 12 | (mode >> 8 & 1) << 21 | (mode >> 9 & 1) << 23;
    executor_.forget();
    return executor_.run(dispatch_, space_, {}, {.mode = Mode::fast, .instruction_limit = 2000, .host_threads = 1}).fault;
  }

 private:
  std::vector<u32> words_;
  u32 at_ = 0;
  AddressSpace space_;
  Dispatch dispatch_;
  Executor executor_;
};

}  // namespace

TEST_CASE("every compute row executes, or ERRATA says why not") {
  const u64 seed = test_seed(1);
  CAPTURE(seed);
  Random random(seed);
  const std::string known = reasons();
  REQUIRE(known.size() > 100);
  // Denormals kept and IEEE; then flushed, each rounding, and neither IEEE nor DX10_CLAMP.
  static constexpr u32 modes[] = {0x3f0, 0x300, 0x3f5, 0x3fa, 0x3ff, 0x3b1, 0x074, 0x0c0};
  ZeroMachine machine;
  std::map<std::string, std::string> missing;
  u32 rows = 0, stated = 0;
  for (u32 row = 0; row < opcode_count; ++row) {
    const OpInfo& op = info(Opcode(row));
    if (is_graphics(op.format)) continue;
    ++rows;
    if (!op.executed) {
      CAPTURE(op.name);
      CHECK(known.find(fmt::format("`{}`", op.name)) != std::string::npos);
      ++stated;
      continue;
    }
    for (u32 i = 0; i < 24; ++i) {
      Instruction in;
      if (!random_instruction(random, Opcode(row), in)) continue;
      const u32 wave_lanes = in.format != Format::vopd && i % 3 == 2 ? 64 : 32, mode = modes[i % std::size(modes)];
      const auto fault = machine.run(in, wave_lanes, mode);
      if (!fault || fault->kind != "not-executed") continue;
      const std::string what = generic(fault->sentence.substr(fault->sentence.find(": ") + 2));
      if (known.find(what) == std::string::npos) missing[what] = print(in);
    }
  }
  for (const auto& [what, example] : missing) {
    CAPTURE(what, example);
    CHECK(false);
  }
  WARN(rows << " compute rows, " << rows - stated << " executed, " << stated << " with a reason");
}

TEST_CASE("canary: a row without an executor and without a reason is noticed") {
  Random random(1);
  Instruction in;
  REQUIRE(random_instruction(random, Opcode::ds_gws_init, in));
  const auto fault = ZeroMachine().run(in, 32, 0x3f0);
  REQUIRE(fault);
  CHECK(fault->kind == "not-executed");
}
