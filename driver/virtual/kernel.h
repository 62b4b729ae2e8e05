// The kernel versions that the device can pretend to be, and what differs between them for a client.
#pragma once

#include <string_view>

#include "driver/base.h"

namespace amlm::vgpu {

struct KernelVersion {
  std::string_view name;              // AMLM_VGPU_KERNEL
  const char* release;                // uname -r
  u32 drm_minor;
  u64 job_timeout_ms;                 // of compute rings
  u32 hw_ip_bytes;                    // of drm_amdgpu_info_hw_ip; longer requests get no more
  u32 gem_va_bytes, gem_op_bytes;     // what the handlers read of a longer structure
  bool has_user_queues;               // the module parameter and DEV_INFO's field
  bool has_reset_masks;               // in sysfs
  bool checks_ib_size;                // more than 0xfffff dwords: EINVAL
  bool reruns_innocent_work;          // after a queue's reset; before, what ran on the ring was cancelled
};

const KernelVersion* find_kernel(std::string_view name);   // null when there is no such row
const KernelVersion& newest_kernel();
// The one that the environment names, null when it names none. For uname(), which is called before there is a device.
const KernelVersion* pretended_kernel();

}  // namespace amlm::vgpu
