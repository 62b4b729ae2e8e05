#include "tools/asm_report.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <vector>

#include "isa/hazards.h"
#include "isa/tables.h"
#include "isa/waits.h"
#include "tools/kernel_symbols.h"

namespace amlm::tools {

namespace {

constexpr u32 code_end_word = 0xbf9f0000, code_end_padding = 64, lds_granule_bytes = 1024, compute_unit_lds_bytes = 65536;

struct CodeCounts {
  u32 instructions = 0, valu = 0, salu = 0, smem = 0, vmem = 0, lds = 0, wmma = 0, waits = 0, unknown = 0;
  u32 sgprs = 0, vgprs = 0;      // highest number named, plus one
};

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

void count_register(const isa::Operand& operand, CodeCounts& counts) {
  if (!operand.present()) return;
  if (operand.is_vgpr()) counts.vgprs = std::max(counts.vgprs, operand.vgpr() + operand.count_dw);
  else if (operand.code < isa::code_vcc_lo) counts.sgprs = std::max(counts.sgprs, u32(operand.code) + operand.count_dw);
}

void count_registers(const isa::Instruction& in, CodeCounts& counts) {
  for (const isa::Operand& operand : {in.dst, in.sdst, in.y_dst}) count_register(operand, counts);
  for (const isa::Operand& operand : in.src) count_register(operand, counts);
  for (const isa::Operand& operand : in.y_src) count_register(operand, counts);
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
    count_registers(*instruction, counts);
    at += instruction->size_dw;
  }
  return counts;
}

enum class Padding : u8 { without, with };

// The kernel's words; with padding, as many s_code_end as the prefetch finds behind it, at most as many as it asks for: what
// else stands there in the same section (another kernel) serves as well.
std::vector<u32> code_of(std::span<const u8> elf, const KernelSymbol& kernel, Padding padding) {
  std::vector<u32> code(kernel.size_bytes / 4);
  std::memcpy(code.data(), elf.data() + kernel.file_offset, code.size() * 4);
  if (padding == Padding::with)
    code.resize(code.size() + std::min<u64>(kernel.following_bytes / 4, code_end_padding), code_end_word);
  return code;
}

std::string place(std::span<const u32> code, const SourceLines& lines, u64 address, u64 offset) {
  const std::string line = lines.at(address + offset);
  const auto instruction = offset / 4 < code.size() ? isa::decode(code.subspan(offset / 4)) : std::nullopt;
  const std::string text = fmt::format("+0x{:x}{}", offset, instruction ? " " + isa::print(*instruction) : "");
  return line.empty() ? text : fmt::format("{} ({})", line, text);
}

// Waves a SIMD that LDS leaves room for: a CU has two SIMDs and 64 KiB, a WGP (whose LDS is one in WGP mode) four and 128.
u32 lds_waves(const KernelSymbol& kernel, u32 groups, bool wgp) {
  const u32 wave_lanes = kernel.wave32 ? 32 : 64, group_waves = (kernel.group_lanes + wave_lanes - 1) / wave_lanes;
  return groups * group_waves / (wgp ? 4 : 2);
}

std::string describe_registers(const KernelSymbol& kernel, const CodeCounts& counts) {
  const u32 granule = kernel.wave32 ? 8 : 4, chip_granule = kernel.wave32 ? 24 : 12;
  const u32 vgprs = ((kernel.rsrc1 & 0x3f) + 1) * granule;
  const u32 allocated = (vgprs + chip_granule - 1) / chip_granule * chip_granule;
  const bool wgp = (kernel.rsrc1 >> 29 & 1) != 0;
  u32 waves = occupancy_waves(kernel.wave32 ? vgprs : vgprs * 2);
  std::string limit = waves < 16 ? ", bound by VGPRs" : "", lds;
  if (kernel.lds_bytes != 0 && kernel.lds_bytes <= compute_unit_lds_bytes) {
    const u32 granules = (kernel.lds_bytes + lds_granule_bytes - 1) / lds_granule_bytes;
    const u32 groups = compute_unit_lds_bytes / lds_granule_bytes * (wgp ? 2 : 1) / granules;
    lds = fmt::format(" (room for {} workgroups on a {})", groups, wgp ? "WGP" : "CU");
    if (kernel.group_lanes != 0 && lds_waves(kernel, groups, wgp) < waves) {
      waves = lds_waves(kernel, groups, wgp);
      limit = ", bound by LDS";
    }
  }
  return fmt::format("  wave{}, {}; {} VGPRs, {} with the chip's granule, v0-v{} named; s0-s{} named; "
                     "{} of 16 waves a SIMD{}\n  {} bytes of arguments, {} of LDS{}, {} of scratch a lane\n",
                     kernel.wave32 ? 32 : 64, wgp ? "WGP mode" : "CU mode", vgprs, allocated,
                     counts.vgprs == 0 ? 0 : counts.vgprs - 1, counts.sgprs == 0 ? 0 : counts.sgprs - 1, waves,
                     limit, kernel.kernarg_bytes, kernel.lds_bytes, lds, kernel.scratch_lane_bytes);
}

void describe(std::span<const u8> elf, const KernelSymbol& kernel, const SourceLines& lines, StaticReport& report) {
  const std::vector<u32> code = code_of(elf, kernel, Padding::without), padded = code_of(elf, kernel, Padding::with);
  const CodeCounts counts = count_instructions(code);
  report.text += fmt::format("{}: {} bytes of code, {} instructions (VALU {}, WMMA {}, SALU {}, SMEM {}, VMEM {}, LDS {}, "
                             "waits {})\n", kernel.name, kernel.size_bytes, counts.instructions, counts.valu, counts.wmma,
                             counts.salu, counts.smem, counts.vmem, counts.lds, counts.waits);
  report.text += kernel.has_descriptor ? describe_registers(kernel, counts) : "  no descriptor: a function, not a kernel\n";
  if (kernel.has_descriptor && kernel.wave32 && counts.vgprs > ((kernel.rsrc1 & 0x3f) + 1) * 8) {
    report.text += fmt::format("  hazard: v{} is named, and the descriptor allocates {} VGPRs\n", counts.vgprs - 1,
                               ((kernel.rsrc1 & 0x3f) + 1) * 8);
    ++report.findings;
  }
  const auto tell = [&](const char* kind, const std::vector<isa::Hazard>& found) {
    for (const auto& hazard : found)
      report.text += fmt::format("  {}: {}: {}\n", kind, place(code, lines, kernel.address, hazard.offset_bytes),
                                 hazard.sentence);
    report.findings += static_cast<u32>(found.size());
  };
  tell("hazard", isa::find_hazards(padded));
  tell("missing wait", isa::find_missing_waits(code, kernel.wave32 || !kernel.has_descriptor ? 32 : 64));
}

}  // namespace

u32 occupancy_waves(u32 vgprs) {
  const u32 granules = (std::max(vgprs, 1u) + 23) / 24;
  return std::min(16u, 1536 / (granules * 24));
}

Result<StaticReport> static_report(std::span<const u8> elf, const SourceLines& lines, const std::string& kernel) {
  StaticReport report;
  for (const auto& symbol : TRY(read_kernel_symbols(elf)))
    if (kernel.empty() || symbol.name == kernel) describe(elf, symbol, lines, report);
  if (report.text.empty()) return fail(ErrorCode::usage, fmt::format("no kernel named {}", kernel));
  return report;
}

Result<std::string> place_in_kernel(std::span<const u8> elf, const SourceLines& lines, const std::string& kernel,
                                    u64 offset) {
  for (const auto& symbol : TRY(read_kernel_symbols(elf)))
    if (symbol.name == kernel && offset < symbol.size_bytes)
      return place(code_of(elf, symbol, Padding::without), lines, symbol.address, offset);
  return fail(ErrorCode::failed, fmt::format("{}+0x{:x} is outside of the code object", kernel, offset));
}

}  // namespace amlm::tools
