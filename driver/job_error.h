// One sentence for a job that the kernel gave up.
#pragma once

#include <amdgpu.h>

#include "driver/device.h"

namespace amlm {

// What the kernel knows of a failed job. Made by job_error from ioctls; apart from it so that the sentence can be
// tested.
struct JobFailure {
  int errno_value = 0;              // positive
  u64 context_state = 0;            // AMDGPU_CTX_QUERY2_FLAGS_*
  bool has_fault = false;
  u64 fault_va = 0;
  u32 fault_status = 0;             // GCVM_L2_PROTECTION_FAULT_STATUS
  bool fault_in_buffer = false;     // the address is ours: then the page has not the right that the access needs
  std::string fault_place;          // Device::describe(fault_va)
  u64 job_timeout_ms = 0;
  std::string job_timeout_source;
};
std::string sentence_of(const JobFailure& failure);

// errno_value: what WAIT_CS or CS returned, positive.
Error job_error(Device& device, amdgpu_context_handle context, int errno_value);

}  // namespace amlm
