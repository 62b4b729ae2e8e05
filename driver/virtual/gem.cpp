// Buffer objects. Errors: Linux amdgpu_gem.c, driver.md 3.2.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "driver/virtual/handlers.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

constexpr u64 on_chip_domains = AMDGPU_GEM_DOMAIN_GDS | AMDGPU_GEM_DOMAIN_GWS | AMDGPU_GEM_DOMAIN_OA;
constexpr u64 allowed_flags = AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED | AMDGPU_GEM_CREATE_NO_CPU_ACCESS |
                              AMDGPU_GEM_CREATE_CPU_GTT_USWC | AMDGPU_GEM_CREATE_VRAM_CLEARED |
                              AMDGPU_GEM_CREATE_VM_ALWAYS_VALID | AMDGPU_GEM_CREATE_EXPLICIT_SYNC |
                              uapi::gem_create_discardable;

bool reserve(Gpu& gpu, u64 size_bytes) {
  u64 used = gpu.pool.gtt_used.load();
  const u64 others = gpu.pool.others_used;
  do {
    if (size_bytes > gpu.config.gtt_bytes || used + others > gpu.config.gtt_bytes - size_bytes) return false;
  } while (!gpu.pool.gtt_used.compare_exchange_weak(used, used + size_bytes));
  return true;
}

// Four times the buffer's size, touched only where a dispatch reads or writes.
int add_shadow(Gpu& gpu, Bo& bo) {
  if (gpu.config.mode != isa::Mode::strict) return 0;
  void* shadow = real::mmap(nullptr, bo.size_bytes / 4 * sizeof(isa::ShadowDword), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (shadow == MAP_FAILED) return -ENOMEM;
  bo.shadow = static_cast<isa::ShadowDword*>(shadow);
  return 0;
}

bool is_file_mapping(u64 start, u64 size_bytes) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long long from = 0, to = 0, inode = 0;
    if (sscanf(line.c_str(), "%llx-%llx %*s %*s %*s %llu", &from, &to, &inode) != 3) continue;
    if (inode != 0 && from < start + size_bytes && to > start) return true;
  }
  return false;
}

// Global data share, wave sync and ordered append: a client may hold some, and nothing on this device uses them.
// Sizes: Linux gfx_v11_0_set_gds_init.
int create_on_chip(Call& call, drm_amdgpu_gem_create& args) {
  struct Part { u64 domain, units; };
  constexpr Part parts[] = {{AMDGPU_GEM_DOMAIN_GDS, 4096}, {AMDGPU_GEM_DOMAIN_GWS, 64}, {AMDGPU_GEM_DOMAIN_OA, 16}};
  const drm_amdgpu_gem_create_in in = args.in;
  if (in.domain_flags & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID) return -EINVAL;
  u64 units = 0;
  for (const Part& part : parts)
    if (in.domains & part.domain) units = std::max(units, part.units);
  if (in.bo_size > units) return -ENOMEM;
  auto bo = std::make_shared<Bo>();
  alignas(page_bytes) static u8 nothing[page_bytes];
  bo->is_on_chip = true;
  bo->host = nothing;
  bo->size_bytes = (in.bo_size + page_bytes - 1) / page_bytes * page_bytes;
  bo->alignment = in.alignment;
  bo->domains = in.domains;
  bo->flags = in.domain_flags | AMDGPU_GEM_CREATE_NO_CPU_ACCESS;
  const u32 handle = bo->label = call.file.bos.add(bo);
  args.out = {.handle = handle};
  return 0;
}

}  // namespace

Bo::~Bo() {
  Gpu& gpu = Gpu::instance();
  if (is_on_chip) return;
  if (is_sparse) {
    real::munmap(host, size_bytes);
    return;
  }
  if (shadow) real::munmap(shadow, size_bytes / 4 * sizeof(isa::ShadowDword));
  if (pool_offset != ~0ull) {
    if (host) real::munmap(host, size_bytes);
    gpu.pool.release(pool_offset, size_bytes);
  }
  gpu.pool.gtt_used -= size_bytes;
}

// VRAM requests land in GTT too: an APU whose carve-out is smaller than GTT prefers GTT (driver.md 3.4).
int gem_create(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_gem_create*>(data);
  const drm_amdgpu_gem_create_in in = args.in;
  if (in.domain_flags & ~allowed_flags) return -EINVAL;
  if (in.domains & ~u64(AMDGPU_GEM_DOMAIN_MASK)) return -EINVAL;
  if (in.bo_size == 0) return -EINVAL;
  if (in.bo_size > call.gpu.config.gtt_bytes) return -ENOMEM;
  const u64 size = (in.bo_size + page_bytes - 1) / page_bytes * page_bytes;
  if (in.alignment > (1ull << 32) || (in.alignment & (in.alignment - 1))) return -EINVAL;
  if (in.domains & on_chip_domains) return create_on_chip(call, args);
  if (!reserve(call.gpu, size)) return -ENOMEM;
  auto bo = std::make_shared<Bo>();
  bo->size_bytes = size;                       // from here on the destructor gives back what was reserved
  bo->alignment = in.alignment;
  bo->domains = in.domains;
  bo->flags = in.domain_flags;
  bo->pool_offset = call.gpu.pool.allocate(size, page_bytes);
  if (bo->pool_offset == ~0ull) return -ENOMEM;
  void* host = real::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, call.gpu.pool.fd(),
                          off_t(bo->pool_offset));
  if (host == MAP_FAILED) return -ENOMEM;
  bo->host = static_cast<u8*>(host);
  if (const int error = add_shadow(call.gpu, *bo)) return error;
  const u32 handle = call.file.bos.add(bo);
  bo->label = handle;
  args.out = {.handle = handle};
  call.gpu.counters.count(&QueueCounters::allocations);
  return 0;
}

int gem_userptr(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_gem_userptr*>(data);
  constexpr u32 known = AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_ANONONLY | AMDGPU_GEM_USERPTR_VALIDATE |
                        AMDGPU_GEM_USERPTR_REGISTER;
  if ((args.addr | args.size) % page_bytes || args.size == 0) return -EINVAL;
  if (args.flags & ~known) return -EINVAL;
  if (!(args.flags & (AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_REGISTER))) return -EACCES;
  if (args.flags & AMDGPU_GEM_USERPTR_VALIDATE) {
    std::vector<unsigned char> resident(args.size / page_bytes);
    if (mincore(reinterpret_cast<void*>(args.addr), args.size, resident.data()) != 0) return -EFAULT;
    if ((args.flags & AMDGPU_GEM_USERPTR_ANONONLY) && is_file_mapping(args.addr, args.size)) return -EPERM;
  }
  if (!reserve(call.gpu, args.size)) return -ENOMEM;
  auto bo = std::make_shared<Bo>();
  bo->size_bytes = args.size;
  bo->domains = AMDGPU_GEM_DOMAIN_GTT;
  bo->is_user_memory = true;
  bo->host = reinterpret_cast<u8*>(args.addr);
  if (const int error = add_shadow(call.gpu, *bo)) return error;
  args.handle = call.file.bos.add(bo);
  bo->label = args.handle;
  return 0;
}

int gem_close(Call& call, void* data) {
  const u32 handle = static_cast<drm_gem_close*>(data)->handle;
  const BoPtr bo = call.file.bos.find(handle);
  if (!bo) return -EINVAL;
  call.file.bos.remove(handle);
  const VmLock executing(*call.file.vm);
  std::vector<u64> mapped;
  for (const auto& [va, row] : call.file.vm->rows)
    if (row.bo == bo) mapped.push_back(va);
  for (const u64 va : mapped) call.file.vm->erase(va);
  return 0;
}

// Global names are the primary node's; a render node shares by dma-buf only.
int gem_flink(Call& call, void* data) {
  auto& args = *static_cast<drm_gem_flink*>(data);
  if (call.file.kind != NodeKind::primary) return -EACCES;
  const BoPtr bo = call.file.bos.find(args.handle);
  if (!bo) return -ENOENT;
  bo->is_shared = true;
  auto& names = call.gpu.global_names;
  const auto known = std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.lock() == bo; });
  args.name = u32(known - names.begin()) + 1;
  if (known == names.end()) names.push_back(bo);
  return 0;
}

int gem_open(Call& call, void* data) {
  auto& args = *static_cast<drm_gem_open*>(data);
  if (call.file.kind != NodeKind::primary) return -EACCES;
  const auto& names = call.gpu.global_names;
  const BoPtr bo = args.name >= 1 && args.name <= names.size() ? names[args.name - 1].lock() : nullptr;
  if (!bo) return -ENOENT;
  args.handle = call.file.bos.handle_of(bo.get());
  if (!args.handle) args.handle = call.file.bos.add(bo);
  args.size = bo->size_bytes;
  return 0;
}

int gem_mmap(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_gem_mmap*>(data);
  const BoPtr bo = call.file.bos.find(args.in.handle);
  if (!bo) return -ENOENT;
  if (bo->is_user_memory || (bo->flags & AMDGPU_GEM_CREATE_NO_CPU_ACCESS)) return -EPERM;
  args.out.addr_ptr = bo->pool_offset;
  return 0;
}

int gem_metadata(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_gem_metadata*>(data);
  const BoPtr bo = call.file.bos.find(args.handle);
  if (!bo) return -ENOENT;
  if (args.op == AMDGPU_GEM_METADATA_OP_GET_METADATA) {
    args.data.tiling_info = bo->tiling;
    args.data.flags = bo->metadata_flags;
    args.data.data_size_bytes = bo->metadata_bytes;
    std::copy(bo->metadata.begin(), bo->metadata.end(), args.data.data);
    return 0;
  }
  if (args.op != AMDGPU_GEM_METADATA_OP_SET_METADATA) return 0;   // the kernel does nothing and says so
  if (args.data.data_size_bytes > sizeof args.data.data) return -EINVAL;
  bo->tiling = args.data.tiling_info;
  if (args.data.data_size_bytes > 0) {
    bo->metadata.assign(args.data.data, args.data.data + (args.data.data_size_bytes + 3) / 4);
    bo->metadata_bytes = args.data.data_size_bytes;
    bo->metadata_flags = args.data.flags;
  }
  return 0;
}

int gem_op(Call& call, void* data) {
  auto& args = *static_cast<uapi::GemOp*>(data);
  const BoPtr bo = call.file.bos.find(args.handle);
  if (!bo) return -ENOENT;
  switch (args.op) {
    case AMDGPU_GEM_OP_GET_GEM_CREATE_INFO: {
      if (bad_pointer(args.value, sizeof(drm_amdgpu_gem_create_in))) return -EFAULT;
      *user_array<drm_amdgpu_gem_create_in>(args.value) = {.bo_size = bo->size_bytes,
                                                           .alignment = bo->alignment ? bo->alignment : page_bytes,
                                                           .domains = bo->domains,
                                                           .domain_flags = bo->flags};
      return 0;
    }
    case AMDGPU_GEM_OP_SET_PLACEMENT:
      if (bo->is_user_memory) return -EPERM;
      bo->domains = args.value & (AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GTT | AMDGPU_GEM_DOMAIN_CPU);
      return 0;
    default: return -EINVAL;
  }
}

int gem_wait_idle(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_gem_wait_idle*>(data);
  const drm_amdgpu_gem_wait_idle_in in = args.in;
  const BoPtr bo = call.file.bos.find(in.handle);
  if (!bo) return -ENOENT;
  const auto vm = call.file.vm;
  const bool done = wait_until(call.gpu, call.lock, deadline_of(in.timeout), [&] {
    return all_signalled(bo->flags & AMDGPU_GEM_CREATE_VM_ALWAYS_VALID ? vm->always_valid_fences : bo->fences);
  });
  args.out = {.status = done ? 0u : 1u, .domain = 0};
  return 0;
}

void* device_mmap(Descriptor& what, const MapRequest& request) {
  Gpu& gpu = Gpu::instance();
  if (const int error = call_error("MMAP")) {
    errno = error;
    return MAP_FAILED;
  }
  BoPtr bo = what.buffer;
  u64 offset = request.offset;
  {
    const Lock lock(gpu.mutex);
    if (what.file) {
      for (const auto& row : what.file->bos.rows()) {
        const Bo& candidate = *row.second;
        if (candidate.pool_offset == ~0ull || request.offset < candidate.pool_offset ||
            request.offset >= candidate.pool_offset + candidate.size_bytes)
          continue;
        bo = row.second;
        offset -= candidate.pool_offset;
      }
    }
  }
  const u64 size = (request.size + page_bytes - 1) / page_bytes * page_bytes;
  const bool shared = (request.flags & MAP_TYPE) != MAP_PRIVATE;
  if (!bo || bo->pool_offset == ~0ull || !shared || size == 0 || offset > bo->size_bytes ||
      size > bo->size_bytes - offset) {
    errno = EINVAL;
    return MAP_FAILED;
  }
  void* address = real::mmap(request.address, size, request.protection, request.flags, gpu.pool.fd(),
                             off_t(bo->pool_offset + offset));
  if (address != MAP_FAILED) gpu.remember_mapping(address, size, std::move(bo));
  return address;
}

}  // namespace amlm::vgpu
