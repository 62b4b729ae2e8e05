// Random words, most of them nearly valid: our decoder and llvm-mc-19 must agree which are instructions, and how long
// they are; encoding what was decoded gives the words back. Arguments: seed, count.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/isa/agreement.h"
#include "tests/isa/samples.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

struct Tally {
  u32 both_valid = 0, both_invalid = 0, failures = 0;
  std::map<std::string, u32> known;
};

void fail(Tally& tally, const Words& words, const std::string& llvm, const std::string& what) {
  if (++tally.failures > 40) return;
  std::printf("%08x %08x %08x: %s; llvm-mc: %s\n", words[0], words[1], words[2], what.c_str(), llvm.c_str());
}

// Samples that need a second look by llvm-mc.
struct Second {
  std::vector<Words> cleared_of, cleared;
  std::vector<std::string> cleared_text;
  std::vector<std::array<u32, 3>> cleared_bits;
  std::vector<Words> sized;
  std::vector<std::vector<u32>> whole, cut;
};

bool gives_words_back(const Instruction& in, const Words& words) {
  Words again{};
  if (encode(in, again) != in.size_dw) return false;
  const auto spare = spare_bits(in);
  for (u32 i = 0; i < in.size_dw; ++i)
    if ((again[i] ^ words[i]) & ~spare[i]) return false;
  return true;
}

void both(Tally& tally, Second& second, const Instruction& in, const Words& words, const Disassembled& llvm) {
  ++tally.both_valid;
  if (plain_name(llvm.text) != info(in.opcode).name) fail(tally, words, llvm.text, "we call it " + print(in));
  if (!gives_words_back(in, words)) fail(tally, words, llvm.text, "encode() does not give the words back");
  if (llvm.size_dw == in.size_dw) return;
  second.sized.push_back(words);         // llvm-mc made an inline constant of a literal: cut the words to measure
  second.whole.emplace_back(words.begin(), words.begin() + in.size_dw);
  second.cut.emplace_back(words.begin(), words.begin() + in.size_dw - 1);
}

void compare(Tally& tally, Second& second, const Words& words, const Disassembled& llvm) {
  DecodeError error;
  const auto in = decode(words, &error);
  if (in && llvm.valid) return both(tally, second, *in, words, llvm);
  if (!in && !llvm.valid) return void(++tally.both_invalid);
  const char* known = nullptr;
  if (in) {
    known = why_only_ours(*in, words);
  } else if (error.reserved != std::array<u32, 3>{}) {
    Words cleared = words;
    for (u32 i = 0; i < 3; ++i) cleared[i] &= ~error.reserved[i];
    second.cleared_of.push_back(words);
    second.cleared.push_back(cleared);
    second.cleared_text.push_back(llvm.text);
    second.cleared_bits.push_back(error.reserved);
    return;
  } else {
    known = why_only_llvm(error);
  }
  if (known) ++tally.known[known];
  else fail(tally, words, llvm.text, in ? "we decode " + print(*in) : error.sentence);
}

void look_again(Tally& tally, const Second& second) {
  const auto cleared = llvm_disassemble(second.cleared);
  for (u32 i = 0; i < cleared.size(); ++i) {
    const auto in = decode(second.cleared[i]);
    const char* known = nullptr;
    if (in && cleared[i].text == second.cleared_text[i]) known = "reserved-bits";
    else if (in) known = why_not_reserved(info(in->opcode), second.cleared_bits[i]);
    if (known) ++tally.known[known];
    else fail(tally, second.cleared_of[i], second.cleared_text[i], "reserved bits that matter: " + cleared[i].text);
  }
  const auto whole = llvm_disassemble(second.whole), cut = llvm_disassemble(second.cut);
  for (u32 i = 0; i < whole.size(); ++i)
    if (!whole[i].valid || cut[i].valid) fail(tally, second.sized[i], whole[i].text, "sizes differ");
}

void batch(Tally& tally, Random& random, u32 count) {
  std::vector<Words> samples;
  for (u32 i = 0; i < count; ++i) {
    const OpInfo& op = info(Opcode(below(random, opcode_count)));
    samples.push_back(below(random, 64) == 0 ? any_words(random) : near_valid_words(random, op));
  }
  const auto llvm = llvm_disassemble(samples);
  Second second;
  for (u32 i = 0; i < count; ++i) compare(tally, second, samples[i], llvm[i]);
  look_again(tally, second);
}

}  // namespace

int main(int argc, char** argv) {
  const u64 seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : std::random_device{}();
  const u32 count = argc > 2 ? u32(std::strtoul(argv[2], nullptr, 0)) : 100000, batch_size = 50000;
  std::printf("seed %llu, %u words\n", static_cast<unsigned long long>(seed), count);
  Random random(seed);
  Tally tally;
  for (u32 done = 0; done < count; done += batch_size) batch(tally, random, std::min(batch_size, count - done));
  std::printf("valid for both %u, for none %u, failures %u\n", tally.both_valid, tally.both_invalid, tally.failures);
  for (const auto& [name, n] : tally.known) std::printf("  %-22s %u\n", name.c_str(), n);
  // Most samples must be near enough to mean something.
  return tally.failures == 0 && tally.both_valid > count / 3 ? 0 : 1;
}
