#include "driver/virtual/kernel.h"

#include <stdlib.h>

#include <iterator>

namespace amlm::vgpu {

namespace {

// Timeouts: driver.md 3.5. DRM minors: driver.md 3.1 for 6.12 and 7.3; 6.17 has the user queue query (3.64), which came
// with them in 6.16, as did the longer GEM_VA and HW_IP_INFO. Innocent work is emitted again from 6.17 on (amd-gfx,
// June 2025). GEM_OP grew with GET_MAPPING_INFO after 6.17.
constexpr KernelVersion rows[] = {
    {.name = "6.12", .release = "6.12.107", .drm_minor = 61, .job_timeout_ms = 60'000, .hw_ip_bytes = 32,
     .gem_va_bytes = 40, .gem_op_bytes = 16, .has_user_queues = false, .has_reset_masks = false, .checks_ib_size = false,
     .reruns_innocent_work = false},
    {.name = "6.17", .release = "6.17.9", .drm_minor = 64, .job_timeout_ms = 10'000, .hw_ip_bytes = 40,
     .gem_va_bytes = 64, .gem_op_bytes = 16, .has_user_queues = true, .has_reset_masks = true, .checks_ib_size = false,
     .reruns_innocent_work = true},
    {.name = "7.3", .release = "7.3.4", .drm_minor = 64, .job_timeout_ms = 2'000, .hw_ip_bytes = 40, .gem_va_bytes = 64,
     .gem_op_bytes = 24, .has_user_queues = true, .has_reset_masks = true, .checks_ib_size = true,
     .reruns_innocent_work = true},
};

}  // namespace

const KernelVersion* find_kernel(std::string_view name) {
  for (const KernelVersion& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

const KernelVersion& newest_kernel() { return rows[std::size(rows) - 1]; }

const KernelVersion* pretended_kernel() {
  const char* name = getenv("AMLM_VGPU_KERNEL");
  return name ? find_kernel(name) : nullptr;
}

}  // namespace amlm::vgpu
