#include "driver/code_object.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "driver/elf_image.h"
#include "driver/tables/tables.h"

namespace amlm {

namespace {

constexpr u32 descriptor_bytes = 64;
constexpr u32 code_alignment_bytes = 256;            // COMPUTE_PGM_LO holds the address >> 8
constexpr u32 padding_bytes = 256;                   // instruction prefetch runs past the end (RDNA3.5 ISA guide 2.4)
constexpr u32 s_code_end = 0xBF9F0000;
constexpr u32 lds_limit_bytes = 64 << 10;
constexpr u32 scratch_granule_bytes = 256, scratch_granules = 0x7fff;   // COMPUTE_TMPRING_SIZE.WAVESIZE
static_assert(std::endian::native == std::endian::little);

// kernel_code_properties: what else a kernel may want in its user SGPRs. We give the kernarg pointer alone.
constexpr struct { u32 bit; const char* what; } refused_properties[] = {
    {0, "a private segment buffer"}, {1, "a dispatch packet pointer"}, {2, "a queue pointer"}, {4, "a dispatch id"},
    {5, "flat scratch"}, {6, "the private segment size"}, {11, "a dynamic stack"}};
constexpr u32 kernarg_property = 1 << 3, wave32_property = 1 << 10;

struct Descriptor {                                  // AMDGPUUsage, "Kernel Descriptor"
  u32 lds_bytes, scratch_bytes, kernarg_bytes, reserved_0;
  i64 entry_offset_bytes;
  u8 reserved_1[20];
  u32 rsrc3, rsrc1, rsrc2;
  u16 properties, preload;
  u32 reserved_2;
};
static_assert(sizeof(Descriptor) == descriptor_bytes);

std::unexpected<Error> wrong(const std::string& name, const std::string& what) {
  return fail(ErrorCode::failed, "code object: kernel " + name + " " + what);
}

Result<void> check_demands(const std::string& name, const Descriptor& kd) {
  for (const auto& [bit, what] : refused_properties)
    if (kd.properties >> bit & 1) return wrong(name, std::string("wants ") + what + ", which amlm does not provide");
  if (kd.preload != 0) return wrong(name, "wants preloaded kernargs, which gfx1151 does not have");
  const u32 wave_lanes = kd.properties & wave32_property ? 32 : 64;
  if (kd.scratch_bytes > scratch_granules * scratch_granule_bytes / wave_lanes)
    return wrong(name, text("wants %u bytes of scratch a lane; the chip gives %u", kd.scratch_bytes,
                            scratch_granules * scratch_granule_bytes / wave_lanes));
  if (kd.lds_bytes > lds_limit_bytes)
    return wrong(name, text("wants %u bytes of LDS; a workgroup has 65536", kd.lds_bytes));
  const auto rsrc1 = reg::compute_pgm_rsrc1::read(kd.rsrc1);
  const auto rsrc2 = reg::compute_pgm_rsrc2::read(kd.rsrc2);
  const u32 user_sgprs = kd.properties & kernarg_property ? 2 : 0;
  if (rsrc2.user_sgpr != user_sgprs)
    return wrong(name, text("has %u user SGPRs; the kernarg pointer makes %u", rsrc2.user_sgpr, user_sgprs));
  if (user_sgprs == 0 && kd.kernarg_bytes != 0) return wrong(name, "has kernargs and no pointer to them");
  if (rsrc1.priv != 0) return wrong(name, "wants to be privileged");
  if ((rsrc2.scratch_en != 0) != (kd.scratch_bytes != 0))
    return wrong(name, kd.scratch_bytes == 0 ? "enables scratch and states no size"
                                             : "states scratch and does not enable it");
  if (rsrc2.trap_present != 0) return wrong(name, "wants a trap handler, which amlm does not provide");
  const std::pair<const char*, u32> registers[] = {
      {"COMPUTE_PGM_RSRC1", kd.rsrc1}, {"COMPUTE_PGM_RSRC2", kd.rsrc2}, {"COMPUTE_PGM_RSRC3", kd.rsrc3}};
  for (const auto& [register_name, word] : registers)
    if (const u32 rest = reserved_bits(find_register(register_name)->fields, word); rest != 0)
      return wrong(name, text("sets reserved bits 0x%x of %s", rest, register_name));
  return {};
}

Result<Kernel> read_kernel(const ElfImage& elf, const ElfSymbol& symbol) {
  const std::string name = symbol.name.substr(0, symbol.name.size() - 3);
  if (symbol.value % descriptor_bytes != 0 || symbol.value > elf.bytes.size() ||
      elf.bytes.size() - symbol.value < descriptor_bytes)
    return wrong(name, text("has a descriptor outside of the image (address 0x%llx)",
                            static_cast<unsigned long long>(symbol.value)));
  Descriptor kd;
  std::memcpy(&kd, elf.bytes.data() + symbol.value, sizeof kd);
  TRY_VOID(check_demands(name, kd));
  const u64 entry = symbol.value + u64(kd.entry_offset_bytes);
  if (!elf.is_executable(entry) || entry % code_alignment_bytes != 0)
    return wrong(
        name, text("starts at 0x%llx, which is not 256-byte aligned code", static_cast<unsigned long long>(entry)));
  Kernel kernel{.name = name, .code_va = entry, .rsrc1 = kd.rsrc1, .rsrc2 = kd.rsrc2, .rsrc3 = kd.rsrc3,
                .kernarg_bytes = kd.kernarg_bytes, .lds_bytes = kd.lds_bytes, .scratch_lane_bytes = kd.scratch_bytes,
                .wave_lanes = kd.properties & wave32_property ? 32u : 64u};
  if (const ElfSymbol* code = elf.find(name)) {
    if (code->size > elf.bytes.size() || entry > elf.bytes.size() - code->size)
      return wrong(name, "is longer than the image");
    kernel.code_bytes = u32(code->size);
  }
  if (const ElfSymbol* lanes = elf.find(name + ".group_lanes")) {
    if (lanes->value == 0 || lanes->value > 1024)
      return wrong(name, text("states a workgroup of %llu lanes", static_cast<unsigned long long>(lanes->value)));
    kernel.group_lanes = u32(lanes->value);
  }
  return kernel;
}

}  // namespace

u32 Kernel::scratch_wave_bytes() const {
  return (scratch_lane_bytes * wave_lanes + scratch_granule_bytes - 1) / scratch_granule_bytes * scratch_granule_bytes;
}

Result<CodeImage> parse_code_object(std::span<const u8> file) {
  ElfImage elf = TRY(read_elf(file));
  CodeImage image;
  for (const auto& symbol : elf.symbols) {
    if (symbol.is_absolute) {
      if (symbol.value <= ~0u) image.symbols.emplace_back(symbol.name, u32(symbol.value));
    } else if (symbol.name.size() > 3 && symbol.name.ends_with(".kd")) {
      if (auto kernel = read_kernel(elf, symbol)) image.kernels.push_back(std::move(*kernel));
      else image.refused.emplace_back(symbol.name.substr(0, symbol.name.size() - 3), kernel.error());
    }
  }
  if (image.kernels.empty() && image.refused.empty()) return fail(ErrorCode::failed, "code object: it holds no kernel");
  std::ranges::sort(image.kernels, {}, &Kernel::name);
  std::ranges::sort(image.symbols);
  image.bytes = std::move(elf.bytes);
  image.bytes.resize((image.bytes.size() + 3) / 4 * 4);
  for (u32 i = 0; i < padding_bytes; i += 4)
    for (u32 byte = 0; byte < 4; byte++) image.bytes.push_back(u8(s_code_end >> 8 * byte));
  return image;
}

Result<CodeObject> CodeObject::load(Device& device, std::span<const u8> elf, std::string label) {
  CodeImage image = TRY(parse_code_object(elf));
  CodeObject object;
  object.buffer_ =
      TRY(device.allocate({.size_bytes = image.bytes.size(), .use = MemoryUse::code, .label = std::move(label)}));
  std::memcpy(object.buffer_.data(), image.bytes.data(), image.bytes.size());
  object.kernels_ = std::move(image.kernels);
  object.symbols_ = std::move(image.symbols);
  for (auto& kernel : object.kernels_) kernel.code_va += object.buffer_.va();
  return object;
}

const Kernel* CodeObject::find(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(kernels_, name, {}, [](const Kernel& k) { return std::string_view(k.name); });
  return found != kernels_.end() && found->name == name ? &*found : nullptr;
}

u32 CodeObject::symbol(std::string_view name) const {
  const auto found =
      std::ranges::lower_bound(symbols_, name, {}, [](const auto& s) { return std::string_view(s.first); });
  return found != symbols_.end() && found->first == name ? found->second : ~0u;
}

std::string CodeObject::describe(u64 va) const {
  for (const auto& kernel : kernels_) {
    if (va < kernel.code_va || va - kernel.code_va >= std::max(kernel.code_bytes, 4u)) continue;
    return va == kernel.code_va
               ? kernel.name
               : text("%s+0x%llx", kernel.name.c_str(), static_cast<unsigned long long>(va - kernel.code_va));
  }
  return "";
}

}  // namespace amlm
