// Static rules of a gfx1151 wave32 program that the decoder cannot see in one instruction, or that an encoding allows
// and the hardware does not (RDNA3.5 ISA guide; sources at each rule in hazards.cpp).
#pragma once

#include <string>
#include <vector>

#include "isa/instruction.h"

namespace amlm::isa {

struct Hazard {
  u32 offset_bytes = 0;   // of the instruction, from the start of the code
  std::string sentence;
};

// Checks code in order of address; nothing follows branches, so a rule over two instructions also holds across them
// only where one falls through to the other.
// `code` is one kernel with its padding: rules on the end of code look at the words after the last s_endpgm.
std::vector<Hazard> find_hazards(std::span<const u32> code);

// Distinct SGPRs, and a literal, that a vector instruction reads through the constant bus.
u32 constant_bus_reads(const Instruction& instruction);
// How many of them its opcode may read: 2, but 1 for 64-bit shifts.
u32 constant_bus_limit(const Instruction& instruction);

}  // namespace amlm::isa
