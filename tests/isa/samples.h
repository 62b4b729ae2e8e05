// Random instruction words that are nearly always close to valid, and random valid Instructions.
#pragma once

#include <random>

#include "isa/tables.h"
#include "tests/isa/llvm.h"

namespace amlm::isa::test {

using Random = std::mt19937_64;

inline u32 below(Random& random, u32 limit) { return u32(random() % limit); }

// Words whose format and opcode bits are those of `op`, in native, VOP3 or DPP form, and whose other bits are random,
// often sparse, with plausible operand codes.
Words near_valid_words(Random& random, const OpInfo& op);
// Any words at all: one in 64 of a test's samples.
Words any_words(Random& random);
// A valid instruction of `op` with random operands and modifiers; false when the row has none (not decoded).
bool random_instruction(Random& random, Opcode opcode, Instruction& instruction);

}  // namespace amlm::isa::test
