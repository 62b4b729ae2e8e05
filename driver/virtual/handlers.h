// The ioctl handlers, one a row of ioctl.cpp's table. They run with Gpu::mutex held and return 0 or -errno.
#pragma once

#include "driver/virtual/file.h"

namespace amlm::vgpu {

struct Call {
  File& file;
  Gpu& gpu;
  Lock& lock;            // of gpu.mutex; waits release it
  int fence_error = 0;   // positive: what a fault script makes of the fences that a wait finds signalled
};

using Handler = int (*)(Call& call, void* data);

// DRM core
int drm_version(Call&, void*);
int drm_get_unique(Call&, void*);
int drm_get_cap(Call&, void*);
int drm_set_client_cap(Call&, void*);
int drm_set_version(Call&, void*);
int drm_get_magic(Call&, void*);
int drm_get_client(Call&, void*);
int drm_change_master(Call&, void*);
int drm_no_display(Call&, void*);
int gem_close(Call&, void*);
int gem_flink(Call&, void*);
int gem_open(Call&, void*);
int prime_handle_to_fd(Call&, void*);
int prime_fd_to_handle(Call&, void*);
int syncobj_create(Call&, void*);
int syncobj_destroy(Call&, void*);
int syncobj_handle_to_fd(Call&, void*);
int syncobj_fd_to_handle(Call&, void*);
int syncobj_wait(Call&, void*);
int syncobj_reset(Call&, void*);
int syncobj_signal(Call&, void*);
int syncobj_timeline_wait(Call&, void*);
int syncobj_eventfd(Call&, void*);
int syncobj_query(Call&, void*);
int syncobj_transfer(Call&, void*);
int syncobj_timeline_signal(Call&, void*);

// amdgpu
int gem_create(Call&, void*);
int gem_mmap(Call&, void*);
int context_op(Call&, void*);
int bo_list_op(Call&, void*);
int submit(Call&, void*);
int info(Call&, void*);
int gem_metadata(Call&, void*);
int gem_wait_idle(Call&, void*);
int gem_va(Call&, void*);
int wait_cs(Call&, void*);
int gem_op(Call&, void*);
int gem_userptr(Call&, void*);
int wait_fences(Call&, void*);
int vm_op(Call&, void*);
int fence_to_handle(Call&, void*);
int sched_op(Call&, void*);

// Shared by several of them.
// A user pointer: null and the first page are refused with -EFAULT, as the kernel's copy would be.
inline bool bad_pointer(u64 address, u64 size_bytes) { return size_bytes != 0 && address < page_bytes; }
template <class T>
T* user_array(u64 address) { return reinterpret_cast<T*>(address); }
// An absolute CLOCK_MONOTONIC timeout as amdgpu reads it: the largest values mean for ever.
inline u64 deadline_of(u64 timeout_ns) { return timeout_ns > u64(INT64_MAX) ? u64(INT64_MAX) : timeout_ns; }
// Fences of a job of (context, ip, ring) by sequence number; -EINVAL when there cannot be such a job.
int find_fence(Context& context, u32 ip, u32 instance, u32 ring, u64 sequence, FencePtr& fence);
inline constexpr u64 submit_wait_ns = 5'000'000'000;      // DRM_SYNCOBJ_WAIT_FOR_SUBMIT_TIMEOUT
int export_sync_file(Call& call, Fences fences);           // a new fd or -errno
// Says on stderr and in the fault file what a client asked for that this device does not have.
int unsupported(Call& call, const std::string& sentence, int error);

}  // namespace amlm::vgpu
