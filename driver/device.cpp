// Memory: BOs by use, where they lie, and what they are called.
#include "driver/device.h"

#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "driver/device_impl.h"

namespace amlm {

namespace {

constexpr u64 page_bytes = 4096;
constexpr u64 guard_bytes = 64 << 10;

struct UseRow { u64 gem_flags; u32 page_rights; bool cpu_mapped; };

// Page rights are the least the use needs, so that a kernel gone astray faults instead of writing into weights.
UseRow row_of(MemoryUse use) {
  switch (use) {
    case MemoryUse::weights: return {AMDGPU_GEM_CREATE_CPU_GTT_USWC, AMDGPU_VM_PAGE_READABLE, true};
    case MemoryUse::gpu_only:
      return {AMDGPU_GEM_CREATE_CPU_GTT_USWC, AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE, false};
    case MemoryUse::shared: return {0, AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE, true};
    case MemoryUse::code:
      return {AMDGPU_GEM_CREATE_CPU_GTT_USWC, AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_EXECUTABLE, true};
  }
  check(false, "MemoryUse");
  return {};
}

std::string size_text(u64 bytes) {
  if (bytes >= 1ull << 30) return text("%.2f GiB", double(bytes) / double(1ull << 30));
  if (bytes >= 1ull << 20) return text("%.2f MiB", double(bytes) / double(1ull << 20));
  return text("%llu bytes", static_cast<unsigned long long>(bytes));
}

std::unexpected<Error> refused(const char* what, const Allocation& request, int error) {
  const bool memory = error == -ENOMEM || error == -ENOSPC;
  return fail(memory ? ErrorCode::memory : ErrorCode::kernel,
              text("cannot %s %s for %s: %s", what, size_text(request.size_bytes).c_str(), request.label.c_str(),
                   memory ? "GTT memory is used up" : std::strerror(-error)), -error);
}

}  // namespace

BufferView BufferView::slice(u64 offset_bytes, u64 slice_bytes) const {
  check(offset_bytes <= size_bytes && slice_bytes <= size_bytes - offset_bytes, "a slice outside of its buffer");
  return {va + offset_bytes, slice_bytes};
}

Buffer::Buffer(Buffer&& other) noexcept { *this = std::move(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this == &other) return *this;
  if (bo_ != nullptr) device_->release(*this);
  device_ = std::exchange(other.device_, nullptr);
  bo_ = std::exchange(other.bo_, nullptr);
  range_ = std::exchange(other.range_, nullptr);
  va_ = std::exchange(other.va_, 0);
  size_bytes_ = std::exchange(other.size_bytes_, 0);
  mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  data_ = std::exchange(other.data_, nullptr);
  label_ = std::exchange(other.label_, {});
  return *this;
}

Buffer::~Buffer() {
  if (bo_ != nullptr) device_->release(*this);
}

Device::Impl::~Impl() {
  check(buffers.empty(), "a device closes before its buffers");
  if (handle != nullptr) amdgpu_device_deinitialize(handle);
  if (fd >= 0) ::close(fd);
}

bool Device::Impl::holds(u64 va) const {
  const auto after = buffers.upper_bound(va);
  return after != buffers.begin() && va - std::prev(after)->first < std::prev(after)->second.size_bytes;
}

Device::Device() = default;
Device::~Device() = default;

const DeviceFacts& Device::facts() const { return impl_->facts; }
u64 Device::allocation_count() const { return impl_->allocations; }

Result<Buffer> Device::allocate(const Allocation& request) {
  check(request.size_bytes > 0, "an empty buffer");
  check(request.alignment_bytes == 0 || std::has_single_bit(request.alignment_bytes), "alignment is a power of two");
  const UseRow use = row_of(request.use);
  const u64 fragment = std::max(impl_->facts.pte_fragment_bytes, page_bytes);
  if (request.size_bytes > impl_->facts.gtt_total_bytes)
    return fail(ErrorCode::memory, text("%s needs %s, and GTT holds %s", request.label.c_str(),
                                        size_text(request.size_bytes).c_str(),
                                        size_text(impl_->facts.gtt_total_bytes).c_str()), ENOMEM);
  const u64 mapped = (request.size_bytes + page_bytes - 1) / page_bytes * page_bytes;
  // Large buffers start on a page table fragment: one TLB entry covers 2 MiB.
  const u64 alignment = std::max({guard_bytes, request.alignment_bytes, mapped >= fragment ? fragment : page_bytes});

  Buffer buffer;
  amdgpu_bo_alloc_request wanted{};
  wanted.alloc_size = mapped;
  wanted.phys_alignment = mapped >= fragment ? fragment : page_bytes;
  wanted.preferred_heap = AMDGPU_GEM_DOMAIN_GTT;
  wanted.flags = use.gem_flags | AMDGPU_GEM_CREATE_VM_ALWAYS_VALID;
  if (const int error = amdgpu_bo_alloc(impl_->handle, &wanted, &buffer.bo_); error != 0)
    return buffer.bo_ = nullptr, refused("allocate", request, error);

  // From here ~Buffer gives back what there is.
  buffer.device_ = this;
  buffer.label_ = request.label;
  buffer.size_bytes_ = request.size_bytes;
  impl_->allocations++;

  // The range holds the guards, so that libdrm never places a neighbour inside them.
  u64 base = 0;
  if (const int error = amdgpu_va_range_alloc(impl_->handle, amdgpu_gpu_va_range_general, mapped + 2 * alignment,
                                              alignment, 0, &base, &buffer.range_, 0);
      error != 0)
    return buffer.range_ = nullptr, refused("find addresses of", request, error);
  const u64 va = base + alignment;
  if (const int error =
          amdgpu_bo_va_op_raw(impl_->handle, buffer.bo_, 0, mapped, va, use.page_rights, AMDGPU_VA_OP_MAP);
      error != 0)
    return refused("map", request, error);
  buffer.va_ = va;
  buffer.mapped_bytes_ = mapped;
  impl_->buffers.emplace(va, Impl::Named{request.size_bytes, request.label});
  if (use.cpu_mapped) {
    void* data = nullptr;
    if (const int error = amdgpu_bo_cpu_map(buffer.bo_, &data); error != 0)
      return refused("map for the CPU", request, error);
    buffer.data_ = static_cast<u8*>(data);
  }
  return buffer;
}

void Device::release(Buffer& buffer) noexcept {
  if (buffer.data_ != nullptr) amdgpu_bo_cpu_unmap(buffer.bo_);
  if (buffer.mapped_bytes_ != 0) {
    check(impl_->jobs_in_flight == 0, "a buffer dies while the GPU may use it: wait for the queue first");
    amdgpu_bo_va_op_raw(impl_->handle, buffer.bo_, 0, buffer.mapped_bytes_, buffer.va_, 0, AMDGPU_VA_OP_UNMAP);
    impl_->buffers.erase(buffer.va_);
  }
  if (buffer.range_ != nullptr) amdgpu_va_range_free(buffer.range_);
  amdgpu_bo_free(buffer.bo_);
  buffer.bo_ = nullptr;
}

Result<u64> Device::gtt_free_bytes() const {
  drm_amdgpu_memory_info info{};
  if (const int error = query_info(impl_->fd, {.id = AMDGPU_INFO_MEMORY}, &info, sizeof info); error != 0)
    return fail(ErrorCode::kernel, text("the kernel refuses to tell how much GTT is free: %s", std::strerror(-error)),
                -error);
  return info.gtt.usable_heap_size - std::min(info.gtt.usable_heap_size, info.gtt.heap_usage);
}

Result<u64> Device::gpu_clock() const {
  u64 ticks = 0;
  if (const int error = query_info(impl_->fd, {.id = AMDGPU_INFO_TIMESTAMP}, &ticks, sizeof ticks); error != 0)
    return fail(ErrorCode::kernel, text("the kernel refuses to read the GPU clock: %s", std::strerror(-error)), -error);
  return ticks;
}

std::string Device::describe(u64 va) const {
  const auto hex = [](u64 value) { return text("0x%llx", static_cast<unsigned long long>(value)); };
  const auto& buffers = impl_->buffers;
  if (buffers.empty()) return hex(va) + ", no buffer exists";
  const auto after = buffers.upper_bound(va);
  std::string nearest;
  u64 distance = ~0ull;
  if (after != buffers.begin()) {
    const auto& [start, named] = *std::prev(after);
    if (va - start < named.size_bytes) return named.label + "+" + hex(va - start);
    distance = va - start - named.size_bytes;
    nearest = hex(distance) + " past the end of " + named.label;
  }
  if (after != buffers.end() && after->first - va < distance)
    nearest = hex(after->first - va) + " before " + after->second.label;
  return hex(va) + ", in no buffer: " + nearest;
}

}  // namespace amlm
