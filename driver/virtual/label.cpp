#include "driver/virtual/label.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>

namespace amlm::vgpu {

namespace {

// The client's memory: every offset is checked before it is followed.
struct Image {
  const u8* data;
  u64 size;

  template <class T>
  bool read(u64 at, T& value) const {
    if (at > size || size - at < sizeof(T)) return false;
    memcpy(&value, data + at, sizeof(T));
    return true;
  }
};

struct SymbolTable { u64 symbols = 0, strings = 0, string_bytes = 0, hash = 0; };

bool find_tables(const Image& image, const Elf64_Ehdr& header, SymbolTable& table) {
  for (u32 i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!image.read(header.e_phoff + i * sizeof segment, segment)) return false;
    if (segment.p_type != PT_DYNAMIC) continue;
    Elf64_Dyn entry;
    for (u64 at = segment.p_vaddr; image.read(at, entry) && entry.d_tag != DT_NULL; at += sizeof entry) {
      if (entry.d_tag == DT_SYMTAB) table.symbols = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRTAB) table.strings = entry.d_un.d_ptr;
      if (entry.d_tag == DT_STRSZ) table.string_bytes = entry.d_un.d_val;
      if (entry.d_tag == DT_HASH) table.hash = entry.d_un.d_ptr;
    }
  }
  return table.symbols && table.strings && table.hash;
}

std::string find_symbol(const Image& image, u64 code_offset) {
  Elf64_Ehdr header;
  SymbolTable table;
  if (!image.read(0, header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "";
  if (!find_tables(image, header, table)) return "";
  u32 counts[2];                               // buckets, symbols
  if (!image.read(table.hash, counts)) return "";
  for (u32 i = 0; i < counts[1]; ++i) {
    Elf64_Sym symbol;
    if (!image.read(table.symbols + i * sizeof symbol, symbol)) return "";
    if (symbol.st_value != code_offset || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
    const u64 at = table.strings + symbol.st_name;
    if (symbol.st_name >= table.string_bytes || at >= image.size) return "";
    const char* name = reinterpret_cast<const char*>(image.data + at);
    return std::string(name, strnlen(name, std::min<u64>(image.size - at, 200)));
  }
  return "";
}

}  // namespace

std::string label_of_code(const isa::AddressSpace& space, u64 code_va) {
  const isa::Mapping* mapping = space.find(code_va);
  std::string name;
  if (mapping) name = find_symbol({mapping->host, mapping->size_bytes}, code_va - mapping->va);
  if (!name.empty()) return name;
  char text[32];
  snprintf(text, sizeof text, "code@0x%llx", static_cast<unsigned long long>(code_va));
  return text;
}

}  // namespace amlm::vgpu
