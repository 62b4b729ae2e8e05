#include "isa/execute/memory_unit.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <fmt/format.h>

#include "isa/execute/group.h"
#include "isa/execute/host_vectors.h"

namespace amlm::isa {

namespace {

constexpr u64 line_bytes = 128;

// The least and the greatest address of the active lanes.
struct Range {
  u64 low = ~0ull, high = 0;
};

Range range_plain(const u64* address, u32 mask) {
  Range range;
  for (u32 left = mask; left; left &= left - 1) {
    const u64 at = address[std::countr_zero(left)];
    range.low = std::min(range.low, at);
    range.high = std::max(range.high, at);
  }
  return range;
}

#if defined(__x86_64__)
AMLM_AVX512 Range range_wide(const u64* address, u32 mask) {
  __m512i low = _mm512_set1_epi64(-1), high = _mm512_setzero_si512();
  for (u32 lane = 0; lane < half_lanes; lane += 8) {
    const __m512i at = _mm512_loadu_si512(address + lane);
    low = _mm512_mask_min_epu64(low, __mmask8(mask >> lane), low, at);
    high = _mm512_mask_max_epu64(high, __mmask8(mask >> lane), high, at);
  }
  return {_mm512_reduce_min_epu64(low), _mm512_reduce_max_epu64(high)};
}
const auto range_of = has_avx512() ? range_wide : range_plain;
#else
const auto range_of = range_plain;
#endif

const char* word(Use use) {
  return use == Use::read ? "read" : use == Use::write ? "write" : "atomic access";
}

}  // namespace

void MemoryUnit::begin(const AddressSpace& space, const Visibility& visibility, const RunOptions& options,
                       Overwrites overwrites) {
  space_ = &space;
  visibility_ = visibility;
  strict_ = options.mode == Mode::strict;
  count_lines_ = options.count_lines;
  recent_ = {};
  overwrites_ = overwrites;
  saw_overwrite_ = false;
  undo_.clear();
}

const Mapping* MemoryUnit::find(u64 address, u64 bytes) {
  for (u32 i = 0; i < kept; ++i) {
    const Mapping* mapping = recent_[i];
    if (mapping && address - mapping->va < mapping->size_bytes) {
      if (address - mapping->va + bytes > mapping->size_bytes) return nullptr;
      if (i) std::swap(recent_[i], recent_[i - 1]);
      return mapping;
    }
  }
  const Mapping* mapping = space_->find(address);
  if (!mapping || address - mapping->va + bytes > mapping->size_bytes) return nullptr;
  std::rotate(recent_.begin(), recent_.end() - 1, recent_.end());
  recent_[0] = mapping;
  return mapping;
}

std::string MemoryUnit::describe(u64 address) const {
  const Mapping* mapping = space_->nearest(address);
  if (!mapping) return "nothing is mapped";
  const u64 end = mapping->va + mapping->size_bytes;
  if (address < mapping->va) return fmt::format("{:#x} bytes before '{}'", mapping->va - address, mapping->label);
  if (address >= end) return fmt::format("{:#x} bytes past the end of '{}'", address - end, mapping->label);
  return fmt::format("'{}'+{:#x}", mapping->label, address - mapping->va);
}

void MemoryUnit::raise_unmapped(Wave& wave, u64 address, u32 bytes, Use use, u32 lane) {
  const Mapping* mapping = space_->find(address);
  const std::string where = mapping ? fmt::format("runs over the end of '{}', of which {} bytes are left",
                                                  mapping->label, mapping->va + mapping->size_bytes - address)
                                    : "is " + describe(address);
  wave.raise("unmapped", fmt::format("{} of {} bytes at {:#x} {}", word(use), bytes, address, where), address, lane);
}

bool MemoryUnit::raise_if_refused(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, Use use, u32 lane) {
  const u8 wanted = use == Use::read ? access_read : use == Use::write ? access_write : access_read | access_write;
  if ((mapping.access & wanted) == wanted) [[likely]] return false;
  wave.raise(use == Use::read ? "no-read" : "no-write",
             fmt::format("{} of {} bytes at {:#x} in {}, which is mapped without that right", word(use), bytes, address,
                         describe(address)), address, lane);
  return true;
}

bool MemoryUnit::translate(Wave& wave, const LaneAccess& access, LaneHosts& hosts) {
  hosts.uniform_ = true;
  if (!access.mask) return true;
  const bool ordered = strict_ && access.space == Space::global;
  if (ordered && access.use != Use::read && !check_data(wave, access)) return false;
  const auto [low, high] = range_of(access.address, access.mask);
  // high + bytes may wrap for wild addresses: then the lanes are looked at one by one
  const Mapping* all = high - low < (1ull << 48) ? find(low, high - low + access.bytes) : nullptr;
  const u32 first_lane = u32(std::countr_zero(access.mask));
  if (all) [[likely]] {
    if (raise_if_refused(wave, *all, access.address[first_lane], access.bytes, access.use, first_lane)) return false;
    hosts.bias_ = all->host - all->va;
  } else {
    hosts.uniform_ = false;
  }
  if (all && (!ordered || !all->shadow)) return true;
  for (u32 left = access.mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    const u64 address = access.address[lane];
    const Mapping* mapping = all ? all : find(address, access.bytes);
    if (!mapping) {
      raise_unmapped(wave, address, access.bytes, access.use, lane);
      return false;
    }
    if (!all) {
      if (raise_if_refused(wave, *mapping, address, access.bytes, access.use, lane)) return false;
      hosts.lane_[lane] = mapping->host + (address - mapping->va);
    }
    if (!ordered || !mapping->shadow) continue;
    if (access.use == Use::read) check_read(wave, *mapping, access, lane);
    else if (!check_write(wave, *mapping, access, lane)) return false;
  }
  return true;
}

const u8* MemoryUnit::translate_scalar(Wave& wave, u64 address, u32 bytes) {
  const Mapping* mapping = find(address, bytes);
  if (!mapping) {
    raise_unmapped(wave, address, bytes, Use::read, 0);
    return nullptr;
  }
  if (raise_if_refused(wave, *mapping, address, bytes, Use::read, 0)) return nullptr;
  if (strict_ && mapping->shadow) check_scalar_read(wave, *mapping, address, bytes);
  return mapping->host + (address - mapping->va);
}

u32 count_cache_lines(const u64* address, u32 mask, u32 bytes) {
  if (!mask) return 0;
  // Usually all lines lie within 64 of each other: one bit a line.
  const u64 base = address[std::countr_zero(mask)] / line_bytes - 32;
  u64 near = 0, outside = 0;
  const auto note = [&](u64 at) {
    const u64 first = at / line_bytes - base, last = (at + bytes - 1) / line_bytes - base;
    near |= 1ull << (first & 63) | 1ull << (last & 63);
    outside |= first | last;
  };
  if (mask == ~0u) for (u32 lane = 0; lane < half_lanes; ++lane) note(address[lane]);
  else for (u32 left = mask; left; left &= left - 1) note(address[std::countr_zero(left)]);
  if (outside < 64) [[likely]] return u32(std::popcount(near));
  std::array<u64, 2 * half_lanes> lines;
  u32 count = 0;
  for (u32 left = mask; left; left &= left - 1) {
    const u64 at = address[std::countr_zero(left)];
    lines[count++] = at / line_bytes;
    lines[count++] = (at + bytes - 1) / line_bytes;
  }
  std::sort(lines.begin(), lines.begin() + count);
  return u32(std::unique(lines.begin(), lines.begin() + count) - lines.begin());
}

}  // namespace amlm::isa
