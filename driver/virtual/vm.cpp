// The GPU's page tables, as a map of ranges. Checks: Linux amdgpu_gem_va_ioctl and amdgpu_vm_bo_map, driver.md 3.2.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "driver/virtual/facts.h"
#include "driver/virtual/handlers.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

constexpr u64 lowest_va = 64 << 10;
constexpr u64 hole_start = 0x0000'8000'0000'0000, hole_end = 0xffff'8000'0000'0000;
constexpr u64 va_bits_end = 1ull << 48;
constexpr u32 known_flags = AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE |
                            AMDGPU_VM_PAGE_EXECUTABLE | AMDGPU_VM_MTYPE_MASK | uapi::vm_page_noalloc;

// The kernel keeps the top (trap handler, seq64, context save area) and says where it begins.
u64 lowest_reserved_va() {
  uapi::DeviceInfo device{};
  const auto& raw = gfx1151_facts().dev_info;
  memcpy(&device, raw.data(), std::min(sizeof device, raw.size()));
  return device.high_va_max & (va_bits_end - 1);
}

isa::Mapping make_mapping(u64 va, const Vm::Row& row) {
  u8 access = 0;
  if (row.flags & AMDGPU_VM_PAGE_READABLE) access |= isa::access_read;
  if (row.flags & AMDGPU_VM_PAGE_WRITEABLE) access |= isa::access_write;
  if (row.flags & AMDGPU_VM_PAGE_EXECUTABLE) access |= isa::access_execute;
  if (row.bo->is_on_chip) access = 0;
  return {.va = va,
          .size_bytes = row.size_bytes,
          .host = row.bo->host + row.offset,
          .shadow = row.bo->shadow ? row.bo->shadow + row.offset / 4 : nullptr,
          .access = access,
          .snooped = row.bo->snooped(),
          .label = row.bo->is_sparse ? "unbound sparse memory" : "bo " + std::to_string(row.bo->label)};
}

bool overlaps(const Vm& vm, u64 va, u64 size) {
  auto next = vm.rows.lower_bound(va);
  if (next != vm.rows.end() && next->first < va + size) return true;
  if (next == vm.rows.begin()) return false;
  --next;
  return next->first + next->second.size_bytes > va;
}

// Removes [va, va + size): what sticks out on either side stays mapped.
void clear(Vm& vm, u64 va, u64 size) {
  const u64 end = va + size;
  auto next = vm.rows.upper_bound(va);
  if (next != vm.rows.begin()) --next;
  std::vector<std::pair<u64, Vm::Row>> hit;
  for (; next != vm.rows.end() && next->first < end; ++next)
    if (next->first + next->second.size_bytes > va) hit.emplace_back(*next);
  for (auto& [start, row] : hit) {
    vm.erase(start);
    const u64 stop = start + row.size_bytes;
    if (start < va) {
      Vm::Row left = row;
      left.size_bytes = va - start;
      vm.insert(start, std::move(left));
    }
    if (stop > end) {
      Vm::Row right = row;
      right.offset += end - start;
      right.size_bytes = stop - end;
      vm.insert(end, std::move(right));
    }
  }
}

// Reads of an unbound sparse page give zeroes. Hardware drops writes; here they are a fault, since nothing can want
// them.
BoPtr make_sparse(u64 size) {
  void* host = real::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (host == MAP_FAILED) return nullptr;
  auto bo = std::make_shared<Bo>();
  bo->size_bytes = size;
  bo->is_sparse = true;
  bo->host = static_cast<u8*>(host);
  return bo;
}

// A timeline update on a page-table change: the tables here change at once, so the point signals at once.
int update_timeline(Call& call, const uapi::GemVa& args) {
  if (!args.timeline_syncobj_out) return 0;
  const auto syncobj = call.file.syncobjs.find(args.timeline_syncobj_out);
  if (!syncobj) return -ENOENT;
  if (args.timeline_point) syncobj->add_point(args.timeline_point, signalled_fence());
  else syncobj->replace(signalled_fence());
  call.gpu.wake();
  return 0;
}

}  // namespace

void Vm::after_fork() {
  new (&executing) std::mutex;
  wanted = 0;
  (void)executor.release();                  // its threads stay with the parent
  executor = std::make_unique<isa::Executor>();
  code_hashes.clear();
}

void Vm::insert(u64 va, Row row) {
  space.insert(make_mapping(va, row));
  rows.emplace(va, std::move(row));
  ++code_generation;
}

u64 Vm::address_of(u32 label) const {
  for (const auto& [va, row] : rows)
    if (row.bo->label == label && !row.bo->is_sparse) return va;
  return 0;
}

// Permission faults, client TCP, VMID 8, as gfx11 logs show them (bit 18 = write).
void Vm::page_fault(u64 va, bool is_write) {
  last_fault = {.address = va & ~(page_bytes - 1), .status = 0x00801031u | (is_write ? 1u << 18 : 0), .vmhub = 0};
}

void Vm::erase(u64 va) {
  const auto code = code_hashes.lower_bound(va);
  if (code != code_hashes.end() && code->first < va + rows.at(va).size_bytes) {
    executor->forget();                       // other code may come to the same addresses
    code_hashes.clear();
    labels.clear();
  }
  space.erase(va);
  rows.erase(va);
  ++code_generation;
}

int gem_va(Call& call, void* data) {
  const auto& args = *static_cast<uapi::GemVa*>(data);
  if (args.va_address < lowest_va) return -EINVAL;
  if (args.va_address >= hole_start && args.va_address < hole_end) return -EINVAL;
  const u64 low = args.va_address & (va_bits_end - 1);
  if (args.map_size > va_bits_end || low + args.map_size > lowest_reserved_va()) return -EINVAL;
  const bool sparse = args.flags & AMDGPU_VM_PAGE_PRT;
  if (args.flags & ~(sparse ? u32(AMDGPU_VM_DELAY_UPDATE | AMDGPU_VM_PAGE_PRT) : known_flags)) return -EINVAL;
  if (args.operation < AMDGPU_VA_OP_MAP || args.operation > AMDGPU_VA_OP_REPLACE) return -EINVAL;
  if ((args.va_address | args.offset_in_bo | args.map_size) % page_bytes) return -EINVAL;
  BoPtr bo;
  if (args.operation != AMDGPU_VA_OP_CLEAR && !sparse) {
    bo = call.file.bos.find(args.handle);
    if (!bo) return -ENOENT;
  }
  const u64 va = canonical(args.va_address);
  Vm& vm = *call.file.vm;
  const VmLock executing(vm);
  if (args.operation == AMDGPU_VA_OP_UNMAP) {
    const auto row = vm.rows.find(va);
    if (row == vm.rows.end() || (sparse ? !row->second.bo->is_sparse : row->second.bo != bo)) return -ENOENT;
    vm.erase(va);
    return update_timeline(call, args);
  }
  if (args.map_size == 0) return -EINVAL;
  if (sparse && args.operation != AMDGPU_VA_OP_CLEAR && !(bo = make_sparse(args.map_size))) return -ENOMEM;
  if (bo && !sparse &&
      (args.offset_in_bo > bo->size_bytes || args.map_size > bo->size_bytes - args.offset_in_bo))
    return -EINVAL;
  if (args.operation == AMDGPU_VA_OP_MAP && overlaps(vm, va, args.map_size)) return -EINVAL;
  if (args.operation != AMDGPU_VA_OP_MAP) clear(vm, va, args.map_size);
  if (args.operation != AMDGPU_VA_OP_CLEAR)
    vm.insert(va, {.bo = bo,
                   .offset = sparse ? 0 : args.offset_in_bo,
                   .size_bytes = args.map_size,
                   .flags = sparse ? u32(AMDGPU_VM_PAGE_READABLE) : args.flags});
  return update_timeline(call, args);
}

int vm_op(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_vm*>(data);
  if (args.in.flags) return -EINVAL;
  switch (args.in.op) {
    case AMDGPU_VM_OP_RESERVE_VMID: call.file.vmid_reserved = true; return 0;
    case AMDGPU_VM_OP_UNRESERVE_VMID: call.file.vmid_reserved = false; return 0;
    default: return -EINVAL;
  }
}

}  // namespace amlm::vgpu
