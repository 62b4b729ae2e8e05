// Syncobjs, sync files and dma-bufs. Semantics: Linux drm_syncobj.c.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/virtual/handlers.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

constexpr u32 wait_all = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL, wait_for_submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
              wait_available = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;

using Syncobjs = std::vector<std::shared_ptr<Syncobj>>;

int lookup(Call& call, u64 handles, u32 count, Syncobjs& syncobjs) {
  if (count == 0) return -EINVAL;
  if (bad_pointer(handles, count)) return -EFAULT;
  for (u32 i = 0; i < count; ++i) {
    syncobjs.push_back(call.file.syncobjs.find(user_array<u32>(handles)[i]));
    if (!syncobjs.back()) return -ENOENT;
  }
  return 0;
}

struct Wait {
  const Syncobjs& syncobjs;
  const u64* points;       // null: binary
  u32 flags;
  u32 first = ~0u;

  bool ready(u32 i) const {
    Fences fences;
    if (!syncobjs[i]->find(points ? points[i] : 0, fences)) return false;
    return (flags & wait_available) || all_signalled(fences);
  }
  bool done() {
    u32 ready_count = 0;
    first = ~0u;
    for (u32 i = 0; i < syncobjs.size(); ++i) {
      if (!ready(i)) continue;
      if (first == ~0u) first = i;
      ++ready_count;
    }
    return (flags & wait_all) ? ready_count == syncobjs.size() : ready_count > 0;
  }
  bool has_all_fences() const {
    Fences fences;
    for (u32 i = 0; i < syncobjs.size(); ++i)
      if (!syncobjs[i]->find(points ? points[i] : 0, fences)) return false;
    return true;
  }
};

int run_wait(Call& call, Wait& wait, i64 timeout_ns, u32& first_signaled) {
  if (!(wait.flags & (wait_for_submit | wait_available)) && !wait.has_all_fences()) return -EINVAL;
  const u64 deadline = timeout_ns < 0 ? 0 : u64(timeout_ns);
  if (!wait_until(call.gpu, call.lock, deadline, [&] { return wait.done(); })) return -ETIME;
  first_signaled = wait.first;
  return 0;
}

int adopt_fd(int fd, Descriptor what) {
  if (fd < 0) return -errno;
  attach(fd, std::make_shared<Descriptor>(std::move(what)));
  return fd;
}

}  // namespace

int export_sync_file(Call& call, Fences fences) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return -errno;
  auto file = std::make_shared<SyncFile>();
  file->fences = std::move(fences);
  file->event_fd = real::dup_above(fd, 900);
  if (file->event_fd < 0) file->event_fd = real::dup_above(fd, 3);
  if (file->event_fd < 0) {
    const int error = errno;
    real::close(fd);
    return -error;
  }
  call.gpu.sync_files.push_back(file);
  Descriptor what;
  what.sync_file = file;
  const int result = adopt_fd(fd, std::move(what));
  call.gpu.wake();
  return result;
}

// Since the kernels with user queues a descriptor may stand for one point of a timeline.
u32 timeline_flag(const Call& call) {
  return call.gpu.config.kernel->has_user_queues ? uapi::syncobj_fd_timeline : 0;
}

// One point, or at 0 the whole syncobj, that stands for all of these.
void set_fences(Syncobj& syncobj, u64 point, const Fences& fences) {
  if (point == 0) syncobj.replace(nullptr);
  for (size_t i = 0; i < fences.size(); ++i) {
    if (point) syncobj.add_point(i + 1 == fences.size() ? point : 0, fences[i]);
    else syncobj.entries.push_back({0, fences[i]});
  }
}

int syncobj_create(Call& call, void* data) {
  auto& args = *static_cast<drm_syncobj_create*>(data);
  if (args.flags & ~u32(DRM_SYNCOBJ_CREATE_SIGNALED)) return -EINVAL;
  auto syncobj = std::make_shared<Syncobj>();
  if (args.flags & DRM_SYNCOBJ_CREATE_SIGNALED) syncobj->replace(signalled_fence());
  args.handle = call.file.syncobjs.add(std::move(syncobj));
  return 0;
}

int syncobj_destroy(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_destroy*>(data);
  if (args.pad) return -EINVAL;
  return call.file.syncobjs.remove(args.handle) ? 0 : -EINVAL;
}

int syncobj_handle_to_fd(Call& call, void* data) {
  auto& args = *static_cast<uapi::SyncobjHandle*>(data);
  constexpr u32 as_sync_file = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE;
  if (args.pad || (args.flags & ~(as_sync_file | timeline_flag(call)))) return -EINVAL;
  const u64 point = args.flags & uapi::syncobj_fd_timeline ? args.point : 0;
  const auto syncobj = call.file.syncobjs.find(args.handle);
  if (args.flags & as_sync_file) {
    if (!syncobj) return -ENOENT;
    Fences fences;
    if (!syncobj->find(point, fences)) return -EINVAL;
    args.fd = export_sync_file(call, std::move(fences));
  } else {
    if (point || !syncobj) return -EINVAL;
    Descriptor what;
    what.syncobj = syncobj;
    args.fd = adopt_fd(real::open("/dev/null", O_RDWR | O_CLOEXEC), std::move(what));
  }
  return args.fd < 0 ? args.fd : 0;
}

int syncobj_fd_to_handle(Call& call, void* data) {
  auto& args = *static_cast<uapi::SyncobjHandle*>(data);
  constexpr u32 from_sync_file = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE;
  if (args.pad || (args.flags & ~(from_sync_file | timeline_flag(call)))) return -EINVAL;
  const u64 point = args.flags & uapi::syncobj_fd_timeline ? args.point : 0;
  const auto what = descriptor(args.fd);
  if (args.flags & from_sync_file) {
    if (!what || !what->sync_file) return -EINVAL;
    const auto syncobj = call.file.syncobjs.find(args.handle);
    if (!syncobj) return -ENOENT;
    set_fences(*syncobj, point, what->sync_file->fences);
    call.gpu.wake();
    return 0;
  }
  if (point || !what || !what->syncobj) return -EINVAL;
  args.handle = call.file.syncobjs.add(what->syncobj);
  return 0;
}

int syncobj_wait(Call& call, void* data) {
  auto& args = *static_cast<uapi::SyncobjWait*>(data);
  if (args.flags & ~(wait_all | wait_for_submit | uapi::syncobj_wait_deadline)) return -EINVAL;
  if (args.count == 0) return 0;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count, syncobjs)) return error;
  Wait wait{syncobjs, nullptr, args.flags};
  return run_wait(call, wait, args.timeout_ns, args.first_signaled);
}

int syncobj_timeline_wait(Call& call, void* data) {
  auto& args = *static_cast<uapi::SyncobjTimelineWait*>(data);
  if (args.flags & ~(wait_all | wait_for_submit | wait_available | uapi::syncobj_wait_deadline)) return -EINVAL;
  if (args.count == 0) return 0;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count, syncobjs)) return error;
  if (args.points && bad_pointer(args.points, 8)) return -EFAULT;
  std::vector<u64> points(args.count);
  if (args.points) points.assign(user_array<u64>(args.points), user_array<u64>(args.points) + args.count);
  Wait wait{syncobjs, points.data(), args.flags};
  return run_wait(call, wait, args.timeout_ns, args.first_signaled);
}

int syncobj_reset(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_array*>(data);
  if (args.pad) return -EINVAL;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count_handles, syncobjs)) return error;
  for (const auto& syncobj : syncobjs) syncobj->replace(nullptr);
  return 0;
}

int syncobj_signal(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_array*>(data);
  if (args.pad) return -EINVAL;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count_handles, syncobjs)) return error;
  for (const auto& syncobj : syncobjs) syncobj->replace(signalled_fence());
  call.gpu.wake();
  return 0;
}

int syncobj_timeline_signal(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_timeline_array*>(data);
  if (args.flags) return -EINVAL;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count_handles, syncobjs)) return error;
  if (args.points && bad_pointer(args.points, 8)) return -EFAULT;
  for (u32 i = 0; i < args.count_handles; ++i)
    syncobjs[i]->add_point(args.points ? user_array<u64>(args.points)[i] : 0, signalled_fence());
  call.gpu.wake();
  return 0;
}

int syncobj_query(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_timeline_array*>(data);
  if (args.flags & ~u32(DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED)) return -EINVAL;
  Syncobjs syncobjs;
  if (const int error = lookup(call, args.handles, args.count_handles, syncobjs)) return error;
  if (bad_pointer(args.points, 8)) return -EFAULT;
  for (u32 i = 0; i < args.count_handles; ++i)
    user_array<u64>(args.points)[i] = args.flags ? syncobjs[i]->submitted_point() : syncobjs[i]->signalled_point();
  return 0;
}

int syncobj_transfer(Call& call, void* data) {
  const auto& args = *static_cast<drm_syncobj_transfer*>(data);
  if (args.pad) return -EINVAL;
  const auto source = call.file.syncobjs.find(args.src_handle), target = call.file.syncobjs.find(args.dst_handle);
  if (!source || !target) return -ENOENT;
  Fences fences;
  const auto found = [&] { return fences.clear(), source->find(args.src_point, fences); };
  if (!found()) {
    if (!(args.flags & wait_for_submit)) return -EINVAL;
    if (!wait_until(call.gpu, call.lock, Gpu::host_ns() + submit_wait_ns, found)) return -ETIME;
  }
  set_fences(*target, args.dst_point, fences);
  call.gpu.wake();
  return 0;
}

int syncobj_eventfd(Call& call, void* data) {
  const auto& args = *static_cast<uapi::SyncobjEventfd*>(data);
  if (args.pad || (args.flags & ~wait_available)) return -EINVAL;
  const auto syncobj = call.file.syncobjs.find(args.handle);
  if (!syncobj) return -ENOENT;
  char link[64] = {};
  const std::string path = "/proc/self/fd/" + std::to_string(args.fd);
  if (readlink(path.c_str(), link, sizeof link - 1) < 0) return -EBADF;
  if (std::string_view(link) != "anon_inode:[eventfd]") return -EINVAL;
  const int ours = real::dup_above(args.fd, 3);
  if (ours < 0) return -errno;
  call.gpu.eventfd_waits.push_back({.syncobj = syncobj,
                                    .point = args.point,
                                    .what = args.flags ? EventfdWait::For::available : EventfdWait::For::signalled,
                                    .event_fd = ours});
  call.gpu.wake();
  return 0;
}

// The dma-buf's descriptor is an empty memfd of the buffer's size: clients ask for the size with lseek.
int prime_handle_to_fd(Call& call, void* data) {
  auto& args = *static_cast<drm_prime_handle*>(data);
  if (args.flags & ~u32(DRM_CLOEXEC | DRM_RDWR)) return -EINVAL;
  const BoPtr bo = call.file.bos.find(args.handle);
  if (!bo) return -ENOENT;
  if (bo->is_user_memory || (bo->flags & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID)) return -EPERM;
  const int fd = memfd_create("amlm-vgpu-dma-buf", (args.flags & DRM_CLOEXEC) ? MFD_CLOEXEC : 0);
  if (fd >= 0 && ftruncate(fd, off_t(bo->size_bytes)) != 0) return -errno;
  Descriptor what;
  what.buffer = bo;
  bo->is_shared = true;
  args.fd = adopt_fd(fd, std::move(what));
  return args.fd < 0 ? args.fd : 0;
}

int prime_fd_to_handle(Call& call, void* data) {
  auto& args = *static_cast<drm_prime_handle*>(data);
  const auto what = descriptor(args.fd);
  if (!what) return -EBADF;
  if (!what->buffer) return -EINVAL;
  args.handle = call.file.bos.handle_of(what->buffer.get());
  if (!args.handle) args.handle = call.file.bos.add(what->buffer);
  return 0;
}

}  // namespace amlm::vgpu
