// llvm-mc as the oracle of decode and print tests: assembles and disassembles many samples in one run.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "isa/base.h"

namespace amlm::isa::test {

using Words = std::array<u32, 3>;

struct Disassembled {
  bool valid = false;
  u32 size_dw = 0;
  std::string text;    // without the encoding comment
};

// What llvm-mc makes of the front of each sample. Operands that it prints with an error comment count as invalid.
// Sizes are of its own encoding of what it decoded: it makes inline constants of literals, so they may be smaller.
std::vector<Disassembled> llvm_disassemble(std::span<const Words> samples);
// The same for samples of 0 to 3 dwords.
std::vector<Disassembled> llvm_disassemble(std::span<const std::vector<u32>> samples);

struct Assembled {
  u32 size_dw = 0;     // 0: refused
  Words words{};
};
std::vector<Assembled> llvm_assemble(std::span<const std::string> lines, const std::string& features = "");

}  // namespace amlm::isa::test
