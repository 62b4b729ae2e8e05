// Takes lane addresses to host memory: finds mappings, checks access rights always, and in strict mode the shadow
// (isa/memory.h). One per host thread; keeps the mappings it used last.
#pragma once

#include <array>
#include <vector>

#include "isa/execute/wave.h"
#include "isa/memory.h"

namespace amlm::isa {

struct ReadDword;    // isa/execute/shadow.cpp

enum class Use : u8 { read, write, atomic };
// Scratch belongs to one wave at a time: no order to check.
enum class Space : u8 { global, scratch };

// What one vector memory instruction does to global memory, for the 32 lanes of a half.
struct LaneAccess {
  const u64* address = nullptr;      // one a lane
  u32 mask = 0;                      // active lanes
  u32 bytes = 0;                     // a lane
  Use use = Use::read;
  bool device_scope = false;         // GLC: a load goes past L0 and GL1
  u32 offset = 0;                    // place of `address` among the bytes that a lane moves
  Space space = Space::global;
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

// A write over what another workgroup has read: whether the reader uses what it read, it may show only later. `noted`: the
// dispatch is undone and run again in both orders of its workgroups (isa/run.cpp), and in one of them the read comes after
// the write and is judged. `judged`: this is such a run.
enum class Overwrites : u8 { noted, judged };

class MemoryUnit {
 public:
  void begin(const AddressSpace& space, const Visibility& visibility, const RunOptions& options, Overwrites overwrites);
  bool saw_overwrite() const { return saw_overwrite_; }
  // Puts back what this thread's workgroups have written since `begin`.
  void undo();

  // False: a fault was raised and nothing may be touched.
  bool translate(Wave& wave, const LaneAccess& access, LaneHosts& hosts);
  // Memory from `address` to the end of its mapping, if that was used lately and has the access right; else null.
  struct Window { u8* host; u64 bytes; };
  Window window(u64 address, Access right) const {
    for (const Mapping* mapping : recent_)
      if (mapping && address - mapping->va < mapping->size_bytes && (mapping->access & right) != 0)
        return {mapping->host + (address - mapping->va), mapping->size_bytes - (address - mapping->va)};
    return {nullptr, 0};
  }
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
  bool check_data(Wave& wave, const LaneAccess& access);
  void check_read(Wave& wave, const Mapping& mapping, const LaneAccess& access, u32 lane);
  bool check_write(Wave& wave, const Mapping& mapping, const LaneAccess& access, u32 lane);
  void check_group_read(Wave& wave, const ReadDword& at, bool device_scope);
  bool check_group_write(Wave& wave, const Mapping& mapping, u64 dword, u32 touched, const LaneAccess& access, u32 lane);
  void check_scalar_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes);
  void check_stale(Wave& wave, const ReadDword& at, u32 writer, u32 visible, const char* path);
  void check_cpu_data(Wave& wave, const Mapping& mapping, const ReadDword& at, bool acquired, const char* cache);

  // What a dispatch found where it first wrote a dword.
  struct Undo {
    u32* host;
    ShadowDword* shadow;
    u32 value, writer_epoch, writer_group;
  };
  void mark_written(ShadowDword& shadow, u8* host, u32 writer_group);

  static constexpr u32 kept = 4;
  std::array<const Mapping*, kept> recent_{};
  const AddressSpace* space_ = nullptr;
  Visibility visibility_;
  bool strict_ = false, count_lines_ = true;
  Overwrites overwrites_ = Overwrites::noted;
  bool saw_overwrite_ = false;
  std::vector<Undo> undo_;
};

// Distinct 128-byte lines that the lanes touch.
u32 count_cache_lines(const u64* address, u32 mask, u32 bytes);

}  // namespace amlm::isa
