// Takes lane addresses to host memory: finds mappings, checks access rights always, and in strict mode the shadow
// (isa/memory.h). One per host thread; keeps the mappings it used last.
#pragma once

#include <array>

#include "isa/execute/wave.h"
#include "isa/memory.h"

namespace amlm::isa {

enum class Use : u8 { read, write, atomic };

// What one vector memory instruction does to global memory, for the 32 lanes of a half.
struct LaneAccess {
  const u64* address = nullptr;      // one a lane
  u32 mask = 0;                      // active lanes
  u32 bytes = 0;                     // a lane
  Use use = Use::read;
  bool device_scope = false;         // GLC: a load goes past L0 and GL1
};

// Where the lanes' bytes are on the host.
class LaneHosts {
 public:
  u8* at(u32 lane, u64 address) const { return uniform_ ? bias_ + address : lane_[lane]; }
  // All active lanes lie in one mapping: host address = bias + GPU address.
  bool uniform() const { return uniform_; }
  u8* bias() const { return bias_; }

 private:
  friend class MemoryUnit;
  bool uniform_ = false;
  u8* bias_ = nullptr;
  std::array<u8*, half_lanes> lane_;
};

class MemoryUnit {
 public:
  void begin(const AddressSpace& space, const Visibility& visibility, const RunOptions& options);

  // False: a fault was raised and nothing may be touched.
  bool translate(Wave& wave, const LaneAccess& access, LaneHosts& hosts);
  // Scalar loads; null: a fault was raised.
  const u8* translate_scalar(Wave& wave, u64 address, u32 bytes);

  bool strict() const { return strict_; }
  bool counts_lines() const { return count_lines_; }
  // "weights+0x1c0", or the nearest mapping and the distance.
  std::string describe(u64 address) const;

 private:
  const Mapping* find(u64 address, u64 bytes);
  void raise_unmapped(Wave& wave, u64 address, u32 bytes, Use use, u32 lane);
  bool raise_if_refused(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, Use use, u32 lane);
  bool check_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, u32 lane, bool device_scope);
  bool check_write(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, u32 lane, bool atomic);
  bool check_group_order(Wave& wave, u64 dword, u32 touched, Use use, u32 lane, bool device_scope);
  bool check_scalar_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes);
  void raise_stale(Wave& wave, u64 dword, u32 writer, const char* path, u32 lane);
  bool check_cpu_data(Wave& wave, const Mapping& mapping, u64 address, bool acquired, const char* cache, u32 lane);

  static constexpr u32 kept = 4;
  std::array<const Mapping*, kept> recent_{};
  const AddressSpace* space_ = nullptr;
  Visibility visibility_;
  bool strict_ = false, count_lines_ = true;
};

// Distinct 128-byte lines that the lanes touch.
u32 count_cache_lines(const u64* address, u32 mask, u32 bytes);

}  // namespace amlm::isa
