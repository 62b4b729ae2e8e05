// What the executor sees of GPU memory: mappings of a virtual address space, and, in strict mode, a shadow that
// remembers who wrote and read each dword last, so that a missing barrier or cache action is a fault.
//
// The visibility rule (driver.md 0b.8, 2.1; RADV's and our barriers): what an earlier dispatch wrote may be read only
// after that dispatch was waited for (CS_PARTIAL_FLUSH, end of job) and, after that wait, the reader's caches were
// invalidated (ACQUIRE_MEM: GLV and GL1 for vector loads, GLK and GL1 for scalar loads, GLI for instruction fetch).
// Hardware punishes a violation only when the line happened to be cached; we always do.
#pragma once

#include <string>
#include <vector>

#include "isa/base.h"

namespace amlm::isa {

enum Access : u8 { access_read = 1, access_write = 2, access_execute = 4 };

// Shadow of one dword of memory. Epochs are dispatch numbers of one address space, counting from 1;
// 0 = last written by the CPU, or never.
struct ShadowDword {
  u32 writer_epoch = 0;
  u32 reader_epoch = 0;
  u32 writer_group = 0;   // workgroup (linear) of the writing dispatch: races inside a dispatch; bits 28-31: its bytes
  u32 reader_group = 0;   // ~0u: several workgroups have read it
};

struct Mapping {
  u64 va = 0;
  u64 size_bytes = 0;
  u8* host = nullptr;
  ShadowDword* shadow = nullptr;   // one a dword (size_bytes / 4), or null: not tracked
  u8 access = 0;                   // Access bits
  bool snooped = true;             // CPU-cached GTT: L2 needs no invalidation to see CPU writes
  std::string label;               // "weights", "bo 7"
};

// Who sees what at the time of one dispatch. The command processor fills it (driver/virtual).
struct Visibility {
  u32 epoch = 1;                   // of the dispatch itself
  u32 completed = 0;               // dispatches <= this have been waited for
  u32 visible_vector = 0;          // their writes <= this are visible to vector loads
  u32 visible_scalar = 0;
  u32 visible_instruction = 0;
  // CPU writes made before the job started (any dword with writer_epoch 0, or of an older job):
  bool cpu_vector = true, cpu_scalar = true, cpu_instruction = true;
  bool cpu_l2 = true;              // L2 was invalidated too: needed for mappings that are not snooped
};

// Sorted, non-overlapping mappings. Not changed while a dispatch runs.
class AddressSpace {
 public:
  // The mapping that holds `va`, or null. O(log n); callers keep the last one.
  const Mapping* find(u64 va) const;
  // The nearest mapping below or above, for messages; null when there is none at all.
  const Mapping* nearest(u64 va) const;
  void insert(Mapping mapping);                    // check: no overlap
  void erase(u64 va);                              // check: a mapping starts there
  const std::vector<Mapping>& mappings() const { return mappings_; }

 private:
  std::vector<Mapping> mappings_;                  // by va
};

}  // namespace amlm::isa
