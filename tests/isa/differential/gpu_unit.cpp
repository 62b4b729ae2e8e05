#include "tests/isa/differential/gpu_unit.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>

#include <fmt/format.h>

namespace amlm::isa::differential {

namespace {

template <class T>
T get(const std::vector<u8>& bytes, u64 offset) {
  check(offset + sizeof(T) <= bytes.size(), "inside the ELF");
  T value;
  std::memcpy(&value, &bytes[offset], sizeof value);
  return value;
}

struct Symbol { u64 address = 0, size = 0; };

// Every named symbol of .symtab.
std::map<std::string, Symbol> symbols_of(const std::vector<u8>& elf) {
  std::map<std::string, Symbol> symbols;
  const u64 table = get<u64>(elf, 0x28);
  const u16 count = get<u16>(elf, 0x3c);
  constexpr u32 symtab = 2, header_bytes = 64, symbol_bytes = 24;
  for (u32 i = 0; i < count; ++i) {
    const u64 section = table + i * header_bytes;
    if (get<u32>(elf, section + 4) != symtab) continue;
    const u64 offset = get<u64>(elf, section + 24), size = get<u64>(elf, section + 32);
    const u64 strings = get<u64>(elf, table + get<u32>(elf, section + 40) * header_bytes + 24);
    for (u64 at = offset; at < offset + size; at += symbol_bytes) {
      const char* name = reinterpret_cast<const char*>(&elf[strings + get<u32>(elf, at)]);
      symbols[name] = {get<u64>(elf, at + 8), get<u64>(elf, at + 16)};
    }
  }
  return symbols;
}

}  // namespace

void run_command(const std::string& command) {
  if (std::system(command.c_str()) == 0) return;
  std::fprintf(stderr, "failed: %s\n", command.c_str());
  std::abort();
}

GpuUnit::GpuUnit(const Options& options, const std::string& source, const std::string& flags) {
  const std::string c = options.directory + "/gpu.c", object = options.directory + "/gpu.o",
                    linked = options.directory + "/gpu.co";
  std::ofstream(c) << source;
  const std::string compile =
      fmt::format("{} -x {} --target=amdgcn-amd-amdhsa -mcpu=gfx1151 -nogpulib -w -fwrapv -ffp-contract=off {} {} -c {} "
                  "-o {}", options.clang, options.language, flags, options.includes, c, object);
  if (options.on_crash == OnCrash::leave_empty) {
    if (std::system((compile + " 2>/dev/null").c_str()) != 0) return;
  } else {
    run_command(compile);
  }
  run_command(fmt::format("{} -shared {} -o {}", options.lld, object, linked));
  std::ifstream in(linked, std::ios::binary);
  const std::vector<u8> elf((std::istreambuf_iterator<char>(in)), {});
  const u64 headers = get<u64>(elf, 0x20);
  const u16 count = get<u16>(elf, 0x38);
  for (u32 i = 0; i < count; ++i) {
    const u64 header = headers + i * 56;
    constexpr u32 load = 1;
    if (get<u32>(elf, header) != load) continue;
    const u32 flag_bits = get<u32>(elf, header + 4);
    const u64 offset = get<u64>(elf, header + 8), address = get<u64>(elf, header + 16);
    const u64 file_bytes = get<u64>(elf, header + 32), memory_bytes = get<u64>(elf, header + 40);
    if (image_.size() < address + memory_bytes) image_.resize(address + memory_bytes);
    std::memcpy(&image_[address], &elf[offset], file_bytes);
    const u8 access = u8((flag_bits & 1 ? access_execute : 0) | (flag_bits & 2 ? access_write : 0) | access_read);
    segments_.push_back({address, memory_bytes, access});
  }
  relocate(elf);
  read_symbols(elf);
  pristine_ = image_;
}

// .rela.dyn: R_AMDGPU_RELATIVE64 only, which is what a linked unit without outside symbols has.
void GpuUnit::relocate(const std::vector<u8>& elf) {
  const u64 table = get<u64>(elf, 0x28);
  const u16 count = get<u16>(elf, 0x3c);
  constexpr u32 rela = 4, header_bytes = 64, entry_bytes = 24, relative64 = 13;
  for (u32 i = 0; i < count; ++i) {
    const u64 section = table + i * header_bytes;
    if (get<u32>(elf, section + 4) != rela) continue;
    const u64 offset = get<u64>(elf, section + 24), size = get<u64>(elf, section + 32);
    for (u64 at = offset; at < offset + size; at += entry_bytes) {
      check(get<u32>(elf, at + 8) == relative64, "a relocation of a linked unit is relative");
      const u64 place = get<u64>(elf, at), value = base_ + get<u64>(elf, at + 16);
      check(place + sizeof value <= image_.size(), "a relocation inside the image");
      std::memcpy(&image_[place], &value, sizeof value);
    }
  }
}

// Kernel descriptors, LLVM AMDGPUUsage "Kernel Descriptor": NAME.kd.
void GpuUnit::read_symbols(const std::vector<u8>& elf) {
  for (const auto& [name, symbol] : symbols_of(elf)) {
    if (!name.ends_with(".kd")) continue;
    const u64 at = symbol.address;
    GpuKernel kernel{.name = name.substr(0, name.size() - 3)};
    kernel.lds_bytes = get<u32>(image_, at);
    kernel.private_bytes = get<u32>(image_, at + 4);
    kernel.code_offset = at + get<u64>(image_, at + 16);
    kernel.rsrc3 = get<u32>(image_, at + 44);
    kernel.rsrc1 = get<u32>(image_, at + 48);
    kernel.rsrc2 = get<u32>(image_, at + 52);
    kernel.properties = get<u16>(image_, at + 56);
    kernels_.push_back(std::move(kernel));
  }
  const auto symbols = symbols_of(elf);
  for (GpuKernel& kernel : kernels_) kernel.code_bytes = u32(symbols.at(kernel.name).size);
}

void GpuUnit::map_into(AddressSpace& space) const {
  for (const Segment& segment : segments_)
    space.insert({base_ + segment.address, segment.size_bytes, image_.data() + segment.address, nullptr, segment.access,
                  true, "code object"});
}

std::span<u32> GpuUnit::code() {
  for (const Segment& segment : segments_)
    if (segment.access & access_execute)
      return {reinterpret_cast<u32*>(image_.data() + segment.address), segment.size_bytes / 4};
  return {};
}

const GpuKernel& GpuUnit::kernel(const std::string& name) const {
  for (const GpuKernel& kernel : kernels_)
    if (kernel.name == name) return kernel;
  check(false, "the kernel is in its unit");
  return kernels_.front();
}

}  // namespace amlm::isa::differential
