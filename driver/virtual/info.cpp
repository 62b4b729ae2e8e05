// The INFO ioctl. Every answer is either a fact of the chip or kernel with its source in gfx1151_facts(), a count
// of this device, or taken from a record of a real machine (AMLM_VGPU_RECORD).
#include <errno.h>
#include <string.h>

#include "driver/virtual/context.h"
#include "driver/virtual/facts.h"
#include "driver/virtual/handlers.h"

namespace amlm::vgpu {

namespace {

constexpr u32 last_firmware_type = 0x1b;      // IMU

struct Answer { const void* data; u32 size_bytes; };

// Copies what fits, as the kernel does.
int give(const drm_amdgpu_info& args, Answer answer) {
  const u32 size = std::min(args.return_size, answer.size_bytes);
  if (bad_pointer(args.return_pointer, size)) return -EFAULT;
  memcpy(user_array<u8>(args.return_pointer), answer.data, size);
  return 0;
}

template <class T>
int give(const drm_amdgpu_info& args, const T& value) { return give(args, Answer{&value, sizeof value}); }
int give(const drm_amdgpu_info& args, const std::vector<u8>& raw) {
  return give(args, Answer{raw.data(), u32(raw.size())});
}

drm_amdgpu_heap_info heap(u64 total, u64 used) {
  return {.total_heap_size = total, .usable_heap_size = total, .heap_usage = used, .max_allocation = total / 4 * 3};
}

int give_memory(Call& call, const drm_amdgpu_info& args) {
  drm_amdgpu_memory_info memory{};
  memory.vram = memory.cpu_accessible_vram = heap(call.gpu.config.vram_bytes, 0);
  memory.gtt = heap(call.gpu.config.gtt_bytes, call.gpu.pool.taken());
  return give(args, memory);
}

int give_hw_ip(const Facts& facts, const drm_amdgpu_info& args) {
  if (args.query_hw_ip.type >= AMDGPU_HW_IP_NUM || args.query_hw_ip.ip_instance != 0) return -EINVAL;
  for (const auto& row : facts.hw_ip)
    if (row.type == args.query_hw_ip.type) return give(args, row.raw);
  return give(args, uapi::HwIpInfo{});       // an IP that this device lacks: no rings
}

int give_hw_ip_count(const Facts& facts, const drm_amdgpu_info& args) {
  if (args.query_hw_ip.type >= AMDGPU_HW_IP_NUM) return -EINVAL;
  for (const auto& row : facts.hw_ip)
    if (row.type == args.query_hw_ip.type) return give(args, row.count);
  return give(args, 0u);
}

int give_firmware(const Facts& facts, const drm_amdgpu_info& args) {
  if (args.query_fw.ip_instance != 0) return -EINVAL;
  for (const auto& row : facts.firmware)
    if (row.type == args.query_fw.fw_type)
      return give(args, drm_amdgpu_info_firmware{.ver = row.version, .feature = row.feature});
  // Firmware that this chip does not have: the kernel answers 0 for every type that it knows.
  return args.query_fw.fw_type >= 1 && args.query_fw.fw_type <= last_firmware_type
             ? give(args, drm_amdgpu_info_firmware{}) : -EINVAL;
}

int give_registers(const drm_amdgpu_info& args) {
  const auto& request = args.read_mmr_reg;
  if (request.count == 0 || request.count > 128) return -EINVAL;
  std::vector<u32> values;
  for (u32 i = 0; i < request.count; ++i) {
    const auto value = readable_register(request.dword_offset + i);
    if (!value) return -EFAULT;              // what the kernel answers for a register off its list
    values.push_back(*value);
  }
  return give(args, Answer{values.data(), u32(values.size() * 4)});
}

int give_sensor(Call& call, const drm_amdgpu_info& args) {
  const auto value = sensor(args.sensor_info.type, call.gpu.pstate);
  return value ? give(args, *value) : -EOPNOTSUPP;
}

int give_fault(Call& call, const drm_amdgpu_info& args) { return give(args, call.file.vm->last_fault); }

}  // namespace

int info(Call& call, void* data) {
  const auto& args = *static_cast<const drm_amdgpu_info*>(data);
  if (args.return_size == 0 || args.return_pointer == 0) return -EINVAL;
  const Facts& facts = gfx1151_facts();
  switch (args.query) {
    case AMDGPU_INFO_ACCEL_WORKING: return give(args, 1u);
    case AMDGPU_INFO_HW_IP_INFO: return give_hw_ip(facts, args);
    case AMDGPU_INFO_HW_IP_COUNT: return give_hw_ip_count(facts, args);
    case AMDGPU_INFO_TIMESTAMP: return give(args, Gpu::ticks(call.gpu.now_ns()));
    case AMDGPU_INFO_FW_VERSION: return give_firmware(facts, args);
    case AMDGPU_INFO_NUM_BYTES_MOVED: return give(args, call.gpu.bytes_moved);
    case AMDGPU_INFO_NUM_EVICTIONS: return give(args, u64(0));          // nothing is ever evicted here
    case AMDGPU_INFO_NUM_VRAM_CPU_PAGE_FAULTS: return give(args, u64(0));
    case AMDGPU_INFO_VRAM_USAGE:
    case AMDGPU_INFO_VIS_VRAM_USAGE: return give(args, u64(0));
    case AMDGPU_INFO_GTT_USAGE: return give(args, call.gpu.pool.taken());
    case AMDGPU_INFO_GDS_CONFIG: return give(args, drm_amdgpu_info_gds{});
    case AMDGPU_INFO_VRAM_GTT:
      return give(args, drm_amdgpu_info_vram_gtt{.vram_size = call.gpu.config.vram_bytes,
                                                 .vram_cpu_accessible_size = call.gpu.config.vram_bytes,
                                                 .gtt_size = call.gpu.config.gtt_bytes});
    case AMDGPU_INFO_READ_MMR_REG: return give_registers(args);
    case AMDGPU_INFO_DEV_INFO: return give(args, facts.dev_info);
    case AMDGPU_INFO_MEMORY: return give_memory(call, args);
    case AMDGPU_INFO_SENSOR: return give_sensor(call, args);
    case AMDGPU_INFO_VRAM_LOST_COUNTER: return give(args, call.gpu.vram_lost_counter);
    case AMDGPU_INFO_RAS_ENABLED_FEATURES: return give(args, u64(0));
    case AMDGPU_INFO_VIDEO_CAPS: return give(args, drm_amdgpu_info_video_caps{});   // no video engines
    case uapi::info_max_ibs: return give(args, facts.max_ibs);
    case uapi::info_gpuvm_fault: return give_fault(call, args);
    default: return -EINVAL;
  }
}

}  // namespace amlm::vgpu
