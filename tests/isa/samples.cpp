#include "tests/isa/samples.h"

namespace amlm::isa::test {
namespace {

u32 sparse(Random& random) {
  u32 bits = u32(random());
  for (u32 n = below(random, 4); n > 0; --n) bits &= u32(random());
  return below(random, 5) == 0 ? 0 : bits;
}

u32 source_code(Random& random) {
  switch (below(random, 8)) {
    case 0: return below(random, 512);
    case 1: return below(random, 108);
    case 2: return 4 * below(random, 26);
    case 3: return 128 + below(random, 128);
    case 4: return 255;
    default: return 256 + below(random, 256);
  }
}

void set(u32& word, u32 shift, u32 width, u32 value) {
  const u32 mask = ((1u << width) - 1) << shift;
  word = (word & ~mask) | (value << shift & mask);
}

struct Head { u32 mask, bits; };

// The bits of the first dword that say format and opcode.
Head head(const OpInfo& op) {
  const auto bits = [](u32 shift, u32 width, u32 value) { return Head{((1u << width) - 1) << shift, value << shift}; };
  const auto join = [](Head a, Head b) { return Head{a.mask | b.mask, a.bits | b.bits}; };
  const u32 n = op.number;
  switch (op.format) {
    case Format::sop1: return join(bits(23, 9, 0x17d), bits(8, 8, n));
    case Format::sop2: return join(bits(30, 2, 2), bits(23, 7, n));
    case Format::sopc: return join(bits(23, 9, 0x17e), bits(16, 7, n));
    case Format::sopp: return join(bits(23, 9, 0x17f), bits(16, 7, n));
    case Format::sopk: return join(bits(28, 4, 0xb), bits(23, 5, n));
    case Format::smem: return join(bits(26, 6, 0x3d), bits(18, 8, n));
    case Format::vop1: return join(bits(25, 7, 0x3f), bits(9, 8, n));
    case Format::vop2: return bits(25, 7, n);
    case Format::vopc: return join(bits(25, 7, 0x3e), bits(17, 8, n));
    case Format::vop3: case Format::vop3sd: return join(bits(26, 6, 0x35), bits(16, 10, n));
    case Format::vop3p: return join(bits(23, 9, 0x198), bits(16, 7, n));
    case Format::vopd: return join(bits(26, 6, 0x32), n < 14 ? bits(22, 4, n) : bits(17, 5, n));
    case Format::ds: return join(bits(26, 6, 0x36), bits(18, 8, n));
    case Format::flat: return join(bits(26, 6, 0x37), join(bits(16, 2, 0), bits(18, 7, n)));
    case Format::scratch: return join(bits(26, 6, 0x37), join(bits(16, 2, 1), bits(18, 7, n)));
    case Format::global: return join(bits(26, 6, 0x37), join(bits(16, 2, 2), bits(18, 7, n)));
    case Format::mubuf: return join(bits(26, 6, 0x38), bits(18, 8, n));
    case Format::mtbuf: return join(bits(26, 6, 0x3a), bits(15, 4, n));
    case Format::mimg: return join(bits(26, 6, 0x3c), bits(18, 7, n));
    case Format::vinterp: return join(bits(24, 8, 0xcd), bits(16, 7, n));
    case Format::lds_direct: return join(bits(24, 8, 0xce), bits(20, 2, n));
    case Format::exp: return bits(26, 6, 0x3e);
  }
  return {};
}

bool is_native_vector(Format f) { return f == Format::vop1 || f == Format::vop2 || f == Format::vopc; }

void plausible_vop3_words(Random& random, Words& words) {
  for (u32 i = 0; i < 3; ++i)
    if (below(random, 8)) set(words[1], 9 * i, 9, below(random, 3) ? source_code(random) : 0);
  if (below(random, 2)) set(words[1], 27, 5, 0);
  if (below(random, 2)) set(words[0], 8, 8, 0);
}

void plausible_memory_words(Random& random, Words& words, Format format) {
  if (format == Format::smem) return set(words[1], 25, 7, below(random, 2) ? 124 : below(random, 128));
  if (format == Format::ds) return;
  const bool flat = format == Format::flat || format == Format::global || format == Format::scratch;
  if (flat) set(words[1], 16, 7, below(random, 2) ? 124 : below(random, 128));
  else if (below(random, 4)) set(words[1], 24, 8, below(random, 108));
}

}  // namespace

Words any_words(Random& random) { return {u32(random()), u32(random()), u32(random())}; }

Words near_valid_words(Random& random, const OpInfo& op) {
  Words words{sparse(random), sparse(random), u32(random())};
  const bool vop3 = is_native_vector(op.format) && below(random, 2);
  const bool three = vop3 || op.format == Format::vop3 || op.format == Format::vop3sd || op.format == Format::vop3p;
  if (three) {
    plausible_vop3_words(random, words);
    if (below(random, 4) == 0) {
      constexpr u32 codes[] = {0xe9, 0xea, 0xfa};
      set(words[1], 0, 9, codes[below(random, 3)]);
      if (below(random, 2)) set(words[2], 16, 3, 0);
    }
    if (below(random, 2)) set(words[0], 0, 8, u32(random()));
  } else if (is_native_vector(op.format) || op.format == Format::vopd) {
    set(words[0], 0, 9, source_code(random));
    if (op.format == Format::vopd) set(words[1], 0, 9, source_code(random));
    else if (below(random, 4) == 0) set(words[0], 0, 9, below(random, 2) ? 0xfa : 0xe9);
    set(words[0], 9, 8, u32(random()));
  } else {
    plausible_memory_words(random, words, op.format);
  }
  Head fixed = head(op);
  if (vop3) {
    const u32 base = op.format == Format::vop1 ? 0x180 : op.format == Format::vop2 ? 0x100 : 0;
    fixed = {0xffff0000, 0xd4000000 | (base + op.number) << 16};
    if (op.effects.writes_special(Special::EXEC) && below(random, 8)) set(words[0], 0, 8, code_exec_lo);
  }
  words[0] = (words[0] & ~fixed.mask) | fixed.bits;
  return words;
}

bool random_instruction(Random& random, Opcode opcode, Instruction& instruction) {
  const OpInfo& op = info(opcode);
  for (u32 tries = 0; tries < 20000; ++tries) {
    Words words = near_valid_words(random, op);
    DecodeError error;
    auto decoded = decode(words, &error);
    if (!decoded) {                      // reserved bits are cleared rather than rolled again
      for (u32 i = 0; i < 3; ++i) words[i] &= ~error.reserved[i];
      decoded = decode(words);
    }
    if (!decoded || (decoded->opcode != opcode && decoded->y_opcode != opcode)) continue;
    instruction = *decoded;
    return true;
  }
  return false;
}

}  // namespace amlm::isa::test
