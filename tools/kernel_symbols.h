// Where the kernels of a code object lie: enough of ELF64 for a disassembly. Untrusted input: every bound is checked.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::tools {

struct KernelSymbol {
  std::string name;
  u64 address = 0;       // in the object
  u64 file_offset = 0;
  u32 size_bytes = 0;    // a multiple of 4
  u64 following_bytes = 0;           // of the same section, behind it
  bool has_descriptor = false;       // NAME.kd was found: the fields below hold
  u32 rsrc1 = 0, rsrc2 = 0, rsrc3 = 0;
  u32 lds_bytes = 0, scratch_lane_bytes = 0, kernarg_bytes = 0;
  bool wave32 = false;
  u32 group_lanes = 0;               // the symbol NAME.group_lanes; 0 when there is none
};

// The functions (STT_FUNC) of the dynamic or static symbol table, by address.
Result<std::vector<KernelSymbol>> read_kernel_symbols(std::span<const u8> elf);

}  // namespace amlm::tools
