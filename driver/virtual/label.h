// Names kernels by what stands in GPU memory: a code object's loader puts its first segment, with the symbol table,
// at the start of the code's buffer.
#pragma once

#include <string>

#include "isa/memory.h"

namespace amlm::vgpu {

// The kernel's symbol, or "code@0x…" when the buffer does not begin with an ELF header.
std::string label_of_code(const isa::AddressSpace& space, u64 code_va);

}  // namespace amlm::vgpu
