// Waiting for jobs by sequence number, and turning their fences into handles. Linux amdgpu_cs.c.
#include <errno.h>
#include <fcntl.h>

#include "driver/virtual/context.h"
#include "driver/virtual/handlers.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

int find_fence(Context& context, u32 ip, u32 instance, u32 ring, u64 sequence, FencePtr& fence) {
  if (ip >= AMDGPU_HW_IP_NUM || instance != 0 || ring >= ring_count(ip)) return -EINVAL;
  const EntityPtr entity = context.entity(ip, ring);
  if (entity->error) return entity->error;     // amdgpu_ctx_get_entity hands it to whoever asks, whatever for
  if (sequence == ~0ull) sequence = entity->next_sequence - 1;
  if (sequence >= entity->next_sequence) return -EINVAL;
  const u64 first_kept = entity->next_sequence - entity->recent.size();
  fence = sequence < first_kept ? nullptr : entity->recent[sequence - first_kept];   // null: long done
  return 0;
}

int wait_cs(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_wait_cs*>(data);
  const drm_amdgpu_wait_cs_in in = args.in;
  const auto context = call.file.contexts.find(in.ctx_id);
  if (!context) return -EINVAL;
  FencePtr fence;
  if (const int error = find_fence(*context, in.ip_type, in.ip_instance, in.ring, in.handle, fence)) return error;
  const bool done =
      !fence || wait_until(call.gpu, call.lock, deadline_of(in.timeout), [&] { return fence->signalled; });
  if (done && fence && fence->error) return fence->error;
  if (done && call.fence_error) return -call.fence_error;
  args.out.status = done ? 0 : 1;
  return 0;
}

int wait_fences(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_wait_fences*>(data);
  const drm_amdgpu_wait_fences_in in = args.in;
  if (in.fence_count == 0) return -EINVAL;
  if (bad_pointer(in.fences, 1)) return -EFAULT;
  Fences fences;
  for (u32 i = 0; i < in.fence_count; ++i) {
    const auto& row = user_array<drm_amdgpu_fence>(in.fences)[i];
    const auto context = call.file.contexts.find(row.ctx_id);
    FencePtr fence;
    if (!context) return -EINVAL;
    if (const int error = find_fence(*context, row.ip_type, row.ip_instance, row.ring, row.seq_no, fence)) return error;
    fences.push_back(fence ? fence : signalled_fence());
  }
  u32 first = 0;
  const bool done = wait_until(call.gpu, call.lock, deadline_of(in.timeout_ns), [&] {
    if (in.wait_all) return all_signalled(fences);
    for (first = 0; first < fences.size(); ++first)
      if (fences[first]->signalled) return true;
    return false;
  });
  if (done)
    for (const auto& fence : fences)
      if (fence->signalled && fence->error && (in.wait_all || fence == fences[first])) return fence->error;
  if (done && call.fence_error) return -call.fence_error;
  args.out = {.status = done ? 1u : 0u, .first_signaled = done && !in.wait_all ? first : 0};
  return 0;
}

int fence_to_handle(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_fence_to_handle*>(data);
  const auto in = args.in;
  const auto context = call.file.contexts.find(in.fence.ctx_id);
  if (!context) return -EINVAL;
  FencePtr fence;
  if (const int error =
          find_fence(*context, in.fence.ip_type, in.fence.ip_instance, in.fence.ring, in.fence.seq_no, fence))
    return error;
  if (!fence) fence = signalled_fence();
  auto syncobj = std::make_shared<Syncobj>();
  syncobj->replace(fence);
  switch (in.what) {
    case AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ: args.out.handle = call.file.syncobjs.add(std::move(syncobj)); return 0;
    case AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ_FD: {
      const int fd = real::open("/dev/null", O_RDWR | O_CLOEXEC);
      if (fd < 0) return -errno;
      auto what = std::make_shared<Descriptor>();
      what->syncobj = std::move(syncobj);
      attach(fd, std::move(what));
      args.out.handle = u32(fd);
      return 0;
    }
    case AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD: {
      const int fd = export_sync_file(call, {fence});
      if (fd < 0) return fd;
      args.out.handle = u32(fd);
      return 0;
    }
    default: return -EINVAL;
  }
}

}  // namespace amlm::vgpu
