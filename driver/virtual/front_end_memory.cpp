// A front end's own reads and writes. They go through L2, so that the shader caches above it do not
// matter to a read; what matters is whether the writer has been waited for.
#include <string.h>

#include "driver/virtual/front_end.h"

namespace amlm::vgpu {

namespace {

std::string nearest_text(const isa::AddressSpace& space, u64 va) {
  const isa::Mapping* nearest = space.nearest(va);
  if (!nearest) return "nothing is mapped";
  if (va < nearest->va) return std::to_string(nearest->va - va) + " bytes below " + nearest->label;
  return std::to_string(va - (nearest->va + nearest->size_bytes)) + " bytes past the end of " + nearest->label;
}

}  // namespace

// The mapping that holds the whole range with the right access, or null after a fault.
const isa::Mapping* FrontEnd::reach(u64 va, u64 size, u8 access, const char* verb) {
  const isa::Mapping* mapping = vm_.space.find(va);
  const std::string what = std::string(verb) + " of " + std::to_string(size) + " bytes at " + hex(va);
  const auto page_fault = [&](const char* kind, const std::string& why) {
    // GCVM_L2_PROTECTION_FAULT_STATUS as gfx11 logs show it: permission faults, client CP, VMID 8; bit 18 = write
    vm_.last_fault = {.address = va & ~(page_bytes - 1),
                      .status = 0x00800031u | (access == isa::access_write ? 1u << 18 : 0),
                      .vmhub = 0};
    fault(kind, what + ": " + why, va);
  };
  if (!mapping) return page_fault("unmapped", "not mapped, " + nearest_text(vm_.space, va)), nullptr;
  if ((mapping->access & access) != access)
    return page_fault(access == isa::access_write ? "no-write" : "no-read",
                      mapping->label + " is mapped without that right"), nullptr;
  if (va + size > mapping->va + mapping->size_bytes)
    return page_fault("unmapped", "runs past the end of " + mapping->label), nullptr;
  return mapping;
}

bool FrontEnd::read(u64 va, void* target, u64 size, Order order) {
  const isa::Mapping* mapping = reach(va, size, isa::access_read, "read");
  if (!mapping) return false;
  if (order.checked && !check_order(*mapping, va, size, false)) return false;
  memcpy(target, mapping->host + (va - mapping->va), size);
  return true;
}

bool FrontEnd::write(u64 va, const void* source, u64 size, Order order) {
  const isa::Mapping* mapping = reach(va, size, isa::access_write, "write");
  if (!mapping) return false;
  if (order.checked && !order.end_of_pipe && !check_order(*mapping, va, size, true)) return false;
  memcpy(mapping->host + (va - mapping->va), source, size);
  if (!mapping->shadow || size == 0) return true;
  const u32 epoch = write_epoch(order.end_of_pipe);
  for (u64 dword = (va - mapping->va) / 4; dword <= (va - mapping->va + size - 1) / 4; ++dword)
    mapping->shadow[dword] = {.writer_epoch = epoch, .reader_epoch = 0, .writer_group = ~0u, .reader_group = ~0u};
  return true;
}

// Dispatches run on after the front end has gone past them: what one of them still reads or writes is not ours to
// touch.
bool FrontEnd::check_order(const isa::Mapping& mapping, u64 va, u64 size, bool is_write) {
  if (!mapping.shadow || size == 0) return true;
  const u32 completed = vm_.caches.completed;
  for (u64 dword = (va - mapping.va) / 4; dword <= (va - mapping.va + size - 1) / 4; ++dword) {
    const isa::ShadowDword& shadow = mapping.shadow[dword];
    const u64 at = mapping.va + dword * 4;
    if (shadow.writer_epoch > completed) {
      fault(is_write ? "write-after-write" : "stale-read",
            std::string(is_write ? "writes" : "reads") + " " + mapping.label + " at " + hex(at) + " while dispatch " +
                std::to_string(shadow.writer_epoch) + " may still be writing it: CS_PARTIAL_FLUSH is missing", at);
      return false;
    }
    if (is_write && shadow.reader_epoch > completed) {
      fault("write-after-read", "writes " + mapping.label + " at " + hex(at) + " while dispatch " +
                                    std::to_string(shadow.reader_epoch) +
                                    " may still be reading it: CS_PARTIAL_FLUSH is missing", at);
      return false;
    }
  }
  return true;
}

// A write gets a number of its own where that is exact: when no dispatch is in flight, or at the end of the pipe.
// Between, it counts as old as what was last waited for, so that a reader is never accused wrongly.
u32 FrontEnd::write_epoch(bool end_of_pipe) {
  CacheState& caches = vm_.caches;
  if (end_of_pipe) return ++caches.issued;
  if (caches.completed == caches.issued) return caches.completed = ++caches.issued;
  return caches.completed;
}

}  // namespace amlm::vgpu
