// The DRM core's own ioctls.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "driver/virtual/facts.h"
#include "driver/virtual/handlers.h"

namespace amlm::vgpu {

namespace {

void copy_text(const char* text, char* target, __kernel_size_t& length) {
  const size_t full = strlen(text);
  if (target && length) memcpy(target, text, std::min<size_t>(full, length));
  length = full;
}

}  // namespace

// The description is how a client can tell that this is not silicon, whatever a record says.
int drm_version(Call&, void* data) {
  auto& version = *static_cast<struct drm_version*>(data);
  const Facts& facts = gfx1151_facts();
  version.version_major = static_cast<int>(facts.drm_major);
  version.version_minor = static_cast<int>(facts.drm_minor);
  version.version_patchlevel = static_cast<int>(facts.drm_patch);
  copy_text(facts.drm_name.c_str(), version.name, version.name_len);
  copy_text(facts.drm_date.c_str(), version.date, version.date_len);
  copy_text("AMD GPU (virtual gfx1151)", version.desc, version.desc_len);
  return 0;
}

// The bus id is set by whoever was master of the primary node; a render node's stays empty.
int drm_get_unique(Call& call, void* data) {
  auto& unique = *static_cast<drm_unique*>(data);
  copy_text(call.file.kind == NodeKind::primary ? "pci:0000:c5:00.0" : "", unique.unique, unique.unique_len);
  return 0;
}

int drm_get_magic(Call& call, void* data) {
  if (call.file.kind != NodeKind::primary) return -EACCES;
  static_cast<drm_auth*>(data)->magic = 1;
  return 0;
}

// Whoever opens the primary node is its master here: there is nobody else.
int drm_get_client(Call& call, void* data) {
  auto& client = *static_cast<drm_client*>(data);
  if (call.file.kind != NodeKind::primary) return -EACCES;
  if (client.idx != 0) return -EINVAL;
  client.auth = 1;
  client.pid = static_cast<unsigned long>(getpid());
  client.uid = getuid();
  client.magic = client.iocs = 0;
  return 0;
}

int drm_change_master(Call& call, void*) { return call.file.kind == NodeKind::primary ? 0 : -EACCES; }

int drm_no_display(Call& call, void*) { return call.file.kind == NodeKind::primary ? -EOPNOTSUPP : -EACCES; }

int drm_set_version(Call& call, void* data) {
  if (call.file.kind != NodeKind::primary) return -EACCES;
  auto& version = *static_cast<struct drm_set_version*>(data);
  version = {.drm_di_major = 1, .drm_di_minor = 4, .drm_dd_major = 3, .drm_dd_minor = 61};
  return 0;
}

int drm_get_cap(Call& call, void* data) {
  auto& cap = *static_cast<struct drm_get_cap*>(data);
  struct Row { u64 cap, value; };
  // What Linux answers for a driver without display (all of its mode-setting caps need one).
  static constexpr Row rows[] = {{DRM_CAP_PRIME, DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT},
                                 {DRM_CAP_TIMESTAMP_MONOTONIC, 1},
                                 {DRM_CAP_SYNCOBJ, 1},
                                 {DRM_CAP_SYNCOBJ_TIMELINE, 1}};
  (void)call;
  for (const Row& row : rows) {
    if (row.cap != cap.capability) continue;
    cap.value = row.value;
    return 0;
  }
  return -EOPNOTSUPP;
}

int drm_set_client_cap(Call&, void*) { return -EOPNOTSUPP; }

}  // namespace amlm::vgpu
