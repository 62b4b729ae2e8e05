// The GPU as amlm sees it: one render node, its facts, its memory and its queue.
//
//   auto device = TRY(Device::open({.node = "/dev/dri/renderD128"}));
//   Buffer x = TRY(device->allocate({.size_bytes = 1 << 20, .use = MemoryUse::gpu_only, .label = "x"}));
//
// Always holds: all buffers are GTT BOs that belong to this process's GPU VM for good (VM_ALWAYS_VALID: a submission
// needs no list of them), mapped with the page rights of their use, with an unmapped guard of at least 64 KiB on both
// sides; nothing here is called for a token. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"

struct amdgpu_bo;      // libdrm_amdgpu
struct amdgpu_va;

namespace amlm {

class Device;

enum class MemoryUse : u8 {
  weights,     // written once by the CPU (write-combined, not snooped: reading them back crawls), read by the GPU
  gpu_only,    // CPU never looks (KV cache, activations); zeroed by the kernel
  shared,      // CPU-cached, snooped: state block, logits, kernargs, IBs
  code,        // code objects: executable, read-only for the GPU; written once by the CPU, write-combined
};

struct BufferView {
  u64 va = 0;
  u64 size_bytes = 0;
  BufferView slice(u64 offset_bytes, u64 slice_bytes) const;   // check: inside
};

// Owns a BO, its VA range and its CPU mapping. Moves, never copies. Dies only when the GPU is idle (check).
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();
  u64 va() const { return va_; }
  u64 size_bytes() const { return size_bytes_; }
  BufferView view() const { return {va_, size_bytes_}; }
  const std::string& label() const { return label_; }
  // CPU mapping; null for gpu_only.
  u8* data() const { return data_; }
  template <class T> T* as(u64 offset_bytes = 0) const { return reinterpret_cast<T*>(data_ + offset_bytes); }
  explicit operator bool() const { return bo_ != nullptr; }

 private:
  friend class Device;
  Device* device_ = nullptr;
  amdgpu_bo* bo_ = nullptr;
  amdgpu_va* range_ = nullptr;
  u64 va_ = 0;
  u64 size_bytes_ = 0;       // as asked for
  u64 mapped_bytes_ = 0;     // whole pages
  u8* data_ = nullptr;
  std::string label_;
};

struct FirmwareVersion { std::string name; u32 version = 0, feature = 0; };

// Read once at open, from the kernel (nothing assumed). driver.md 3.
struct DeviceFacts {
  std::string node;                 // /dev/dri/renderD128
  std::string marketing_name;       // "AMD Radeon 8060S Graphics"
  bool is_virtual = false;          // the virtual gfx1151 says so in its DRM version's description
  u32 pci_device = 0, pci_revision = 0, family = 0, external_revision = 0;
  u32 gfx_major = 0, gfx_minor = 0, gfx_step = 0;        // 11, 5, 1
  u32 compute_units = 0, shader_engines = 0, shader_arrays = 0;      // arrays: per engine
  u64 max_engine_clock_khz = 0, max_memory_clock_khz = 0, counter_khz = 0;
  u32 memory_bus_bits = 0, memory_type = 0;              // AMDGPU_VRAM_TYPE_*
  u64 gtt_total_bytes = 0, gtt_used_bytes = 0, gtt_max_allocation_bytes = 0, vram_total_bytes = 0, vram_used_bytes = 0;
  u32 drm_major = 0, drm_minor = 0;
  std::string kernel_release;
  u64 job_timeout_ms = 0;           // of compute rings, from the module parameter or the kernel version; 0 = none
  std::string job_timeout_source;
  u32 compute_rings = 0, ib_start_alignment = 0, ib_size_alignment = 0;
  u64 va_start = 0, va_end = 0, va_alignment = 0, pte_fragment_bytes = 0;
  std::vector<FirmwareVersion> firmware;

  // What the memory can deliver in theory, from bus width and memory clock; 256 when the kernel names no clock.
  double memory_limit_gbps() const;
  // How long one submission should take at most: a quarter of the job timeout, and never more than half a second, so
  // that a desktop on the same GPU stays usable.
  u64 job_budget_ms() const;
};

struct DeviceChoice { std::string node; };                 // "" = first usable node
struct Allocation {
  u64 size_bytes = 0;
  MemoryUse use = MemoryUse::gpu_only;
  std::string label;                // for people: errors and dumps name it
  u64 alignment_bytes = 0;
};

class Device {
 public:
  // no_device, permission or kernel errors carry the reason for every node looked at, and the remedy.
  static Result<std::unique_ptr<Device>> open(const DeviceChoice& choice);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceFacts& facts() const;
  // memory: GTT cannot hold it. alignment_bytes: of the VA, a power of two; 256 at least.
  Result<Buffer> allocate(const Allocation& request);
  // Free GTT now (INFO), for the memory plan.
  Result<u64> gtt_free_bytes() const;
  // GPU clock counter now, in ticks of counter_khz; the same counter as IbBuilder::timestamp writes.
  Result<u64> gpu_clock() const;
  // "weights+0x1c0" for a GPU address of ours, else the nearest buffer and the distance.
  std::string describe(u64 va) const;
  u64 allocation_count() const;      // since open; tests prove that no token allocates

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  Device();
  friend class Buffer;
  void release(Buffer& buffer) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amlm
