// Where our decoder and LLVM 19 differ, and why: each difference has a name, and a section of isa/ERRATA.md.
// What is not listed here is a failure.
#pragma once

#include <optional>
#include <string>

#include "isa/tables.h"
#include "tests/isa/llvm.h"

namespace amlm::isa::test {

// Names of ERRATA.md's sections on the decoder.
inline constexpr const char* errata[] = {
    "reserved-bits", "integer-modifiers", "sixteen-bit-halves", "unused-third-source", "spare-fields",
    "misaligned-tuples", "absent-sources", "scalar-destinations", "flat-offset", "graphics", "newer-forms",
    "operand-kinds", "packed-dpp", "delay-codes", "wait-registers", "texture-faults", "unspellable",
};

// Why we decode what LLVM refuses; null: no known reason.
const char* why_only_ours(const Instruction& in, const Words& words);
// Why we refuse, with a sentence, what LLVM decodes.
const char* why_only_llvm(const DecodeError& error);
// Why LLVM prints something for bits that we call reserved.
const char* why_not_reserved(const OpInfo& op, const std::array<u32, 3>& bits);
// Why llvm-mc cannot assemble our text to our bytes.
const char* why_unspellable(const Instruction& in);

// Bits that may be set and say nothing, so that encode() writes 0 for them.
std::array<u32, 3> spare_bits(const Instruction& in);

// LLVM's mnemonic without _e32, _e64, _dpp.
std::string plain_name(const std::string& llvm_text);

}  // namespace amlm::isa::test
