// Loads an AMDGPU ELF code object (ABI v3-v6, gfx1151) into an executable buffer.
// Source of the layout: LLVM AMDGPUUsage, "Code Object" and "Kernel Descriptor for GFX6-GFX12".
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"

namespace amlm {

struct Kernel {
  std::string name;
  u64 code_va = 0;
  u32 code_bytes = 0;                 // from the symbol
  u32 rsrc1 = 0, rsrc2 = 0, rsrc3 = 0;
  u32 kernarg_bytes = 0;
  u32 lds_bytes = 0, scratch_lane_bytes = 0;
  u32 wave_lanes = 32;
  // Scratch of one wave as COMPUTE_TMPRING_SIZE states it; 0 for a kernel without.
  u32 scratch_wave_bytes() const;
  u32 group_lanes = 0;                // ELF symbol NAME.group_lanes (kernel.inc writes it); 0 = not stated
};

// A code object taken apart, not yet in GPU memory: Kernel::code_va counts from the start of `bytes`.
struct CodeImage {
  std::vector<u8> bytes;              // the segments at their addresses, then padding
  std::vector<Kernel> kernels;        // by name
  std::vector<std::pair<std::string, Error>> refused;    // the others: damaged, or wanting what amlm does not give
  std::vector<std::pair<std::string, u32>> symbols;      // absolute ones, by name
};
// Untrusted input: every bound is checked. ErrorCode::failed with what is wrong and at which byte.
Result<CodeImage> parse_code_object(std::span<const u8> elf);

class CodeObject {
 public:
  static Result<CodeObject> load(Device& device, std::span<const u8> elf, std::string label);
  const Kernel* find(std::string_view name) const;       // null when absent
  const std::vector<Kernel>& kernels() const { return kernels_; }
  // Absolute symbols, e.g. "scale_f32.arg.x"; ~0u when absent.
  u32 symbol(std::string_view name) const;
  const Buffer& buffer() const { return buffer_; }
  // "scale_f32+0x40" for an address inside a kernel's code, else "".
  std::string describe(u64 va) const;

 private:
  Buffer buffer_;
  std::vector<Kernel> kernels_;
  std::vector<std::pair<std::string, u32>> symbols_;
};

}  // namespace amlm
