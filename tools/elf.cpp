#include "tools/elf.h"

#include <fmt/format.h>
#include <elf.h>

#include <algorithm>
#include <cstring>

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

void add_symbols(std::span<const u8> elf, std::span<const Elf64_Shdr> sections, const Elf64_Shdr& table,
                 std::vector<KernelSymbol>& kernels) {
  if (table.sh_link >= sections.size() || !inside(elf, table) || !inside(elf, sections[table.sh_link])) return;
  const auto& link = sections[table.sh_link];
  const auto strings = elf.subspan(link.sh_offset, link.sh_size);
  for (u64 at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    read_at(elf, table.sh_offset + at, symbol);
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx >= sections.size()) continue;
    const auto& code = sections[symbol.st_shndx];
    if (!inside(elf, code) || symbol.st_value < code.sh_addr || symbol.st_value - code.sh_addr > code.sh_size) continue;
    const u64 within = symbol.st_value - code.sh_addr;
    const u64 size = std::min<u64>(symbol.st_size, code.sh_size - within) & ~3ull;
    kernels.push_back({name_at(strings, symbol.st_name), symbol.st_value, code.sh_offset + within, static_cast<u32>(size)});
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
