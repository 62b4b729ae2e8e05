// Every row of the tables against llvm-mc-19: encode, decode, print, assemble.
#include <catch2/catch.hpp>
#include <map>

#include "tests/isa/agreement.h"
#include "tests/isa/samples.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

constexpr u32 samples_per_row = 24;

bool is_graphics(Format format) {
  return format == Format::mimg || format == Format::exp || format == Format::vinterp || format == Format::lds_direct;
}

struct Sample {
  Instruction in;
  Words words{};
  std::string text;
};

// llvm-mc writes ones where OPSEL_HI means nothing.
void set_unused_opsel_hi(Instruction& in) {
  const OpInfo& op = info(in.opcode);
  if (op.format != Format::vop3p) return;
  if (op.src_count == 2) in.opsel_hi |= 4;
  if (!modifiers(op).opsel) in.opsel_hi = 7;
}

std::vector<Sample> samples_of_rows(Random& random, u32 per_row) {
  std::vector<Sample> samples;
  for (u32 row = 0; row < opcode_count; ++row) {
    if (is_graphics(info(Opcode(row)).format)) continue;
    for (u32 i = 0; i < per_row; ++i) {
      Sample sample;
      INFO(info(Opcode(row)).name);
      REQUIRE(random_instruction(random, Opcode(row), sample.in));
      set_unused_opsel_hi(sample.in);
      REQUIRE(encode(sample.in, sample.words) == sample.in.size_dw);
      sample.text = print(sample.in);
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

std::vector<Words> words_of(const std::vector<Sample>& samples) {
  std::vector<Words> words;
  for (const Sample& sample : samples) words.push_back(sample.words);
  return words;
}

std::vector<std::string> texts_of(const std::vector<Sample>& samples) {
  std::vector<std::string> texts;
  for (const Sample& sample : samples) texts.push_back(sample.text);
  return texts;
}

bool same_bytes(const Sample& sample, const Assembled& assembled) {
  if (assembled.size_dw != sample.in.size_dw) return false;
  for (u32 i = 0; i < assembled.size_dw; ++i)
    if (assembled.words[i] != sample.words[i]) return false;
  return true;
}

// The checker itself, so that a test can show what it catches.
std::string disagreement(const Sample& sample, const Disassembled& llvm, const Assembled& assembled) {
  const auto decoded = decode(sample.words);
  if (!decoded || !(*decoded == sample.in)) return "decode(encode(x)) is not x";
  const std::string_view name = info(sample.in.opcode).name;
  if (!llvm.valid && !why_only_ours(sample.in, sample.words)) return "llvm-mc refuses it";
  if (llvm.valid && plain_name(llvm.text) != name) return "llvm-mc calls it " + llvm.text;
  if (!same_bytes(sample, assembled) && !why_unspellable(sample.in)) return "its text assembles to something else";
  return "";
}

}  // namespace

TEST_CASE("every row encodes, decodes and prints as llvm-mc does") {
  const u64 seed = 1;
  Random random(seed);
  const std::vector<Sample> samples = samples_of_rows(random, samples_per_row);
  const auto llvm = llvm_disassemble(words_of(samples));
  const auto assembled = llvm_assemble(texts_of(samples));
  std::map<std::string, u32> reasons;
  u32 exact = 0;
  std::map<Opcode, u32> exact_of_row;
  for (u32 i = 0; i < samples.size(); ++i) {
    CAPTURE(seed, samples[i].text, llvm[i].text, samples[i].words[0], samples[i].words[1]);
    CHECK(disagreement(samples[i], llvm[i], assembled[i]) == "");
    if (same_bytes(samples[i], assembled[i])) ++exact, ++exact_of_row[samples[i].in.opcode];
    else if (const char* reason = why_unspellable(samples[i].in)) ++reasons[reason];
  }
  u32 rows_without = 0;
  for (u32 row = 0; row < opcode_count; ++row) {
    const OpInfo& op = info(Opcode(row));
    if (is_graphics(op.format) || exact_of_row[Opcode(row)] || (op.format == Format::vopd && op.number > 13)) continue;
    ++rows_without;
    WARN("no sample of " << op.name << " went through llvm-mc's assembler");
  }
  CHECK(rows_without <= 2);    // v_swap_b16, v_dual_dot2acc_f32_bf16: ERRATA.md, newer-forms
  CHECK(exact > samples.size() * 3 / 4);
  std::string list;
  for (const auto& [reason, count] : reasons) list += " " + reason + " " + std::to_string(count);
  WARN(samples.size() << " samples, " << exact << " assembled to the same bytes; not spelled:" << list);
}

TEST_CASE("canary: a wrong row is caught") {
  Random random(2);
  Sample right;
  REQUIRE(random_instruction(random, Opcode::v_sub_f32, right.in));
  right.in = *decode(std::array<u32, 1>{0x08020501});     // v_sub_f32 v1, v1, v2
  REQUIRE(encode(right.in, right.words) == 1);
  right.text = print(right.in);
  const auto check_one = [](const Sample& sample) {
    return disagreement(sample, llvm_disassemble(std::vector{sample.words})[0], llvm_assemble(std::vector{sample.text})[0]);
  };
  CHECK(check_one(right) == "");

  Sample name = right;                                    // the row's name is wrong
  name.text.replace(0, 9, "v_add_f32");
  CHECK(check_one(name) != "");

  Sample number = right;                                  // the row's opcode number is wrong
  number.words[0] = (number.words[0] & ~0xfe000000) | 3u << 25;
  CHECK(check_one(number) != "");

  Sample size = right;                                    // an operand's size is wrong
  size.in.src[1].count_dw = 2;
  size.text = print(size.in);
  CHECK(check_one(size) != "");
  CHECK(encode(size.in, size.words) == 0);
}
