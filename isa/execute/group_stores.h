// Strict mode: which wave of a workgroup stored each dword of global memory, and whether the others may know.
//
// Rule: a wave may read or overwrite what another wave of its workgroup stored only after a barrier that the writer
// reached having waited for the store (vscnt); in WGP mode the reader must also have invalidated L0 since, because the
// two CUs of a WGP have one each (LLVM emits buffer_gl0_inv there).
#pragma once

#include <array>
#include <vector>

#include "isa/execute/wave.h"

namespace amlm::isa {

class GroupStores {
 public:
  struct Store {
    u32 number = 0;        // of the wave's stores
    u32 interval = 0;      // barriers that the workgroup had passed
    u8 wave = 0;
    u8 bytes = 0;          // of the dword, as bits
  };

  void begin(bool two_caches);
  // All waves of the group passed a barrier.
  void release(const std::vector<Wave>& waves);
  void store(const Wave& wave, u64 dword, u8 bytes);
  // Null when the access is in order; else the store that it is not ordered after.
  const Store* unordered_before(const Wave& wave, u64 dword, u8 bytes) const;
  // The same for a read that another CU's L0 could answer with old data.
  const Store* stale_before(const Wave& wave, u64 dword, u8 bytes) const;

 private:
  struct Slot { u64 dword = 0; u32 round = 0; Store store; };
  const Slot* find(u64 dword) const;
  void grow();

  std::vector<Slot> slots_ = std::vector<Slot>(1024);   // a power of two; open addressing
  u32 round_ = 0;                                       // slots of older rounds are empty
  u32 used_ = 0;
  bool two_caches_ = false;
  std::array<u32, 32> released_{};                      // stores of each wave that its last barrier made visible
};

}  // namespace amlm::isa
