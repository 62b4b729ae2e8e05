// Loads an AMDGPU ELF code object (ABI v3-v5, gfx1151) into an executable buffer.
// Source of the layout: LLVM AMDGPUUsage, "Code Object" and "Kernel Descriptor for GFX6-GFX12".
#pragma once

#include <span>
#include <string>
#include <string_view>
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
  u32 group_lanes = 0;                // ELF symbol NAME.group_lanes (kernel.inc writes it); 0 = not stated
};

class CodeObject {
 public:
  // bad code object: ErrorCode::failed with what is wrong and at which byte.
  static Result<CodeObject> load(Device& device, std::span<const u8> elf, std::string label);
  const Kernel* find(std::string_view name) const;       // null when absent
  const std::vector<Kernel>& kernels() const { return kernels_; }
  // Absolute symbols, e.g. "scale_f32.arg.x"; ~0u when absent.
  u32 symbol(std::string_view name) const;
  const Buffer& buffer() const { return buffer_; }

 private:
  Buffer buffer_;
  std::vector<Kernel> kernels_;
  std::vector<std::pair<std::string, u32>> symbols_;
};

}  // namespace amlm
