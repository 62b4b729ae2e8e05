// What a code object takes of the chip, without running it: registers, LDS, occupancy, code size, hazards.
#pragma once

#include <span>
#include <string>

#include "driver/base.h"

namespace amlm::tools {

// Waves a SIMD of gfx1151 holds of a wave32 kernel with so many VGPRs: 1536 registers in granules of 24, at most 16
// waves (performance.md (b); Mesa aco_ir.cpp).
u32 occupancy_waves(u32 vgprs);

// One paragraph a kernel. An error when `elf` is no code object.
Result<std::string> static_report(std::span<const u8> elf);

}  // namespace amlm::tools
