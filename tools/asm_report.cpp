#include "tools/asm_report.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <vector>

#include "isa/hazards.h"
#include "isa/tables.h"
#include "tools/kernel_symbols.h"

namespace amlm::tools {

namespace {

struct CodeCounts { u32 instructions = 0, valu = 0, salu = 0, smem = 0, vmem = 0, lds = 0, wmma = 0, waits = 0, unknown = 0; };

void count(isa::OpClass kind, CodeCounts& counts) {
  using enum isa::OpClass;
  switch (kind) {
    case valu: case trans: case valu64: case f64: case quarter: case dot: ++counts.valu; break;
    case wmma: ++counts.wmma; break;
    case salu: case salu_float: case branch: ++counts.salu; break;
    case smem: ++counts.smem; break;
    case vmem_load: case vmem_store: case vmem_atomic: ++counts.vmem; break;
    case lds: ++counts.lds; break;
    case wait: ++counts.waits; break;
    default: break;
  }
}

CodeCounts count_instructions(std::span<const u32> code) {
  CodeCounts counts;
  for (std::size_t at = 0; at < code.size();) {
    const auto instruction = isa::decode(code.subspan(at));
    if (!instruction) {
      ++counts.unknown;
      ++at;
      continue;
    }
    ++counts.instructions;
    count(isa::info(instruction->opcode).op_class, counts);
    at += instruction->size_dw;
  }
  return counts;
}

std::string describe(const KernelSymbol& kernel, std::span<const u32> code) {
  const CodeCounts counts = count_instructions(code);
  std::string out = fmt::format("{}: {} bytes of code, {} instructions (VALU {}, WMMA {}, SALU {}, SMEM {}, VMEM {}, LDS {}, "
                                "waits {})\n", kernel.name, kernel.size_bytes, counts.instructions, counts.valu, counts.wmma,
                                counts.salu, counts.smem, counts.vmem, counts.lds, counts.waits);
  if (counts.unknown != 0) out += fmt::format("  {} dwords are no gfx1151 instruction\n", counts.unknown);
  if (kernel.has_descriptor) {
    const u32 granule = kernel.wave32 ? 8 : 4;
    const u32 vgprs = ((kernel.rsrc1 & 0x3f) + 1) * granule;
    out += fmt::format("  wave{}, {} VGPRs, {} bytes of LDS, {} of scratch a lane, {} of arguments; {}; {} of 16 waves a SIMD\n",
                       kernel.wave32 ? 32 : 64, vgprs, kernel.lds_bytes, kernel.scratch_lane_bytes, kernel.kernarg_bytes,
                       (kernel.rsrc1 >> 29 & 1) != 0 ? "WGP mode" : "CU mode",
                       occupancy_waves(kernel.wave32 ? vgprs : vgprs * 2));
  }
  for (const auto& hazard : isa::find_hazards(code))
    out += fmt::format("  hazard at +0x{:x}: {}\n", hazard.offset_bytes, hazard.sentence);
  return out;
}

}  // namespace

u32 occupancy_waves(u32 vgprs) {
  const u32 granules = (std::max(vgprs, 1u) + 23) / 24;
  return std::min(16u, 1536 / (granules * 24));
}

Result<std::string> static_report(std::span<const u8> elf) {
  std::string out;
  for (const auto& kernel : TRY(read_kernel_symbols(elf))) {
    std::vector<u32> code(kernel.size_bytes / 4);
    std::memcpy(code.data(), elf.data() + kernel.file_offset, code.size() * 4);
    out += describe(kernel, code);
  }
  return out;
}

}  // namespace amlm::tools
