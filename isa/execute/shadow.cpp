// The strict checks of MemoryUnit on the shadow of memory: who wrote and read each dword last, and may it be seen. A read
// that may not see what it reads gives a poisoned value (isa/execute/poison.h); a write that others must not meet is a
// fault, unless it leaves the bytes as they are.
//
// Workgroups of one dispatch run on several host threads, so every field is read and written with relaxed atomics. Two
// groups that race in the very same nanosecond may miss each other; one of them is caught in any other order.
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <thread>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/execute/group_stores.h"
#include "isa/execute/memory_unit.h"

namespace amlm::isa {

namespace {

// ShadowDword::writer_group: group in the low 28 bits, above it which bytes of the dword that group wrote.
constexpr u32 group_mask = 0x0fffffff;
constexpr u32 several_groups = group_mask, atomics = group_mask - 1;
constexpr u32 read_by_several = ~0u;

u32 get(u32& field) { return std::atomic_ref<u32>(field).load(std::memory_order_relaxed); }
void set(u32& field, u32 value) { std::atomic_ref<u32>(field).store(value, std::memory_order_relaxed); }

void note_reader(ShadowDword& shadow, u32 epoch, u32 group) {
  if (get(shadow.reader_epoch) != epoch) {
    set(shadow.reader_group, group);
    set(shadow.reader_epoch, epoch);
  } else if (get(shadow.reader_group) != group) {
    set(shadow.reader_group, read_by_several);
  }
}

// Bytes [address, address + bytes) inside the dword at `dword`, as bits 28-31.
u32 bytes_touched(u64 dword, u64 address, u64 bytes) {
  u32 mask = 0;
  for (u32 i = 0; i < 4; ++i) mask |= u32(dword + i >= address && dword + i < address + bytes) << i;
  return mask << 28;
}

// After an atomic that returns a value a group may know that others have finished: then no order can be disproved.
bool may_know_others(const Wave& wave) { return wave.group->synchronised; }

constexpr u32 whole_group = 63;
// Key of Group::same_writes: this wave, or all of the workgroup, wrote there what another had written.
u64 same_write(u64 dword, u32 wave) { return dword / 4 * 64 + wave; }

u32 bits_of(u32 touched) {
  u32 bits = 0;
  for (u32 i = 0; i < 4; ++i)
    if (touched >> (28 + i) & 1) bits |= 0xffu << 8 * i;
  return bits;
}

// Does the store leave the dword as it is? Another host thread may have marked the dword as written a moment before it
// writes it: `patience` waits for that.
enum class Patience : u8 { none, some };
bool writes_same(const Wave& wave, const u8* host, u64 dword, u32 touched, const LaneAccess& access, u32 lane,
                 Patience patience) {
  u32 now = 0;
  const i32 place = i32(access.offset) + i32(i64(dword - access.address[lane]));
  if (access.use != Use::write || !wave.checker->stored_value(wave, lane, place, u8(touched >> 28), now)) return false;
  for (u32 attempt = 0; attempt < (patience == Patience::some ? 100u : 1u); ++attempt) {
    if (attempt) std::this_thread::sleep_for(std::chrono::microseconds(100));
    const u32 old = std::atomic_ref<u32>(*reinterpret_cast<u32*>(const_cast<u8*>(host))).load(std::memory_order_relaxed);
    if (!((old ^ now) & bits_of(touched))) return true;
  }
  return false;
}

}  // namespace

// A dword of a read: bytes that matter as bits 28-31 of `touched`, its place among the bytes that the lane moves.
struct ReadDword {
  u64 dword;
  u32 touched;
  u32 lane;
  i32 place;

  template <class Describe>
  void poison(Wave& wave, const char* kind, Describe&& describe) const {
    const u32 origin = wave.group->origins->of(kind, wave.step, dword, describe);
    wave.checker->load(wave, lane, place, u8(touched >> 28), {~0u, origin});
  }
};

// Records who writes, and before a dispatch's first write of a dword what is there. Several workgroups may come first at
// the same time, with atomics or other bytes: the one that gets its mark in saw the value that was there before all of them.
void MemoryUnit::mark_written(ShadowDword& shadow, u8* host, u32 writer_group) {
  const u32 epoch = visibility_.epoch;
  u32 earlier = get(shadow.writer_epoch);
  if (earlier == epoch) {
    set(shadow.writer_group, writer_group);
    return;
  }
  u32* word = reinterpret_cast<u32*>(host);
  const Undo undo{word, &shadow, get(*word), earlier, get(shadow.writer_group)};
  set(shadow.writer_group, writer_group);
  if (std::atomic_ref<u32>(shadow.writer_epoch).compare_exchange_strong(earlier, epoch)) undo_.push_back(undo);
}

void MemoryUnit::undo() {
  for (auto u = undo_.rbegin(); u != undo_.rend(); ++u) {
    *u->host = u->value;
    u->shadow->writer_epoch = u->writer_epoch;
    u->shadow->writer_group = u->writer_group;
  }
  undo_.clear();
}

void MemoryUnit::check_cpu_data(Wave& wave, const Mapping& mapping, const ReadDword& at, bool acquired,
                                const char* cache) {
  if (acquired && (mapping.snooped || visibility_.cpu_l2)) [[likely]] return;
  at.poison(wave, "stale-read", [&] {
    return fmt::format("reads {} ({:#x}), which the CPU may have written, without invalidating {} since the job began",
                       describe(at.dword), at.dword, acquired ? "GL2" : cache);
  });
}

void MemoryUnit::check_stale(Wave& wave, const ReadDword& at, u32 writer, u32 visible, const char* path) {
  if (writer <= visible && writer <= visibility_.completed) [[likely]] return;
  at.poison(wave, "stale-read", [&] {
    return fmt::format("reads {} ({:#x}) by a {} load, written by the dispatch {} before this one, {}", describe(at.dword),
                       at.dword, path, visibility_.epoch - writer,
                       writer > visibility_.completed ? "which was not waited for"
                                                      : "without invalidating the caches that it goes through");
  });
}

// Between the waves of one workgroup.
void MemoryUnit::check_group_read(Wave& wave, const ReadDword& at, bool device_scope) {
  GroupStores* stores = wave.group->stores;
  if (!stores || wave.group->same_writes.contains(same_write(at.dword, wave.index))) return;
  const u8 bytes = u8(at.touched >> 28);
  if (const auto* store = stores->unordered_before(wave, at.dword, bytes)) {
    at.poison(wave, "race", [&] {
      return fmt::format("reads {} ({:#x}), which wave {} of the same workgroup writes with no barrier between that "
                         "follows its s_waitcnt_vscnt", describe(at.dword), at.dword, u32(store->wave));
    });
  } else if (const auto* stale = device_scope ? nullptr : stores->stale_before(wave, at.dword, bytes)) {
    at.poison(wave, "stale-read", [&] {
      return fmt::format("reads {} ({:#x}), which wave {} of the same workgroup wrote, without buffer_gl0_inv after the "
                         "barrier: in WGP mode it may run on the other CU", describe(at.dword), at.dword,
                         u32(stale->wave));
    });
  }
}

bool MemoryUnit::check_group_write(Wave& wave, const Mapping& mapping, u64 dword, u32 touched, const LaneAccess& access,
                                   u32 lane) {
  GroupStores* stores = wave.group->stores;
  if (!stores || access.use == Use::atomic) return true;
  const auto* store = stores->unordered_before(wave, dword, u8(touched >> 28));
  if (!store) {
    stores->store(wave, dword, u8(touched >> 28));
    return true;
  }
  if (writes_same(wave, mapping.host + (dword - mapping.va), dword, touched, access, lane, Patience::none)) {
    wave.group->same_writes.insert(same_write(dword, wave.index));
    return true;
  }
  wave.raise("race", fmt::format("write of {} ({:#x}), which wave {} of the same workgroup writes with no barrier "
                                 "between that follows its s_waitcnt_vscnt", describe(dword), dword, u32(store->wave)),
             dword, lane);
  return false;
}

bool MemoryUnit::check_data(Wave& wave, const LaneAccess& access) {
  for (u32 left = access.mask; left && wave.checker->data_poisoned(); left &= left - 1)
    if (!wave.checker->check_data(wave, u32(std::countr_zero(left)), i32(access.offset), access.bytes,
                                  access.use == Use::atomic)) return false;
  return true;
}

void MemoryUnit::check_read(Wave& wave, const Mapping& mapping, const LaneAccess& access, u32 lane) {
  const u32 group = wave.group->linear;
  const u64 address = access.address[lane];
  for (u64 dword = address & ~3ull; dword < address + access.bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch);
    const ReadDword at{dword, bytes_touched(dword, address, access.bytes), lane,
                       i32(access.offset) + i32(i64(dword - address))};
    if (writer == 0) {
      check_cpu_data(wave, mapping, at, visibility_.cpu_vector || access.device_scope, "the vector caches");
    } else if (writer == visibility_.epoch) {
      const u32 by = get(shadow.writer_group), other = by & group_mask;
      const bool mine = other == group || !(by & at.touched) ||
                        wave.group->same_writes.contains(same_write(dword, whole_group));
      if (!mine && !(access.device_scope && may_know_others(wave))) {
        at.poison(wave, "race", [&] {
          return fmt::format("reads {} ({:#x}), which {} of the same dispatch {}", describe(dword), dword,
                             other >= atomics ? "a workgroup" : fmt::format("workgroup {}", other),
                             other == atomics ? "updates atomically" : "writes");
        });
      } else {
        check_group_read(wave, at, access.device_scope);
      }
    } else {
      check_stale(wave, at, writer, access.device_scope ? ~0u : visibility_.visible_vector, "vector");
    }
    note_reader(shadow, visibility_.epoch, group);
  }
}

bool MemoryUnit::check_write(Wave& wave, const Mapping& mapping, const LaneAccess& access, u32 lane) {
  const u32 group = wave.group->linear, epoch = visibility_.epoch;
  const u64 address = access.address[lane];
  const bool atomic = access.use == Use::atomic;
  for (u64 dword = address & ~3ull; dword < address + access.bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch), reader = get(shadow.reader_epoch), by = get(shadow.writer_group);
    const u32 touched = bytes_touched(dword, address, access.bytes);
    const bool written_now = writer == epoch;
    const bool earlier_write = !written_now && writer > visibility_.completed;
    if (earlier_write || (reader != epoch && reader > visibility_.completed)) {
      wave.raise("unordered-write",
                 fmt::format("write of {} ({:#x}), which the dispatch {} before this one {} and which was not waited "
                             "for", describe(dword), dword, epoch - (earlier_write ? writer : reader),
                             earlier_write ? "writes" : "reads"), dword, lane);
      return false;
    }
    const u32 other = by & group_mask;
    const bool write_race = written_now && other != group && (by & touched) && !(atomic && other == atomics);
    const bool read_race = reader == epoch && get(shadow.reader_group) != group && !atomic;
    const bool races = write_race && !may_know_others(wave);
    u8* host = mapping.host + (dword - mapping.va);
    if (races) {
      if (!writes_same(wave, host, dword, touched, access, lane, Patience::some)) {
        wave.raise("race", fmt::format("write of {} ({:#x}), which {} of the same dispatch {}", describe(dword), dword,
                                       other >= atomics ? "another workgroup" : fmt::format("workgroup {}", other),
                                       other == atomics ? "updates atomically" : "writes"), dword, lane);
        return false;
      }
      wave.group->same_writes.insert(same_write(dword, whole_group));
    } else if (read_race && overwrites_ == Overwrites::noted && !may_know_others(wave)) {
      saw_overwrite_ |= !writes_same(wave, host, dword, touched, access, lane, Patience::none);
    }
    if (!check_group_write(wave, mapping, dword, touched, access, lane)) return false;
    if (races) continue;                                        // who wrote it first stays
    u32 now = group | touched;
    if (atomic) now = atomics | touched;
    else if (written_now && other == group) now |= by & ~group_mask;
    else if (written_now) now = several_groups;                 // other bytes, another group: no longer told apart
    mark_written(shadow, host, now);
  }
  return true;
}

void MemoryUnit::check_scalar_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes) {
  for (u64 dword = address; dword < address + bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch);
    const ReadDword at{dword, ~0u << 28, 0, i32(dword - address)};
    if (writer == 0) {
      check_cpu_data(wave, mapping, at, visibility_.cpu_scalar, "the scalar cache");
    } else if (writer == visibility_.epoch) {
      at.poison(wave, "stale-read", [&] {
        return fmt::format("reads {} ({:#x}) by a scalar load, which the same dispatch writes: the scalar cache is not "
                           "coherent with stores", describe(dword), dword);
      });
    } else {
      check_stale(wave, at, writer, visibility_.visible_scalar, "scalar");
    }
    note_reader(shadow, visibility_.epoch, wave.group->linear);
  }
}

}  // namespace amlm::isa
