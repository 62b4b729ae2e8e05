// What the kernel says of the device.
#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "driver/device_impl.h"

namespace amlm {

namespace {

constexpr u32 strix_halo = 0x1586;
constexpr u32 memory_type_lpddr5 = 12;       // AMDGPU_VRAM_TYPE_LPDDR5; absent from older headers
constexpr u32 discovery_offset = 28;         // of ip_discovery_version in drm_amdgpu_info_hw_ip; once padding

// INFO FW_VERSION types that a compute job depends on, as the kernel numbers them.
constexpr struct { u32 type; const char* name; } firmware_types[] = {
    {0x04, "ME"}, {0x05, "PFP"}, {0x07, "RLC"}, {0x08, "MEC"}, {0x0A, "SMC"}, {0x0B, "SDMA"}, {0x19, "MES_KIQ"},
    {0x1A, "MES"}, {0x1B, "IMU"}};

std::string marketing_name(const Device::Impl& device) {
  // libdrm's list is older than the chip on Debian 12 and gives a general name.
  if (device.facts.pci_device == strix_halo && device.facts.pci_revision == 0xC1) return "AMD Radeon 8060S Graphics";
  const char* name = amdgpu_get_marketing_name(device.handle);
  if (name != nullptr) return name;
  return text("AMD GPU 1002:%04x rev %02x", device.facts.pci_device, device.facts.pci_revision);
}

Result<void> ask(const Device::Impl& device, const InfoQuery& query, void* bytes, u32 size_bytes, const char* what) {
  if (const int error = query_info(device.fd, query, bytes, size_bytes); error != 0)
    return fail(ErrorCode::kernel, text("%s: the kernel refuses to tell its %s: %s", device.facts.node.c_str(), what,
                                        std::strerror(-error)), -error);
  return {};
}

Result<void> read_device_info(Device::Impl& device) {
  drm_amdgpu_info_device info{};
  TRY_VOID(ask(device, {.id = AMDGPU_INFO_DEV_INFO}, &info, sizeof info, "device information"));
  DeviceFacts& facts = device.facts;
  facts.pci_device = info.device_id;
  facts.pci_revision = info.pci_rev;
  facts.family = info.family;
  facts.external_revision = info.external_rev;
  facts.compute_units = info.cu_active_number;
  facts.shader_engines = info.num_shader_engines;
  facts.shader_arrays = info.num_shader_arrays_per_engine;
  facts.max_engine_clock_khz = info.max_engine_clock;
  facts.max_memory_clock_khz = info.max_memory_clock;
  facts.counter_khz = info.gpu_counter_freq;
  facts.memory_bus_bits = info.vram_bit_width;
  facts.memory_type = info.vram_type;
  facts.va_start = info.virtual_address_offset;
  facts.va_end = info.virtual_address_max;
  facts.va_alignment = info.virtual_address_alignment;
  facts.pte_fragment_bytes = info.pte_fragment_size;
  return {};
}

Result<void> read_rings(Device::Impl& device) {
  u8 bytes[128]{};
  static_assert(sizeof(drm_amdgpu_info_hw_ip) <= sizeof bytes);
  const auto read = [&](u32 type) {
    std::memset(bytes, 0, sizeof bytes);
    return ask(device, {.id = AMDGPU_INFO_HW_IP_INFO, .type = type}, bytes, sizeof bytes, "hardware blocks");
  };
  DeviceFacts& facts = device.facts;
  // GFX and compute are one block; a device may offer no graphics ring, then the compute entry alone names the version.
  for (const u32 type : {AMDGPU_HW_IP_GFX, AMDGPU_HW_IP_COMPUTE}) {
    TRY_VOID(read(type));
    u32 discovery = 0;
    std::memcpy(&discovery, bytes + discovery_offset, sizeof discovery);
    if (discovery == 0) continue;
    facts.gfx_major = discovery >> 16 & 0xff;
    facts.gfx_minor = discovery >> 8 & 0xff;
    facts.gfx_step = discovery & 0xff;
  }
  drm_amdgpu_info_hw_ip compute{};
  std::memcpy(&compute, bytes, sizeof compute);
  facts.compute_rings = u32(__builtin_popcount(compute.available_rings));
  facts.ib_start_alignment = compute.ib_start_alignment;
  facts.ib_size_alignment = compute.ib_size_alignment;
  return {};
}

Result<void> read_memory(Device::Impl& device) {
  drm_amdgpu_memory_info info{};
  TRY_VOID(ask(device, {.id = AMDGPU_INFO_MEMORY}, &info, sizeof info, "memory"));
  DeviceFacts& facts = device.facts;
  facts.gtt_total_bytes = info.gtt.usable_heap_size;
  facts.gtt_used_bytes = info.gtt.heap_usage;
  facts.gtt_max_allocation_bytes = info.gtt.max_allocation;
  facts.vram_total_bytes = info.vram.total_heap_size;
  facts.vram_used_bytes = info.vram.heap_usage;
  return {};
}

void read_firmware(Device::Impl& device) {
  for (const auto& [type, name] : firmware_types) {
    drm_amdgpu_info_firmware version{};
    if (query_info(device.fd, {.id = AMDGPU_INFO_FW_VERSION, .type = type}, &version, sizeof version) == 0)
      device.facts.firmware.push_back({name, version.ver, version.feature});
  }
}

}  // namespace

int query_info(int fd, const InfoQuery& query, void* bytes, u32 size_bytes) {
  drm_amdgpu_info request{};
  request.return_pointer = reinterpret_cast<std::uintptr_t>(bytes);
  request.return_size = size_bytes;
  request.query = query.id;
  if (query.id == AMDGPU_INFO_FW_VERSION) {
    request.query_fw.fw_type = query.type;
    request.query_fw.ip_instance = query.instance;
    request.query_fw.index = query.index;
  } else {
    request.query_hw_ip.type = query.type;
    request.query_hw_ip.ip_instance = query.instance;
  }
  return drmCommandWrite(fd, DRM_AMDGPU_INFO, &request, sizeof request);
}

std::string read_small_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char bytes[256];
  const ssize_t got = ::read(fd, bytes, sizeof bytes);
  ::close(fd);
  std::string result(bytes, got > 0 ? std::size_t(got) : 0);
  result.erase(result.find_last_not_of(" \n\t\r") + 1);
  return result;
}

Result<void> read_facts(Device::Impl& device) {
  utsname system{};
  uname(&system);
  device.facts.kernel_release = system.release;
  TRY_VOID(read_device_info(device));
  TRY_VOID(read_rings(device));
  TRY_VOID(read_memory(device));
  read_firmware(device);
  device.facts.marketing_name = marketing_name(device);
  const auto timeout = job_timeout(read_small_file("/sys/module/amdgpu/parameters/lockup_timeout"), system.release);
  device.facts.job_timeout_ms = timeout.ms;
  device.facts.job_timeout_source = timeout.source;
  return {};
}

// Defaults: 60 s up to the 6.12 LTS kernel, 10 s as described in 6.17, 2 s in 7.x
// (amdgpu_device_get_job_timeout_settings, amdgpu_drv.c). The versions between are taken at the lower figure.
JobTimeout job_timeout(const std::string& parameter, const std::string& kernel_release) {
  int major = 0, minor = 0;
  const bool known = std::sscanf(kernel_release.c_str(), "%d.%d", &major, &minor) == 2;
  const u64 standard_ms = !known || major >= 7 ? 2000 : major == 6 && minor > 12 ? 10000 : 60000;
  const std::string standard = known ? text("default of Linux %d.%d", major, minor) : "lowest known default";
  long long values[4] = {};
  const int count =
      std::sscanf(parameter.c_str(), "%lld,%lld,%lld,%lld", &values[0], &values[1], &values[2], &values[3]);
  const std::string given = "amdgpu.lockup_timeout=" + parameter;
  if (count >= 2) {
    if (values[1] < 0) return {0, given};
    if (values[1] > 0) return {u64(values[1]), given};
  } else if (count == 1 && values[0] > 0 && u64(values[0]) < standard_ms) {
    // One value alone: some kernels apply it to compute, some do not. The lower one is safe in both.
    return {u64(values[0]), given};
  }
  return {standard_ms, standard};
}

double DeviceFacts::memory_limit_gbps() const {
  if (max_memory_clock_khz == 0 || memory_bus_bits == 0) return 256;
  // LPDDR5 moves 8 bits a pin for each clock that the kernel reports; the DDR types 2.
  const double bits_per_clock = memory_type == memory_type_lpddr5 ? 8 : 2;
  return double(memory_bus_bits) / 8 * bits_per_clock * double(max_memory_clock_khz) * 1e3 / 1e9;
}

u64 DeviceFacts::job_budget_ms() const { return job_timeout_ms == 0 ? 500 : std::min<u64>(job_timeout_ms / 4, 500); }

}  // namespace amlm
