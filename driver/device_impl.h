// What stands behind Device; for driver/*.cpp only.
#pragma once

#include <amdgpu.h>
#include <amdgpu_drm.h>

#include <map>

#include "driver/device.h"

namespace amlm {

struct Device::Impl {
  int fd = -1;
  amdgpu_device_handle handle = nullptr;
  DeviceFacts facts;
  struct Named { u64 size_bytes; std::string label; };
  std::map<u64, Named> buffers;        // by VA
  u64 allocations = 0;
  u64 jobs_in_flight = 0;              // submitted by our queue and not yet seen to end

  bool holds(u64 va) const;            // inside of a buffer

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();
};

// One INFO query into `bytes` (larger than the kernel's structure is fine: the rest stays as it is). 0 or -errno.
struct InfoQuery { u32 id = 0, type = 0, instance = 0, index = 0; };
int query_info(int fd, const InfoQuery& query, void* bytes, u32 size_bytes);

// Reads a small file of /sys by open and read: "" when it is not there. Trailing white space is cut.
std::string read_small_file(const std::string& path);

// A render node that is a gfx1151 and may be used. The Error says why not; `code` ranks the reasons.
Result<std::unique_ptr<Device::Impl>> open_node(const std::string& node);

// All facts of an initialised device but node and DRM version.
Result<void> read_facts(Device::Impl& device);

struct JobTimeout { u64 ms = 0; std::string source; };
// Of compute rings. `parameter` is amdgpu.lockup_timeout as sysfs shows it.
JobTimeout job_timeout(const std::string& parameter, const std::string& kernel_release);

}  // namespace amlm
