// One row an ioctl. The dispatcher does what the DRM core does: finds the row by the low 8 bits of the request,
// copies the smaller of the two sizes in, zeroes the rest, and copies back as much as the client's size says
// (driver.md 0b.14).
#include <errno.h>
#include <linux/sync_file.h>
#include <string.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

#include "driver/virtual/handlers.h"
#include "driver/virtual/fault_script.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

struct Row {
  u32 number;
  const char* name;
  const char* errors;      // what it can answer: DRM core, amdgpu and the scheduler behind them
  u32 size_bytes;
  Handler handler;
};

constexpr u32 amdgpu(u32 number) { return DRM_COMMAND_BASE + number; }

constexpr Row rows[] = {
    {0x00, "VERSION", "EFAULT ENODEV", sizeof(struct drm_version), drm_version},
    {0x01, "GET_UNIQUE", "EFAULT ENODEV", sizeof(drm_unique), drm_get_unique},
    {0x02, "GET_MAGIC", "EACCES ENOMEM", sizeof(struct drm_auth), drm_get_magic},
    {0x05, "GET_CLIENT", "EINVAL EACCES", sizeof(drm_client), drm_get_client},
    {0x07, "SET_VERSION", "EINVAL EACCES", sizeof(struct drm_set_version), drm_set_version},
    {0x09, "GEM_CLOSE", "EINVAL EINTR", sizeof(drm_gem_close), gem_close},
    {0x0a, "GEM_FLINK", "ENOENT ENOMEM EACCES", sizeof(drm_gem_flink), gem_flink},
    {0x0b, "GEM_OPEN", "ENOENT ENOMEM EACCES", sizeof(drm_gem_open), gem_open},
    {0x0c, "GET_CAP", "EINVAL EOPNOTSUPP ENODEV", sizeof(struct drm_get_cap), drm_get_cap},
    {0x0d, "SET_CLIENT_CAP", "EINVAL EOPNOTSUPP", sizeof(struct drm_set_client_cap), drm_set_client_cap},
    {0x1e, "SET_MASTER", "EACCES EBUSY", 0, drm_change_master},
    {0x1f, "DROP_MASTER", "EACCES EINVAL", 0, drm_change_master},
    {0x2d, "PRIME_HANDLE_TO_FD", "EINVAL ENOENT EPERM ENOMEM EMFILE", sizeof(drm_prime_handle), prime_handle_to_fd},
    {0x2e, "PRIME_FD_TO_HANDLE", "EINVAL EBADF ENOMEM", sizeof(drm_prime_handle), prime_fd_to_handle},
    {0xa0, "MODE_GETRESOURCES", "EOPNOTSUPP EACCES", sizeof(drm_mode_card_res), drm_no_display},
    {0xb5, "MODE_GETPLANERESOURCES", "EOPNOTSUPP EACCES", sizeof(drm_mode_get_plane_res), drm_no_display},
    {0xbf, "SYNCOBJ_CREATE", "EINVAL ENOMEM ENOSPC", sizeof(drm_syncobj_create), syncobj_create},
    {0xc0, "SYNCOBJ_DESTROY", "EINVAL", sizeof(drm_syncobj_destroy), syncobj_destroy},
    {0xc1, "SYNCOBJ_HANDLE_TO_FD", "EINVAL EMFILE ENOMEM", sizeof(uapi::SyncobjHandle), syncobj_handle_to_fd},
    {0xc2, "SYNCOBJ_FD_TO_HANDLE", "EINVAL ENOENT ENOMEM", sizeof(uapi::SyncobjHandle), syncobj_fd_to_handle},
    {0xc3, "SYNCOBJ_WAIT", "EINVAL ENOENT ETIME EFAULT ENOMEM EINTR", sizeof(uapi::SyncobjWait), syncobj_wait},
    {0xc4, "SYNCOBJ_RESET", "EINVAL ENOENT EFAULT ENOMEM", sizeof(drm_syncobj_array), syncobj_reset},
    {0xc5, "SYNCOBJ_SIGNAL", "EINVAL ENOENT EFAULT ENOMEM", sizeof(drm_syncobj_array), syncobj_signal},
    {0xca, "SYNCOBJ_TIMELINE_WAIT", "EINVAL ENOENT ETIME EFAULT ENOMEM EINTR",
     sizeof(uapi::SyncobjTimelineWait), syncobj_timeline_wait},
    {0xcf, "SYNCOBJ_EVENTFD", "EINVAL ENOENT EBADF ENOMEM", sizeof(uapi::SyncobjEventfd), syncobj_eventfd},
    {0xcb, "SYNCOBJ_QUERY", "EINVAL ENOENT EFAULT ENOMEM", sizeof(drm_syncobj_timeline_array), syncobj_query},
    {0xcc, "SYNCOBJ_TRANSFER", "EINVAL ENOENT ETIME ENOMEM EINTR", sizeof(drm_syncobj_transfer), syncobj_transfer},
    {0xcd, "SYNCOBJ_TIMELINE_SIGNAL", "EINVAL ENOENT EFAULT ENOMEM",
     sizeof(drm_syncobj_timeline_array), syncobj_timeline_signal},
    {amdgpu(DRM_AMDGPU_GEM_CREATE), "GEM_CREATE", "EINVAL ENOMEM EINTR ENODEV",
     sizeof(drm_amdgpu_gem_create), gem_create},
    {amdgpu(DRM_AMDGPU_GEM_MMAP), "GEM_MMAP", "ENOENT EPERM ENODEV", sizeof(drm_amdgpu_gem_mmap), gem_mmap},
    {amdgpu(DRM_AMDGPU_CTX), "CTX", "EINVAL ENOMEM EACCES EBUSY ENODEV", sizeof(drm_amdgpu_ctx), context_op},
    {amdgpu(DRM_AMDGPU_BO_LIST), "BO_LIST", "EINVAL ENOENT EFAULT ENOMEM", sizeof(drm_amdgpu_bo_list), bo_list_op},
    {amdgpu(DRM_AMDGPU_CS), "CS", "EINVAL ENOENT EPERM EFAULT ENOMEM EINTR EAGAIN ETIME ENODATA ECANCELED ENODEV",
     sizeof(drm_amdgpu_cs), submit},
    {amdgpu(DRM_AMDGPU_INFO), "INFO", "EINVAL EFAULT ENOMEM EOPNOTSUPP ENODEV", sizeof(drm_amdgpu_info), info},
    {amdgpu(DRM_AMDGPU_GEM_METADATA), "GEM_METADATA", "EINVAL ENOENT EINTR",
     sizeof(drm_amdgpu_gem_metadata), gem_metadata},
    {amdgpu(DRM_AMDGPU_GEM_WAIT_IDLE), "GEM_WAIT_IDLE", "ENOENT EINTR",
     sizeof(drm_amdgpu_gem_wait_idle), gem_wait_idle},
    {amdgpu(DRM_AMDGPU_GEM_VA), "GEM_VA", "EINVAL ENOENT ENOMEM EINTR ENODEV", sizeof(uapi::GemVa), gem_va},
    {amdgpu(DRM_AMDGPU_WAIT_CS), "WAIT_CS", "EINVAL EINTR ETIME ENODATA ECANCELED ENODEV",
     sizeof(drm_amdgpu_wait_cs), wait_cs},
    {amdgpu(DRM_AMDGPU_GEM_OP), "GEM_OP", "EINVAL ENOENT EPERM EFAULT EINTR", sizeof(uapi::GemOp), gem_op},
    {amdgpu(DRM_AMDGPU_GEM_USERPTR), "GEM_USERPTR", "EINVAL EACCES EPERM ENOMEM EFAULT",
     sizeof(drm_amdgpu_gem_userptr), gem_userptr},
    {amdgpu(DRM_AMDGPU_WAIT_FENCES), "WAIT_FENCES", "EINVAL EFAULT ENOMEM EINTR ETIME ENODATA ECANCELED",
     sizeof(drm_amdgpu_wait_fences), wait_fences},
    {amdgpu(DRM_AMDGPU_VM), "VM", "EINVAL ENOSPC", sizeof(drm_amdgpu_vm), vm_op},
    {amdgpu(DRM_AMDGPU_FENCE_TO_HANDLE), "FENCE_TO_HANDLE", "EINVAL ENOMEM EMFILE ETIME ENODATA ECANCELED",
     sizeof(drm_amdgpu_fence_to_handle), fence_to_handle},
    {amdgpu(DRM_AMDGPU_SCHED), "SCHED", "EACCES EINVAL", sizeof(drm_amdgpu_sched), sched_op},
};

const Row* find_row(u32 number) {
  static const auto by_number = [] {
    std::array<const Row*, 256> table{};
    for (const Row& row : rows) table[row.number] = &row;
    return table;
  }();
  return by_number[number & 0xff];
}

// An older kernel reads less of a structure that has grown, and leaves the rest alone.
u32 size_in(const KernelVersion& kernel, const Row& row) {
  if (row.handler == gem_va) return kernel.gem_va_bytes;
  return row.handler == gem_op ? kernel.gem_op_bytes : row.size_bytes;
}

// What the script lets happen at a call; positive.
int scripted_error(Gpu& gpu, const char* name) {
  int error = 0;
  for (const Action& action : scripted({.name = name, .busy_ns = gpu.busy_ns})) {
    gpu.happen(action);
    if (action.kind == Action::Kind::fail && !error) error = action.error;
  }
  return error;
}

// A wait tells the error of a job's fence when the job has ended, and not while it still runs.
bool is_told_by_fence(const Row& row, int error) {
  const bool waits = row.handler == wait_cs || row.handler == wait_fences;
  return waits && (error == ETIME || error == ENODATA || error == ECANCELED);
}

int render_node_ioctl(File& file, unsigned long request, void* argument) {
  Gpu& gpu = Gpu::instance();
  const Row* row = _IOC_TYPE(request) == DRM_IOCTL_BASE ? find_row(_IOC_NR(request)) : nullptr;
  const u32 user_size = _IOC_SIZE(request);
  alignas(16) u8 data[1024] = {};
  Lock lock(gpu.mutex);
  Call call{.file = file, .gpu = gpu, .lock = lock};
  gpu.counters.count(&QueueCounters::ioctls);
  if (!row || user_size > sizeof data) {
    char text[64];
    snprintf(text, sizeof text, "ioctl 0x%08lx is not one of this device", request);
    return unsupported(call, text, EINVAL);
  }
  if (const int error = scripted_error(gpu, row->name)) {
    if (!is_told_by_fence(*row, error)) return -error;
    call.fence_error = error;
  }
  if (bad_pointer(reinterpret_cast<u64>(argument), user_size)) return -EFAULT;
  if (request & IOC_IN) memcpy(data, argument, user_size);
  const u32 known_size = size_in(*gpu.config.kernel, *row);
  if (user_size > known_size) memset(data + known_size, 0, user_size - known_size);
  const int result = row->handler(call, data);
  if (request & IOC_OUT) memcpy(argument, data, std::min(user_size, known_size));
  return result;
}

int sync_file_ioctl(const std::shared_ptr<SyncFile>& sync_file, unsigned long request, void* argument) {
  Gpu& gpu = Gpu::instance();
  Lock lock(gpu.mutex);
  File none(NodeKind::none);
  Call call{.file = none, .gpu = gpu, .lock = lock};
  if (request == SYNC_IOC_MERGE) {
    auto& merge = *static_cast<sync_merge_data*>(argument);
    const auto other = descriptor(merge.fd2);
    if (!other || !other->sync_file) return -ENOENT;
    Fences fences = sync_file->fences;
    fences.insert(fences.end(), other->sync_file->fences.begin(), other->sync_file->fences.end());
    const int fd = export_sync_file(call, std::move(fences));
    if (fd < 0) return fd;
    merge.fence = fd;
    return 0;
  }
  if (request == SYNC_IOC_FILE_INFO) {
    auto& answer = *static_cast<sync_file_info*>(argument);
    if (answer.flags || answer.pad) return -EINVAL;
    const u32 room = answer.num_fences;
    answer.status = all_signalled(sync_file->fences) ? 1 : 0;
    answer.num_fences = u32(sync_file->fences.size());
    for (u32 i = 0; i < std::min(room, answer.num_fences); ++i) {
      auto& row = user_array<sync_fence_info>(answer.sync_fence_info)[i];
      row = {};
      snprintf(row.driver_name, sizeof row.driver_name, "amdgpu");
      row.status = sync_file->fences[i]->error ? sync_file->fences[i]->error : sync_file->fences[i]->signalled;
    }
    return 0;
  }
  return -ENOTTY;
}

}  // namespace

int call_error(const char* name) {
  Gpu& gpu = Gpu::instance();
  const Lock lock(gpu.mutex);
  return scripted_error(gpu, name);
}

bool is_ioctl_name(std::string_view name) {
  return std::any_of(std::begin(rows), std::end(rows), [&](const Row& row) { return row.name == name; });
}

std::string ioctl_errors() {
  std::string text = "OPEN EACCES EPERM ENOENT ENXIO ENODEV EMFILE ENFILE ENOMEM\nMMAP EACCES EINVAL ENOMEM\n";
  for (const Row& row : rows) text += std::string(row.name) + " " + row.errors + "\n";
  return text;
}

int unsupported(Call& call, const std::string& sentence, int error) {
  call.gpu.faults.report({.sentence = sentence, .kind = "unsupported"});
  return -error;
}

int device_ioctl(Descriptor& what, unsigned long request, void* argument) {
  if (what.file) return render_node_ioctl(*what.file, request, argument);
  if (what.sync_file) return sync_file_ioctl(what.sync_file, request, argument);
  if (what.buffer && _IOC_TYPE(request) == 'b' && _IOC_NR(request) == 0) return 0;   // DMA_BUF_IOCTL_SYNC: coherent
  return -ENOTTY;
}

}  // namespace amlm::vgpu
