// What a code object takes of the chip, without running it: registers, LDS, occupancy, code size, hazards, missing waits.
#pragma once

#include <span>
#include <string>

#include "driver/base.h"
#include "tools/source_lines.h"

namespace amlm::tools {

// Waves a SIMD of gfx1151 holds of a wave32 kernel with so many VGPRs: 1536 registers in granules of 24, at most 16
// waves (PAL, Mesa ac_gpu_info).
u32 occupancy_waves(u32 vgprs);

struct StaticReport {
  std::string text;      // one paragraph a kernel
  u32 findings = 0;      // hazards, missing waits, words that are no instruction
};

// Of the kernel so named, or of all. An error when `elf` is no code object.
Result<StaticReport> static_report(std::span<const u8> elf, const SourceLines& lines, const std::string& kernel);

// "scale.s:31 (+0x38 v_mul_f32_e32 v2, s3, v2)"; without a source line "+0x38 ...". The offset counts from the start
// of the kernel.
Result<std::string> place_in_kernel(std::span<const u8> elf, const SourceLines& lines, const std::string& kernel,
                                    u64 offset);

}  // namespace amlm::tools
