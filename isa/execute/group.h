// One workgroup while it runs: its LDS, its waves, its barrier. A host thread runs one workgroup at a time.
//
// Waves are run one after the other, each until it ends, reaches a barrier or has used its turn; so nothing here is
// shared between host threads.
#pragma once

#include <unordered_set>
#include <vector>

#include "isa/execute/wave.h"

namespace amlm::isa {

class LdsChecker;
class GroupStores;
class Origins;

inline constexpr u32 lds_hardware_bytes = 64 * 1024;

struct Group {
  const Dispatch* dispatch = nullptr;
  std::array<u32, 3> id{};             // workgroup id in each dimension
  u32 linear = 0;                      // x + y * groups_x + z * groups_x * groups_y
  u8* lds = nullptr;                   // lds_hardware_bytes
  u32 lds_bytes = 0;                   // declared in RSRC2, in units of 512 bytes: past it is a fault in strict mode
  LdsChecker* lds_checker = nullptr;   // null in fast mode
  GroupStores* stores = nullptr;       // null in fast mode and for a single wave
  Origins* origins = nullptr;          // null in fast mode
  std::vector<Wave> waves;
  std::unordered_set<u64> same_writes; // strict: what it wrote where the same stood already (isa/execute/shadow.cpp)
  u32 barrier_interval = 0;            // barriers passed so far: isa/execute/checker.h
  bool synchronised = false;           // has done an atomic that returns: may know what other workgroups have finished
};

}  // namespace amlm::isa
