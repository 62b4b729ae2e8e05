// Random words, most of them nearly valid: our decoder and llvm-mc-19 must agree which are instructions, and how long
// they are; encoding what was decoded gives the words back. Arguments: seed, count. --canary: decoders with one fault
// each must be caught. --kinds: every row in each of its encodings, with each operand kind in each source field, and with
// each bit turned over: operands, modifiers, offsets, destinations, one at a time.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "tests/isa/agreement.h"
#include "tests/isa/samples.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

using Decode = std::optional<Instruction> (*)(std::span<const u32>, DecodeError*);

struct Tally {
  Decode decode = isa::decode;
  bool quiet = false;
  u32 both_valid = 0, both_invalid = 0, failures = 0;
  std::map<std::string, u32> known;
};

void fail(Tally& tally, const Words& words, const std::string& llvm, const std::string& what) {
  if (++tally.failures > 40 || tally.quiet) return;
  std::printf("%08x %08x %08x: %s; llvm-mc: %s\n", words[0], words[1], words[2], what.c_str(), llvm.c_str());
}

// Samples that need a second look by llvm-mc.
struct Second {
  std::vector<Words> cleared_of, cleared;
  std::vector<std::string> cleared_text;
  std::vector<std::array<u32, 3>> cleared_bits;
  std::vector<Words> refused;                    // by us, with a known reason
  std::vector<std::string> refused_text;
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
  const auto in = tally.decode(words, &error);
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
  if (!known) return fail(tally, words, llvm.text, in ? "we decode " + print(*in) : error.sentence);
  ++tally.known[known];
  // Where LLVM's register classes are wider than the hardware's, its assembler is as lax as its disassembler.
  for (const std::string_view lax : {"graphics", "scalar-destinations", "absent-sources", "operand-kinds"})
    if (in || known == lax) return;
  second.refused.push_back(words);
  second.refused_text.push_back(llvm.text);
}

// What we refuse for a known reason, llvm-mc disassembles but does not itself assemble back to the same words.
void check_refused(Tally& tally, const Second& second) {
  const auto assembled = llvm_assemble(second.refused_text);
  for (u32 i = 0; i < assembled.size(); ++i) {
    bool same = assembled[i].size_dw != 0;
    for (u32 k = 0; k < assembled[i].size_dw; ++k) same = same && assembled[i].words[k] == second.refused[i][k];
    if (same) fail(tally, second.refused[i], second.refused_text[i], "we refuse what llvm-mc assembles");
  }
}

void look_again(Tally& tally, const Second& second) {
  const auto cleared = llvm_disassemble(second.cleared);
  for (u32 i = 0; i < cleared.size(); ++i) {
    const auto in = tally.decode(second.cleared[i], nullptr);
    const char* known = nullptr;
    if (in && cleared[i].text == second.cleared_text[i]) known = "reserved-bits";
    else if (in) known = why_not_reserved(info(in->opcode), second.cleared_bits[i]);
    if (known) ++tally.known[known];
    if (!known) fail(tally, second.cleared_of[i], second.cleared_text[i], "reserved bits that matter: " + cleared[i].text);
  }
  const auto whole = llvm_disassemble(second.whole), cut = llvm_disassemble(second.cut);
  for (u32 i = 0; i < whole.size(); ++i)
    if (!whole[i].valid || cut[i].valid) fail(tally, second.sized[i], whole[i].text, "sizes differ");
}

void compare_all(Tally& tally, const std::vector<Words>& samples) {
  const auto llvm = llvm_disassemble(samples);
  Second second;
  for (u32 i = 0; i < samples.size(); ++i) compare(tally, second, samples[i], llvm[i]);
  look_again(tally, second);
  check_refused(tally, second);
}

void batch(Tally& tally, Random& random, u32 count) {
  std::vector<Words> samples;
  for (u32 i = 0; i < count; ++i) {
    const OpInfo& op = info(Opcode(below(random, opcode_count)));
    samples.push_back(below(random, 64) == 0 ? any_words(random) : near_valid_words(random, op));
    if (below(random, 256) == 0) samples.back()[0] = 0xbf800000 | (samples.back()[0] & 0x7fffff);   // any SOPP
  }
  compare_all(tally, samples);
}

struct Field { u32 word, shift, width; };

// Where an encoding has operands that may be of several kinds.
std::vector<Field> source_fields(const Instruction& in) {
  switch (in.format) {
    case Format::sop1: return {{0, 0, 8}, {0, 16, 7}};
    case Format::sop2: return {{0, 0, 8}, {0, 8, 8}, {0, 16, 7}};
    case Format::sopc: return {{0, 0, 8}, {0, 8, 8}};
    case Format::sopk: return {{0, 16, 7}};
    case Format::smem: return {{0, 0, 6}, {0, 6, 7}, {1, 25, 7}};
    case Format::vopd: return {{0, 0, 9}, {0, 9, 8}, {1, 0, 9}, {1, 9, 8}};
    case Format::flat: case Format::global: case Format::scratch: return {{1, 16, 7}};
    case Format::mubuf: case Format::mtbuf: return {{1, 16, 5}, {1, 24, 8}};
    case Format::ds: return {};
    default: break;
  }
  if (in.encoding == Encoding::native && in.format != Format::vop3 && in.format != Format::vop3sd &&
      in.format != Format::vop3p) return {{0, 0, 9}, {0, 9, 8}};
  if (in.encoding == Encoding::dpp8 || in.encoding == Encoding::dpp16) return {{0, 9, 8}, {1, 0, 8}};
  return {{1, 0, 9}, {1, 9, 9}, {1, 18, 9}, {0, 0, 8}, {0, 8, 7}};
}

// SGPRs, VCC, TTMP, NULL, M0, EXEC, integers, apertures, what is not there, floats, SCC, literal, VGPRs.
constexpr u32 operand_kinds[] = {0, 1, 2, 4, 104, 105, 106, 107, 108, 123, 124, 125, 126, 127, 128, 129, 192, 193, 208, 209,
                                 233, 234, 235, 236, 237, 238, 239, 240, 247, 248, 249, 250, 251, 252, 253, 254, 255,
                                 256, 257, 383, 384, 511};

void add_variants(std::vector<Words>& samples, const Instruction& in, Random& random) {
  Words words{};
  const u32 size = encode(in, words);
  for (u32 i = size; i < 3; ++i) words[i] = u32(random());
  for (const Field& field : source_fields(in))
    for (const u32 kind : operand_kinds) {
      if (kind >> field.width) continue;
      const u32 mask = ((1u << field.width) - 1) << field.shift;
      samples.push_back(words);
      samples.back()[field.word] = (words[field.word] & ~mask) | kind << field.shift;
    }
  for (u32 bit = 0; bit < 32 * size; ++bit) {
    samples.push_back(words);
    samples.back()[bit / 32] ^= 1u << bit % 32;
  }
}

void all_kinds(Tally& tally, Random& random) {
  std::vector<Words> samples;
  u32 forms = 0;
  const auto flush = [&] {
    compare_all(tally, samples);
    samples.clear();
  };
  for (u32 row = 0; row < opcode_count; ++row) {
    std::array<bool, 8> seen{};
    for (u32 tries = 0; tries < 60; ++tries) {
      Instruction in;
      if (!random_instruction(random, Opcode(row), in)) break;   // graphics
      if (std::exchange(seen[u32(in.encoding)], true)) continue;
      add_variants(samples, in, random);
      ++forms;
    }
    if (samples.size() > 60000) flush();
  }
  flush();
  std::printf("%u encodings of %u rows\n", forms, opcode_count);
}

// Decoders with one fault each: a wrong row, a missing row, a row that should not be, a wrong length.
std::optional<Instruction> wrong_row(std::span<const u32> words, DecodeError* error) {
  auto in = decode(words, error);
  if (in && in->opcode == Opcode::v_add_f32) in->opcode = Opcode::v_sub_f32;
  return in;
}

std::optional<Instruction> missing_row(std::span<const u32> words, DecodeError* error) {
  auto in = decode(words, error);
  if (!in || in->opcode != Opcode::ds_load_b64) return in;
  if (error) *error = {"no DS instruction has opcode 118", {}};
  return std::nullopt;
}

std::optional<Instruction> row_too_many(std::span<const u32> words, DecodeError* error) {
  auto in = decode(words, error);
  if (in || words[0] >> 23 != 0x17f || (words[0] >> 16 & 0x7f) != 6) return in;   // SOPP 6
  const std::array<u32, 1> nop{0xbf800000};
  return decode(nop);
}

std::optional<Instruction> wrong_length(std::span<const u32> words, DecodeError* error) {
  auto in = decode(words, error);
  if (in && in->opcode == Opcode::v_fmaak_f32) in->size_dw = 1;
  return in;
}

bool canaries() {
  struct Canary { const char* name; Decode decode; };
  static constexpr Canary list[] = {{"a wrong row", wrong_row}, {"a missing row", missing_row},
                                    {"a row too many", row_too_many}, {"a wrong length", wrong_length}};
  bool all = true;
  for (const Canary& canary : list) {
    Random random(1);
    Tally tally{.decode = canary.decode, .quiet = true};
    batch(tally, random, 60000);
    std::printf("%s: %s\n", canary.name, tally.failures ? "caught" : "NOT CAUGHT");
    all = all && tally.failures;
  }
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--canary") return canaries() ? 0 : 1;
  const bool kinds = argc > 1 && std::string_view(argv[1]) == "--kinds";
  if (kinds) --argc, ++argv;
  const u64 seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : std::random_device{}();
  const u32 count = argc > 2 ? u32(std::strtoul(argv[2], nullptr, 0)) : 100000, batch_size = 50000;
  std::printf("seed %llu, ", static_cast<unsigned long long>(seed));
  if (!kinds) std::printf("%u words\n", count);
  Random random(seed);
  Tally tally;
  if (kinds) all_kinds(tally, random);
  else for (u32 done = 0; done < count; done += batch_size) batch(tally, random, std::min(batch_size, count - done));
  std::printf("valid for both %u, for none %u, failures %u\n", tally.both_valid, tally.both_invalid, tally.failures);
  for (const auto& [name, n] : tally.known) std::printf("  %-22s %u\n", name.c_str(), n);
  // Most samples must be near enough to mean something.
  return tally.failures == 0 && tally.both_valid > (kinds ? 100000 : count / 3) ? 0 : 1;
}
