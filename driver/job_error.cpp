#include "driver/job_error.h"

#include <cerrno>
#include <cstring>

#include "driver/device_impl.h"

namespace amlm {

namespace {

constexpr u32 info_gpuvm_fault = 0x23;       // AMDGPU_INFO_GPUVM_FAULT, from DRM 3.55 on; absent from older headers
struct GpuvmFault { u64 va; u32 status, hub; };

// Flags of CTX QUERY_STATE2; older headers lack the last one.
constexpr u64 state_reset = 1, state_vram_lost = 2, state_guilty = 4, state_reset_in_progress = 0x20;

// RW of GCVM_L2_PROTECTION_FAULT_STATUS in GC 11 (Linux include/asic_reg/gc/gc_11_0_0_sh_mask.h). Its permission bits
// do not tell a page without the right from no page at all; our own list of buffers does.
constexpr u32 fault_write = 1 << 18;

std::string reason_of(const JobFailure& failure) {
  switch (failure.errno_value) {
    case ETIME:
      if (failure.job_timeout_ms == 0) return "the kernel cancelled our GPU job because it hung (ETIME)";
      return text("the kernel cancelled our GPU job: it did not finish within the job timeout of %llu ms (%s; ETIME)",
                  static_cast<unsigned long long>(failure.job_timeout_ms), failure.job_timeout_source.c_str());
    case ENODATA: return "the kernel stopped our GPU job, which hung (ENODATA: soft recovery)";
    case ECANCELED:
      return failure.context_state & state_guilty
                 ? "the kernel cancelled our GPU job after an earlier one of ours had hung (ECANCELED)"
                 : "the kernel cancelled our GPU job because the GPU was reset, not through our fault (ECANCELED)";
    default: return text("the GPU job failed: %s", std::strerror(failure.errno_value));
  }
}

}  // namespace

std::string sentence_of(const JobFailure& failure) {
  std::string sentence = reason_of(failure);
  if (failure.has_fault) {
    const char* access = failure.fault_status & fault_write ? "write" : "read";
    const char* place = failure.fault_place.c_str();
    sentence += failure.fault_in_buffer ? text("; page fault: %s of %s, which its pages do not allow", access, place)
                                        : text("; page fault: %s at %s", access, place);
  }
  std::string states;
  const auto state = [&](u64 flag, const char* name) {
    if (failure.context_state & flag) states += (states.empty() ? "" : ", ") + std::string(name);
  };
  state(state_guilty, "guilty");
  state(state_reset, "the GPU was reset");
  state(state_reset_in_progress, "a reset is under way");
  state(state_vram_lost, "VRAM contents were lost");
  if (!states.empty()) sentence += "; context: " + states;
  return sentence + ". The kernel's own report: dmesg, /sys/class/drm/card*/device/devcoredump/data";
}

Error job_error(Device& device, amdgpu_context_handle context, int errno_value) {
  JobFailure failure{.errno_value = errno_value, .job_timeout_ms = device.facts().job_timeout_ms,
                     .job_timeout_source = device.facts().job_timeout_source};
  if (amdgpu_cs_query_reset_state2(context, &failure.context_state) != 0) failure.context_state = 0;
  GpuvmFault fault{};
  if (query_info(device.impl().fd, {.id = info_gpuvm_fault}, &fault, sizeof fault) == 0 && fault.status != 0) {
    failure.has_fault = true;
    failure.fault_va = fault.va;
    failure.fault_status = fault.status;
    failure.fault_in_buffer = device.impl().holds(fault.va);
    failure.fault_place = device.describe(fault.va);
  }
  return {ErrorCode::gpu_fault, errno_value, sentence_of(failure)};
}

}  // namespace amlm
