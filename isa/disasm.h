// Code as a listing: address, words, text; branch targets get labels; what does not decode is shown as .long.
#pragma once

#include <span>
#include <string>

#include "isa/base.h"

namespace amlm::isa {

std::string disassemble(std::span<const u32> code, u64 va);

// How many words belong to the program that starts with the first: up to its last instruction that nothing follows and
// no earlier branch leads past. All of `code` when there is no such end, or a word before it does not decode.
std::size_t program_length(std::span<const u32> code);

}  // namespace amlm::isa
