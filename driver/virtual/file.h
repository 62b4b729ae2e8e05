// An open render node: its handles and its address space. Guarded by Gpu::mutex; Vm::executing comes after it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "driver/base.h"
#include "driver/virtual/descriptors.h"
#include "driver/virtual/fence.h"
#include "driver/virtual/gpu.h"
#include "driver/virtual/tree.h"
#include "driver/virtual/uapi.h"
#include "isa/memory.h"
#include "isa/run.h"

namespace amlm::vgpu {

struct Context;

// One buffer object. Owns its range of the pool and its shadow.
struct Bo {
  u64 size_bytes = 0;
  u64 alignment = 0, domains = 0, flags = 0;
  u64 pool_offset = ~0ull;                   // ~0: user memory
  u8* host = nullptr;
  isa::ShadowDword* shadow = nullptr;        // strict mode only
  bool is_user_memory = false;
  bool is_shared = false;                    // has a dma-buf or a global name
  bool is_on_chip = false;                   // GDS, GWS, OA: a name without memory; the GPU may not reach it by address
  bool is_sparse = false;                    // what a PRT mapping shows where nothing is bound: zeroes
  u32 label = 0;                             // the handle it was made under, for messages
  u64 tiling = 0, metadata_flags = 0;
  std::vector<u32> metadata;
  u32 metadata_bytes = 0;
  Fences fences;                             // of jobs that listed it

  bool snooped() const { return !(flags & AMDGPU_GEM_CREATE_CPU_GTT_USWC); }
  ~Bo();
};
using BoPtr = std::shared_ptr<Bo>;

template <class T>
class HandleTable {
 public:
  u32 add(std::shared_ptr<T> what) {
    u32 handle = 1;
    for (const auto& row : rows_) {
      if (row.first != handle) break;
      ++handle;
    }
    rows_.emplace(handle, std::move(what));
    return handle;
  }
  std::shared_ptr<T> find(u32 handle) const {
    const auto row = rows_.find(handle);
    return row == rows_.end() ? nullptr : row->second;
  }
  u32 handle_of(const T* what) const {
    for (const auto& row : rows_)
      if (row.second.get() == what) return row.first;
    return 0;
  }
  bool remove(u32 handle) { return rows_.erase(handle) != 0; }
  const std::map<u32, std::shared_ptr<T>>& rows() const { return rows_; }

 private:
  std::map<u32, std::shared_ptr<T>> rows_;
};

// Who has seen what, by dispatch number of this address space (isa/memory.h). Used in strict mode.
struct CacheState {
  u32 issued = 0;                            // dispatches and writes of the command processor so far
  u32 completed = 0;
  u32 visible_vector = 0, visible_scalar = 0, visible_instruction = 0;
};

struct Vm {
  struct Row { BoPtr bo; u64 offset = 0, size_bytes = 0; u32 flags = 0; };
  std::mutex executing;                      // held while a packet runs: mappings do not change under it
  std::atomic<u32> wanted{0};                // ioctls that wait for it: they go before the next packet
  isa::AddressSpace space;
  std::map<u64, Row> rows;                   // by canonical va
  std::unique_ptr<isa::Executor> executor = std::make_unique<isa::Executor>();
  struct CodeHash { u64 hash; u64 generation; };
  std::map<u64, CodeHash> code_hashes;       // by code va: what the executor has decoded, and when it was last compared
  u64 code_generation = 1;                   // grows with each instruction cache invalidation and page-table change
  std::map<u64, std::string> labels;         // of kernels, by code va
  CacheState caches;
  uapi::GpuvmFault last_fault{};
  Fences always_valid_fences;
  u64 busy_ns = 0;                           // modelled time of its jobs

  void after_fork();
  void insert(u64 va, Row row);
  u64 address_of(u32 label) const;           // of the buffer that was made under this handle, 0 when it is not mapped
  void page_fault(u64 va, bool is_write);    // what INFO GPUVM_FAULT tells
  void erase(u64 va);
};

struct BoListEntry { u32 handle, priority; };
struct BoList { std::vector<BoPtr> bos; };

struct File {
  explicit File(NodeKind node_kind);
  ~File();
  NodeKind kind;
  HandleTable<Bo> bos;
  HandleTable<Context> contexts;
  HandleTable<BoList> lists;
  HandleTable<Syncobj> syncobjs;
  std::shared_ptr<Vm> vm;
  bool vmid_reserved = false;
  const u64 client_id;                       // for fdinfo
};

// Holds a Vm between two packets.
class VmLock {
 public:
  explicit VmLock(Vm& vm) : vm_(vm) {
    ++vm_.wanted;
    vm_.executing.lock();
    --vm_.wanted;
  }
  ~VmLock() { vm_.executing.unlock(); }
  VmLock(const VmLock&) = delete;
  VmLock& operator=(const VmLock&) = delete;

 private:
  Vm& vm_;
};

// Bit 47 decides bits 63:48 (48-bit virtual addresses).
inline u64 canonical(u64 va) { return u64(i64(va << 16) >> 16); }

// What the fault script makes of a call that is no ioctl: 0 or a positive errno. Without Gpu::mutex.
int call_error(const char* name);
// 0 or a positive ioctl result, or -errno.
int device_ioctl(Descriptor& what, unsigned long request, void* argument);

struct MapRequest { void* address; u64 size; int protection, flags; u64 offset; };
void* device_mmap(Descriptor& what, const MapRequest& request);

}  // namespace amlm::vgpu
