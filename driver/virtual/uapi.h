// The kernel's DRM and amdgpu interface, with what Debian 12's libdrm headers are too old to know.
// Source of the additions: Linux 7.3 include/uapi/drm/amdgpu_drm.h (driver.md 3.1). Old clients pass shorter
// structures: the ioctl dispatcher copies min(size) both ways, so only the newest layout stands here.
#pragma once

#include <amdgpu_drm.h>
#include <drm.h>

#include "driver/base.h"

namespace amlm::vgpu::uapi {

struct GemVa {
  u32 handle, pad, operation, flags;
  u64 va_address, offset_in_bo, map_size;
  u64 timeline_point;
  u32 timeline_syncobj_out, syncobj_count;
  u64 input_syncobjs;
};
static_assert(sizeof(GemVa) == 64);

struct GemOp {
  u32 handle, op;
  u64 value;
  u32 entry_count, pad;
};
static_assert(sizeof(GemOp) == 24);

struct HwIpInfo {
  u32 version_major, version_minor;
  u64 capabilities;
  u32 ib_start_alignment, ib_size_alignment, available_rings, ip_discovery_version;
  u32 userq_slots, pad;
};
static_assert(sizeof(HwIpInfo) == 40);

struct DeviceInfo {
  u32 device_id, chip_rev, external_rev, pci_rev, family, shader_engines, arrays_per_engine, counter_khz;
  u64 max_engine_clock, max_memory_clock;
  u32 cu_active, cu_ao_mask;
  u32 cu_bitmap[4][4];
  u32 rb_pipes_mask, rb_pipes, gfx_contexts, pcie_gen;
  u64 ids_flags, va_offset, va_max;
  u32 va_alignment, pte_fragment, gart_page, ce_ram, vram_type, vram_bits, vce_harvest, double_offchip_lds;
  u64 prim_buf, pos_buf, cntl_sb_buf, param_buf;
  u32 prim_buf_size, pos_buf_size, cntl_sb_buf_size, param_buf_size;
  u32 wave_lanes, shader_visible_vgprs, cu_per_array, tcc_blocks, gs_vgt_table_depth, gs_prim_buffer_depth;
  u32 max_gs_waves_per_vgt, pcie_lanes;
  u32 cu_ao_bitmap[4][4];
  u64 high_va_offset, high_va_max;
  u32 tile_steering_override, pad0;
  u64 tcc_disabled_mask;
  u64 min_engine_clock, min_memory_clock;
  u32 tcp_kib, sqc_per_wgp, sqc_data_kib, sqc_inst_kib, gl1c_kib, gl2c_kib;
  u64 mall_bytes;
  u32 rb_pipes_mask_hi, shadow_size, shadow_alignment, csa_size, csa_alignment, userq_ip_mask;
};
static_assert(sizeof(DeviceInfo) == 440);
static_assert(offsetof(DeviceInfo, min_engine_clock) == 368);

struct GpuvmFault {
  u64 address;
  u32 status, vmhub;
};

inline constexpr u64 gem_create_discardable = 1u << 12, gem_create_gfx12_dcc = 1u << 16;
inline constexpr u32 vm_page_noalloc = 1u << 9;
inline constexpr u32 chunk_cp_gfx_shadow = 0x0a;
inline constexpr u32 info_max_ibs = 0x22, info_gpuvm_fault = 0x23;
inline constexpr u32 sensor_peak_sclk = 0xa, sensor_peak_mclk = 0xb, sensor_input_power = 0xc;
inline constexpr u32 family_gfx1150 = 150;
inline constexpr u32 syncobj_wait_deadline = 1u << 3;

// libdrm 2.4.114 ends these two before their deadline fields.
struct SyncobjWait {
  u64 handles;
  i64 timeout_ns;
  u32 count, flags, first_signaled, pad;
  u64 deadline_ns;
};
struct SyncobjTimelineWait {
  u64 handles, points;
  i64 timeout_ns;
  u32 count, flags, first_signaled, pad;
  u64 deadline_ns;
};
struct SyncobjEventfd {
  u32 handle, flags;
  u64 point;
  i32 fd;
  u32 pad;
};
inline constexpr u32 syncobj_fd_timeline = 1u << 1;          // of both ioctls between handles and descriptors
struct SyncobjHandle {
  u32 handle, flags;
  i32 fd;
  u32 pad;
  u64 point;
};

}  // namespace amlm::vgpu::uapi
