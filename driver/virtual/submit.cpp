// The CS ioctl: reads the chunks in the kernel's two passes, so that the first error is the kernel's first error,
// then hands jobs to the scheduler. Linux amdgpu_cs.c, driver.md 3.2.
#include <errno.h>

#include <algorithm>

#include "driver/virtual/command_processor.h"
#include "driver/virtual/context.h"
#include "driver/virtual/handlers.h"

namespace amlm::vgpu {

namespace {

constexpr u32 max_ib_dwords = 0xfffff, max_gang = 4;
constexpr u32 known_ib_flags = AMDGPU_IB_FLAG_CE | AMDGPU_IB_FLAG_PREAMBLE | AMDGPU_IB_FLAG_PREEMPT |
                               AMDGPU_IB_FLAG_TC_WB_NOT_INVALIDATE | AMDGPU_IB_FLAG_RESET_GDS_MAX_WAVE_ID |
                               AMDGPU_IB_FLAGS_SECURE | AMDGPU_IB_FLAG_EMIT_MEM_SYNC;

struct Chunk {
  u32 id, size_bytes;
  u64 data;
};

struct Signal {
  std::shared_ptr<Syncobj> syncobj;
  u64 point;
};

// What one CS asks for, before anything has been queued.
struct Submission {
  Call& call;
  std::shared_ptr<Context> context;
  struct Part { EntityPtr entity; std::vector<Ib> ibs; };
  std::vector<Part> parts;                         // the gang; the last IB's entity leads
  size_t leader = 0;
  BoPtr user_fence;
  u64 user_fence_offset = 0;
  bool has_list = false;
  std::vector<BoPtr> buffers;
  Fences dependencies;
  std::vector<Signal> signals;
};

int add_ib(Submission& s, const drm_amdgpu_cs_chunk_ib& ib) {
  if (ib.ip_type >= AMDGPU_HW_IP_NUM || ib.ip_instance != 0) return -EINVAL;
  if (ring_count(ib.ip_type) == 0)
    return unsupported(s.call, "CS for IP type " + std::to_string(ib.ip_type) +
                                   ": it has no ring here (AMLM_VGPU_RINGS can add gfx and sdma)", EINVAL);
  if (ib.ring >= ring_count(ib.ip_type)) return -EINVAL;
  const EntityPtr entity = s.context->entity(ib.ip_type, ib.ring);
  if (entity->error) return entity->error;
  if (ib.flags & AMDGPU_IB_FLAG_CE) return -EINVAL;
  if (ib.flags & ~known_ib_flags) return unsupported(s.call, "CS: unknown IB flags", EINVAL);
  if (ib.flags & AMDGPU_IB_FLAGS_SECURE) return -EINVAL;               // TMZ is off
  if (s.call.gpu.config.kernel->checks_ib_size && ib.ib_bytes / 4 > max_ib_dwords) return -EINVAL;
  auto part = std::find_if(s.parts.begin(), s.parts.end(), [&](const auto& p) { return p.entity == entity; });
  if (part == s.parts.end()) {
    if (s.parts.size() == max_gang) return -EINVAL;
    s.parts.push_back({entity, {}});
    part = s.parts.end() - 1;
  }
  if (part->ibs.size() == max_ibs(ib.ip_type)) return -EINVAL;
  part->ibs.push_back({.va = canonical(ib.va_start), .size_dw = ib.ib_bytes / 4, .flags = ib.flags});
  s.leader = size_t(part - s.parts.begin());
  return 0;
}

int add_user_fence(Submission& s, const drm_amdgpu_cs_chunk_fence& fence) {
  if (s.user_fence) return -EINVAL;
  const BoPtr bo = s.call.file.bos.find(fence.handle);
  if (!bo || bo->is_user_memory || bo->is_on_chip) return -EINVAL;
  if (bo->size_bytes != page_bytes || fence.offset > page_bytes - 8) return -EINVAL;
  s.user_fence = bo;
  s.user_fence_offset = fence.offset;
  return 0;
}

int add_handles(Submission& s, const drm_amdgpu_bo_list_in& list) {
  if (s.has_list) return -EINVAL;
  if (list.bo_number && (bad_pointer(list.bo_info_ptr, 1) || list.bo_info_size < 4)) return -EINVAL;
  s.has_list = true;
  for (u32 i = 0; i < list.bo_number; ++i) {
    const u32 handle = *user_array<u32>(list.bo_info_ptr + u64(i) * list.bo_info_size);
    s.buffers.push_back(s.call.file.bos.find(handle));
    if (!s.buffers.back()) return -ENOENT;
  }
  return 0;
}

template <class Data>
int with(Submission& s, const Chunk& chunk, int (*function)(Submission&, const Data&)) {
  if (chunk.size_bytes < sizeof(Data)) return -EINVAL;
  return bad_pointer(chunk.data, sizeof(Data)) ? -EFAULT : function(s, *user_array<Data>(chunk.data));
}

int first_pass(Submission& s, const std::vector<Chunk>& chunks) {
  for (const Chunk& chunk : chunks) {
    int error = 0;
    switch (chunk.id) {
      case AMDGPU_CHUNK_ID_IB: error = with<drm_amdgpu_cs_chunk_ib>(s, chunk, add_ib); break;
      case AMDGPU_CHUNK_ID_FENCE: error = with<drm_amdgpu_cs_chunk_fence>(s, chunk, add_user_fence); break;
      case AMDGPU_CHUNK_ID_BO_HANDLES: error = with<drm_amdgpu_bo_list_in>(s, chunk, add_handles); break;
      case AMDGPU_CHUNK_ID_DEPENDENCIES:
      case AMDGPU_CHUNK_ID_SYNCOBJ_IN:
      case AMDGPU_CHUNK_ID_SYNCOBJ_OUT:
      case AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES:
      case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT:
      case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL:
        if (bad_pointer(chunk.data, chunk.size_bytes)) error = -EFAULT;
        break;
      default: error = -EINVAL;
    }
    if (error) return error;
  }
  return s.parts.empty() ? -EINVAL : 0;
}

int add_list(Submission& s, u32 handle) {
  if (!handle) return 0;
  if (s.has_list) return -EINVAL;
  const auto list = s.call.file.lists.find(handle);
  if (!list) return -ENOENT;
  s.buffers = list->bos;
  return 0;
}

int wait_on(Submission& s, u32 handle, u64 point, u32 flags) {
  const auto syncobj = s.call.file.syncobjs.find(handle);
  if (!syncobj) return -ENOENT;
  Fences fences;
  const auto found = [&] { return fences.clear(), syncobj->find(point, fences); };
  if (!found()) {
    if (!(flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT)) return -EINVAL;
    if (!wait_until(s.call.gpu, s.call.lock, Gpu::host_ns() + submit_wait_ns, found)) return -ETIME;
  }
  s.dependencies.insert(s.dependencies.end(), fences.begin(), fences.end());
  return 0;
}

int signal_on(Submission& s, u32 handle, u64 point) {
  const auto syncobj = s.call.file.syncobjs.find(handle);
  if (!syncobj) return -EINVAL;
  s.signals.push_back({syncobj, point});
  return 0;
}

int depend_on(Submission& s, const drm_amdgpu_cs_chunk_dep& dependency) {
  const auto context = s.call.file.contexts.find(dependency.ctx_id);
  if (!context) return -EINVAL;
  FencePtr fence;
  if (const int error = find_fence(*context, dependency.ip_type, dependency.ip_instance, dependency.ring,
                                   dependency.handle, fence))
    return error;
  if (fence) s.dependencies.push_back(fence);
  return 0;
}

template <class Entry, class Function>
int for_entries(const Chunk& chunk, Function function) {
  const Entry* entries = user_array<Entry>(chunk.data);
  for (u32 i = 0; i < chunk.size_bytes / sizeof(Entry); ++i)
    if (const int error = function(entries[i])) return error;
  return 0;
}

int second_pass(Submission& s, const std::vector<Chunk>& chunks) {
  bool has_signals = false;
  for (const Chunk& chunk : chunks) {
    int error = 0;
    switch (chunk.id) {
      case AMDGPU_CHUNK_ID_DEPENDENCIES:
      // A job here starts as soon as it can: "scheduled" is taken as "finished", which only ever waits longer.
      case AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES:
        error = for_entries<drm_amdgpu_cs_chunk_dep>(chunk, [&](const auto& entry) { return depend_on(s, entry); });
        break;
      case AMDGPU_CHUNK_ID_SYNCOBJ_IN:
        error = for_entries<drm_amdgpu_cs_chunk_sem>(chunk, [&](const auto& e) { return wait_on(s, e.handle, 0, 0); });
        break;
      case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT:
        error = for_entries<drm_amdgpu_cs_chunk_syncobj>(
            chunk, [&](const auto& e) { return wait_on(s, e.handle, e.point, e.flags); });
        break;
      case AMDGPU_CHUNK_ID_SYNCOBJ_OUT:
        if (has_signals) return -EINVAL;
        has_signals = true;
        error = for_entries<drm_amdgpu_cs_chunk_sem>(chunk, [&](const auto& e) { return signal_on(s, e.handle, 0); });
        break;
      case AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL:
        if (has_signals) return -EINVAL;
        has_signals = true;
        error = for_entries<drm_amdgpu_cs_chunk_syncobj>(
            chunk, [&](const auto& e) { return signal_on(s, e.handle, e.point); });
        break;
      default: break;
    }
    if (error) return error;
  }
  return 0;
}

void remember(Fences& fences, const FencePtr& fence) {
  std::erase_if(fences, [](const FencePtr& old) { return old->signalled; });
  fences.push_back(fence);
}

u64 queue(Submission& s) {
  Gpu& gpu = s.call.gpu;
  Fences members;
  FencePtr finished;
  u64 sequence = 0;
  std::rotate(s.parts.begin() + long(s.leader), s.parts.begin() + long(s.leader) + 1, s.parts.end());
  for (auto& part : s.parts) {
    const bool leads = &part == &s.parts.back();
    auto job = std::make_unique<Job>(part.entity->ip);
    job->ibs = std::move(part.ibs);
    job->dependencies = s.dependencies;
    job->vm = s.call.file.vm;
    job->context = s.context;
    job->buffers = s.buffers;
    // Without a dependency the kernel lets a job begin while waves of the one before still run.
    job->starts_idle = !s.dependencies.empty() || all_signalled(s.call.file.vm->always_valid_fences);
    if (leads) {
      job->dependencies.insert(job->dependencies.end(), members.begin(), members.end());
      job->user_fence = s.user_fence;
      job->user_fence_offset = s.user_fence_offset;
      sequence = job->sequence = part.entity->next_sequence++;
      finished = job->finished;
      part.entity->recent.push_back(finished);
      if (part.entity->recent.size() > outstanding_jobs) part.entity->recent.pop_front();
    } else {
      members.push_back(job->scheduled);
    }
    gpu.scheduler.push(part.entity, std::move(job));
  }
  for (const auto& bo : s.buffers) remember(bo->fences, finished);
  remember(s.call.file.vm->always_valid_fences, finished);
  for (const auto& signal : s.signals) {
    if (signal.point) signal.syncobj->add_point(signal.point, finished);
    else signal.syncobj->replace(finished);
  }
  gpu.counters.count(&QueueCounters::submits);
  gpu.wake();
  return sequence;
}

}  // namespace

int submit(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_cs*>(data);
  const drm_amdgpu_cs_in in = args.in;
  if (in.num_chunks == 0) return -EINVAL;
  Submission s{.call = call, .context = call.file.contexts.find(in.ctx_id)};
  if (!s.context) return -EINVAL;
  if (bad_pointer(in.chunks, 8)) return -EFAULT;
  std::vector<Chunk> chunks;
  for (u32 i = 0; i < in.num_chunks; ++i) {
    const u64 address = user_array<u64>(in.chunks)[i];
    if (bad_pointer(address, sizeof(drm_amdgpu_cs_chunk))) return -EFAULT;
    const auto& chunk = *user_array<drm_amdgpu_cs_chunk>(address);
    chunks.push_back({chunk.chunk_id, chunk.length_dw * 4, chunk.chunk_data});
  }
  if (const int error = first_pass(s, chunks)) return error;
  if (s.context->vram_lost_counter != call.gpu.vram_lost_counter) return -ECANCELED;
  if (const int error = second_pass(s, chunks)) return error;
  if (const int error = add_list(s, in.bo_list_handle)) return error;
  if (call.gpu.pool.taken() > call.gpu.config.gtt_bytes) return -ENOMEM;      // cannot bring the working set in
  // The 33rd job of an entity waits for its first.
  for (const auto& part : s.parts) {
    const EntityPtr entity = part.entity;
    wait_until(call.gpu, call.lock, u64(INT64_MAX), [&] {
      return entity->recent.size() < outstanding_jobs || entity->recent.front()->signalled;
    });
  }
  args.out.handle = queue(s);
  return 0;
}

}  // namespace amlm::vgpu
