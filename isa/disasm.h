// Code as a listing: address, words, text; branch targets get labels; what does not decode is shown as .long.
#pragma once

#include <span>
#include <string>

#include "isa/base.h"

namespace amlm::isa {

std::string disassemble(std::span<const u32> code, u64 va);

}  // namespace amlm::isa
