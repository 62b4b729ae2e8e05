// As much of ELF64 as an AMDGPU code object needs. Untrusted input: every offset, size and count is checked before use,
// and nothing is allocated beyond image_limit_bytes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"

namespace amlm {

inline constexpr u64 image_limit_bytes = 16 << 20;

struct ElfSymbol {
  std::string name;
  u64 value = 0, size = 0;
  bool is_absolute = false;
};

struct ElfSegment { u64 start = 0, end = 0; bool executable = false; };

struct ElfImage {
  std::vector<u8> bytes;               // PT_LOAD segments at their addresses, zeros between
  std::vector<ElfSegment> segments;
  std::vector<ElfSymbol> symbols;      // defined ones, each name once
  const ElfSymbol* find(std::string_view name) const;
  bool is_executable(u64 address) const;
};

// A gfx1151 shared object for HSA without relocations, or an Error that names what is wrong.
Result<ElfImage> read_elf(std::span<const u8> file);

}  // namespace amlm
