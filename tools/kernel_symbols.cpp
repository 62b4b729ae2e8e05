#include "tools/kernel_symbols.h"

#include <fmt/format.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

namespace amlm::tools {

namespace {

Error damaged(std::string what) {
  return {ErrorCode::file, 0, fmt::format("not a usable AMDGPU code object: {}", what)};
}

template <class T>
bool read_at(std::span<const u8> bytes, u64 offset, T& value) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return true;
}

bool inside(std::span<const u8> bytes, const Elf64_Shdr& section) {
  return section.sh_offset <= bytes.size() && section.sh_size <= bytes.size() - section.sh_offset;
}

std::string name_at(std::span<const u8> strings, u32 offset) {
  if (offset >= strings.size()) return {};
  const auto* start = reinterpret_cast<const char*>(strings.data()) + offset;
  return {start, strnlen(start, strings.size() - offset)};
}

// The kernel descriptor: LLVM AMDGPUUsage, "Kernel Descriptor for GFX6-GFX12".
void read_descriptor(std::span<const u8> elf, u64 at, KernelSymbol& kernel) {
  u16 properties = 0;
  kernel.has_descriptor = read_at(elf, at, kernel.lds_bytes) && read_at(elf, at + 4, kernel.scratch_lane_bytes) &&
                          read_at(elf, at + 8, kernel.kernarg_bytes) && read_at(elf, at + 44, kernel.rsrc3) &&
                          read_at(elf, at + 48, kernel.rsrc1) && read_at(elf, at + 52, kernel.rsrc2) &&
                          read_at(elf, at + 56, properties);
  kernel.wave32 = (properties >> 10 & 1) != 0;
}

void add_symbols(std::span<const u8> elf, std::span<const Elf64_Shdr> sections, const Elf64_Shdr& table,
                 std::vector<KernelSymbol>& kernels) {
  if (table.sh_link >= sections.size() || !inside(elf, table) || !inside(elf, sections[table.sh_link])) return;
  const auto& link = sections[table.sh_link];
  const auto strings = elf.subspan(link.sh_offset, link.sh_size);
  std::map<std::string, u64> descriptors;   // kernel name -> file offset
  std::map<std::string, u64> group_lanes;
  constexpr std::string_view lanes_suffix = ".group_lanes";
  for (u64 at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    read_at(elf, table.sh_offset + at, symbol);
    std::string name = name_at(strings, symbol.st_name);
    if (symbol.st_shndx == SHN_ABS && name.ends_with(lanes_suffix) && symbol.st_value <= 1024)
      group_lanes[name.substr(0, name.size() - lanes_suffix.size())] = symbol.st_value;
    if (symbol.st_shndx >= sections.size()) continue;
    const auto& section = sections[symbol.st_shndx];
    if (!inside(elf, section) || symbol.st_value < section.sh_addr || symbol.st_value - section.sh_addr > section.sh_size)
      continue;
    const u64 within = symbol.st_value - section.sh_addr;
    if (name.ends_with(".kd")) descriptors[name.substr(0, name.size() - 3)] = section.sh_offset + within;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
    KernelSymbol& kernel = kernels.emplace_back();
    kernel.name = std::move(name);
    kernel.address = symbol.st_value;
    kernel.file_offset = section.sh_offset + within;
    kernel.size_bytes = static_cast<u32>(std::min<u64>(symbol.st_size, section.sh_size - within) & ~3ull);
    kernel.following_bytes = section.sh_size - within - kernel.size_bytes;
  }
  for (auto& kernel : kernels) {
    if (const auto found = descriptors.find(kernel.name); found != descriptors.end())
      read_descriptor(elf, found->second, kernel);
    if (const auto found = group_lanes.find(kernel.name); found != group_lanes.end())
      kernel.group_lanes = static_cast<u32>(found->second);
  }
}

}  // namespace

Result<std::vector<KernelSymbol>> read_kernel_symbols(std::span<const u8> elf) {
  Elf64_Ehdr header;
  if (!read_at(elf, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return std::unexpected(damaged("it does not start with an ELF header"));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != 224 /* EM_AMDGPU */)
    return std::unexpected(damaged(fmt::format("ELF machine {}, not AMDGPU (224)", header.e_machine)));
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (u32 i = 0; i < header.e_shnum; ++i) {
    if (header.e_shoff > elf.size() || !read_at(elf, header.e_shoff + u64(i) * sizeof(Elf64_Shdr), sections[i]))
      return std::unexpected(damaged(fmt::format("section header {} lies past the end of the file", i)));
  }
  std::vector<KernelSymbol> kernels;
  for (const u32 wanted : {SHT_DYNSYM, SHT_SYMTAB}) {
    for (const auto& section : sections)
      if (section.sh_type == wanted && kernels.empty()) add_symbols(elf, sections, section, kernels);
  }
  if (kernels.empty()) return std::unexpected(damaged("it has no function symbols"));
  std::ranges::sort(kernels, {}, &KernelSymbol::address);
  return kernels;
}

}  // namespace amlm::tools
