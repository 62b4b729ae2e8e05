#include "driver/elf_image.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace amlm {

namespace {

constexpr u8 osabi_amdgpu_hsa = 64;          // ELFOSABI_AMDGPU_HSA
constexpr u8 abi_first = 1, abi_last = 4;    // ELFABIVERSION_AMDGPU_HSA_V3 to _V6
constexpr u16 machine_amdgpu = 224;          // EM_AMDGPU
constexpr u32 mach_mask = 0xff, mach_gfx1151 = 0x4A;
constexpr u64 count_limit = 1 << 16;         // headers and symbols

using Ull = unsigned long long;

template <class... Values>
std::unexpected<Error> wrong(const char* pattern, Values... values) {
  return fail(ErrorCode::failed, "code object: " + text(pattern, values...));
}

struct Reader {
  std::span<const u8> file;

  bool holds(u64 offset, u64 size) const { return offset <= file.size() && size <= file.size() - offset; }

  template <class T>
  Result<T> at(u64 offset, const char* what) const {
    if (!holds(offset, sizeof(T)))
      return wrong("%s at byte %llu is past the end of %zu bytes", what, Ull(offset), file.size());
    T value;
    std::memcpy(&value, file.data() + offset, sizeof value);
    return value;
  }

  Result<std::string> name_at(const Elf64_Shdr& strings, u64 index) const {
    if (!holds(strings.sh_offset, strings.sh_size) || index >= strings.sh_size)
      return wrong("a symbol's name is outside of its string table at byte %llu", Ull(strings.sh_offset));
    const char* first = reinterpret_cast<const char*>(file.data()) + strings.sh_offset + index;
    const void* end = std::memchr(first, 0, strings.sh_size - index);
    if (end == nullptr) return wrong("the string table at byte %llu has no end", Ull(strings.sh_offset));
    return std::string(first, static_cast<const char*>(end));
  }
};

Result<Elf64_Ehdr> read_header(const Reader& reader) {
  const auto header = TRY(reader.at<Elf64_Ehdr>(0, "the ELF header"));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return wrong("it is not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
    return wrong("it is not a 64-bit little-endian ELF file");
  if (header.e_machine != machine_amdgpu) return wrong("it is for machine %u, not AMDGPU", header.e_machine);
  if (header.e_ident[EI_OSABI] != osabi_amdgpu_hsa)
    return wrong("its OS ABI (byte 7) is %u, not HSA", header.e_ident[EI_OSABI]);
  if (header.e_ident[EI_ABIVERSION] < abi_first || header.e_ident[EI_ABIVERSION] > abi_last)
    return wrong("its ABI version (byte 8) is %u; 1 to 4 (code object v3 to v6) are known",
                 header.e_ident[EI_ABIVERSION]);
  if ((header.e_flags & mach_mask) != mach_gfx1151)
    return wrong("it is for processor 0x%x, not gfx1151 (0x4a)", header.e_flags & mach_mask);
  if (header.e_type != ET_DYN) return wrong("it is not linked (type %u)", header.e_type);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || (header.e_shnum != 0 && header.e_shentsize != sizeof(Elf64_Shdr)))
    return wrong("its program or section headers have an unknown size");
  return header;
}

// The loader's own table says whether anything is left to relocate.
Result<void> refuse_relocations(const Reader& reader, const Elf64_Phdr& dynamic) {
  for (u64 at = 0; at + sizeof(Elf64_Dyn) <= dynamic.p_filesz; at += sizeof(Elf64_Dyn)) {
    const auto entry = TRY(reader.at<Elf64_Dyn>(dynamic.p_offset + at, "a dynamic entry"));
    if (entry.d_tag == DT_NULL) break;
    const bool relocates = entry.d_tag == DT_RELASZ || entry.d_tag == DT_RELSZ || entry.d_tag == DT_PLTRELSZ;
    if (relocates && entry.d_un.d_val != 0)
      return wrong("it has %llu bytes of relocations; kernels must not refer to outside symbols",
                   Ull(entry.d_un.d_val));
  }
  return {};
}

Result<void> read_segments(const Reader& reader, const Elf64_Ehdr& header, ElfImage& image) {
  std::vector<Elf64_Phdr> loads;
  for (u32 i = 0; i < header.e_phnum; i++) {
    const auto segment = TRY(reader.at<Elf64_Phdr>(header.e_phoff + u64(i) * sizeof(Elf64_Phdr), "a program header"));
    if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
    if (!reader.holds(segment.p_offset, segment.p_filesz))
      return wrong("segment %u (bytes %llu and %llu more) is past the end of %zu bytes", i, Ull(segment.p_offset),
                   Ull(segment.p_filesz), reader.file.size());
    if (segment.p_type == PT_DYNAMIC) {
      TRY_VOID(refuse_relocations(reader, segment));
      continue;
    }
    if (segment.p_filesz > segment.p_memsz || segment.p_memsz > image_limit_bytes ||
        segment.p_vaddr > image_limit_bytes - segment.p_memsz)
      return wrong("segment %u (address 0x%llx, %llu bytes) is too large", i, Ull(segment.p_vaddr),
                   Ull(segment.p_memsz));
    loads.push_back(segment);
    image.segments.push_back({segment.p_vaddr, segment.p_vaddr + segment.p_memsz, (segment.p_flags & PF_X) != 0});
  }
  u64 size = 0;
  for (const auto& segment : image.segments) size = std::max(size, segment.end);
  image.bytes.resize(size);
  for (const auto& load : loads)
    if (load.p_filesz != 0)
      std::memcpy(image.bytes.data() + load.p_vaddr, reader.file.data() + load.p_offset, load.p_filesz);
  return {};
}

Result<Elf64_Shdr> section(const Reader& reader, const Elf64_Ehdr& header, u64 index) {
  if (index >= header.e_shnum) return wrong("it refers to section %llu of %u", Ull(index), header.e_shnum);
  return reader.at<Elf64_Shdr>(header.e_shoff + index * sizeof(Elf64_Shdr), "a section header");
}

Result<void> read_symbols(const Reader& reader, const Elf64_Ehdr& header, const Elf64_Shdr& table, ElfImage& image) {
  if (table.sh_entsize != sizeof(Elf64_Sym) || !reader.holds(table.sh_offset, table.sh_size) ||
      table.sh_size / sizeof(Elf64_Sym) > count_limit)
    return wrong("the symbol table at byte %llu is damaged", Ull(table.sh_offset));
  const auto strings = TRY(section(reader, header, table.sh_link));
  for (u64 at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    const auto symbol = TRY(reader.at<Elf64_Sym>(table.sh_offset + at, "a symbol"));
    if (symbol.st_name == 0 || symbol.st_shndx == SHN_UNDEF) continue;
    std::string name = TRY(reader.name_at(strings, symbol.st_name));
    image.symbols.push_back({std::move(name), symbol.st_value, symbol.st_size, symbol.st_shndx == SHN_ABS});
  }
  return {};
}

}  // namespace

const ElfSymbol* ElfImage::find(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(symbols, name, {}, [](const auto& s) { return std::string_view(s.name); });
  return found != symbols.end() && found->name == name ? &*found : nullptr;
}

bool ElfImage::is_executable(u64 address) const {
  return std::ranges::any_of(segments,
                             [&](const auto& s) { return s.executable && address >= s.start && address < s.end; });
}

Result<ElfImage> read_elf(std::span<const u8> file) {
  const Reader reader{file};
  const Elf64_Ehdr header = TRY(read_header(reader));
  ElfImage image;
  TRY_VOID(read_segments(reader, header, image));
  for (u32 i = 0; i < header.e_shnum; i++) {
    const auto table = TRY(section(reader, header, i));
    if (table.sh_type == SHT_DYNSYM || table.sh_type == SHT_SYMTAB)
      TRY_VOID(read_symbols(reader, header, table, image));
  }
  // A name may stand in both symbol tables; local and dynamic entries are then the same.
  std::ranges::stable_sort(image.symbols, {}, &ElfSymbol::name);
  const auto doubles = std::ranges::unique(image.symbols, {}, &ElfSymbol::name);
  image.symbols.erase(doubles.begin(), doubles.end());
  return image;
}

}  // namespace amlm
