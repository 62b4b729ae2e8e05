// The strict checks of MemoryUnit on the shadow of memory: who wrote and read each dword last, and may it be seen.
//
// Workgroups of one dispatch run on several host threads, so every field is read and written with relaxed atomics. Two
// groups that race in the very same nanosecond may miss each other; one of them is caught in any other order.
#include <atomic>
#include <fmt/format.h>

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

// Bytes [address, address + bytes) inside the dword at `dword`, as bits 28-31.
u32 bytes_touched(u64 dword, u64 address, u64 bytes) {
  u32 mask = 0;
  for (u32 i = 0; i < 4; ++i) mask |= u32(dword + i >= address && dword + i < address + bytes) << i;
  return mask << 28;
}

// After an atomic that returns a value a group may know that others have finished: then no order can be disproved.
bool may_know_others(const Wave& wave) { return wave.group->synchronised; }

}  // namespace

bool MemoryUnit::check_cpu_data(Wave& wave, const Mapping& mapping, u64 address, bool acquired, const char* cache,
                                u32 lane) {
  if (acquired && (mapping.snooped || visibility_.cpu_l2)) [[likely]] return true;
  wave.raise("stale-read", fmt::format("read of {} ({:#x}), which the CPU may have written, without invalidating {} "
                                       "since the job began", describe(address), address, acquired ? "GL2" : cache),
             address, lane);
  return false;
}

// Between the waves of one workgroup. `touched`: bytes as bits 28-31.
bool MemoryUnit::check_group_order(Wave& wave, u64 dword, u32 touched, Use use, u32 lane, bool device_scope) {
  GroupStores* stores = wave.group->stores;
  if (!stores || use == Use::atomic) return true;
  const u8 bytes = u8(touched >> 28);
  if (const auto* store = stores->unordered_before(wave, dword, bytes)) {
    wave.raise("race", fmt::format("{} of {} ({:#x}), which wave {} of the same workgroup writes with no barrier "
                                   "between that follows its s_waitcnt_vscnt", use == Use::read ? "read" : "write",
                                   describe(dword), dword, u32(store->wave)), dword, lane);
    return false;
  }
  if (use == Use::write) {
    stores->store(wave, dword, bytes);
  } else if (const auto* stale = device_scope ? nullptr : stores->stale_before(wave, dword, bytes)) {
    wave.raise("stale-read", fmt::format("read of {} ({:#x}), which wave {} of the same workgroup wrote, without "
                                         "buffer_gl0_inv after the barrier: in WGP mode it may run on the other CU",
                                         describe(dword), dword, u32(stale->wave)), dword, lane);
    return false;
  }
  return true;
}

bool MemoryUnit::check_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, u32 lane, bool device_scope) {
  const u32 group = wave.group->linear;
  for (u64 dword = address & ~3ull; dword < address + bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch);
    if (writer == 0) {
      const bool acquired = visibility_.cpu_vector || device_scope;
      if (!check_cpu_data(wave, mapping, dword, acquired, "the vector caches", lane)) return false;
    } else if (writer == visibility_.epoch) {
      const u32 by = get(shadow.writer_group);
      const bool mine = (by & group_mask) == group || !(by & bytes_touched(dword, address, bytes));
      if (!mine && !(device_scope && may_know_others(wave))) {
        const u32 other = by & group_mask;
        wave.raise("race", fmt::format("read of {} ({:#x}), which {} of the same dispatch {}", describe(dword), dword,
                                       other >= atomics ? "a workgroup" : fmt::format("workgroup {}", other),
                                       other == atomics ? "updates atomically" : "writes"), dword, lane);
        return false;
      }
      const u32 touched = bytes_touched(dword, address, bytes);
      if (!check_group_order(wave, dword, touched, Use::read, lane, device_scope)) return false;
    } else if (writer > visibility_.visible_vector && !device_scope) {
      raise_stale(wave, dword, writer, "vector", lane);
      return false;
    } else if (writer > visibility_.completed) {
      raise_stale(wave, dword, writer, "vector", lane);
      return false;
    }
    if (get(shadow.reader_epoch) != visibility_.epoch) {
      set(shadow.reader_group, group);
      set(shadow.reader_epoch, visibility_.epoch);
    } else if (get(shadow.reader_group) != group) {
      set(shadow.reader_group, read_by_several);
    }
  }
  return true;
}

void MemoryUnit::raise_stale(Wave& wave, u64 dword, u32 writer, const char* path, u32 lane) {
  const u32 back = visibility_.epoch - writer;
  wave.raise("stale-read",
             fmt::format("{} read of {} ({:#x}), written by the dispatch {} before this one, {}", path, describe(dword),
                         dword, back,
                         writer > visibility_.completed ? "which was not waited for"
                                                        : "without invalidating the caches that it goes through"),
             dword, lane);
}

bool MemoryUnit::check_write(Wave& wave, const Mapping& mapping, u64 address, u32 bytes, u32 lane, bool atomic) {
  const u32 group = wave.group->linear, epoch = visibility_.epoch;
  for (u64 dword = address & ~3ull; dword < address + bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch), reader = get(shadow.reader_epoch), by = get(shadow.writer_group);
    const u32 touched = bytes_touched(dword, address, bytes);
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
    if ((write_race || read_race) && !may_know_others(wave)) {
      const u32 who = write_race ? other : get(shadow.reader_group);
      wave.raise("race", fmt::format("write of {} ({:#x}), which {} of the same dispatch {}", describe(dword), dword,
                                     who >= atomics ? "another workgroup" : fmt::format("workgroup {}", who),
                                     !write_race ? "reads" : other == atomics ? "updates atomically" : "writes"),
                 dword, lane);
      return false;
    }
    if (!check_group_order(wave, dword, touched, atomic ? Use::atomic : Use::write, lane, false)) return false;
    u32 now = group | touched;
    if (atomic) now = atomics | touched;
    else if (written_now && other == group) now |= by & ~group_mask;
    else if (written_now) now = several_groups;                 // other bytes, another group: no longer told apart
    set(shadow.writer_group, now);
    set(shadow.writer_epoch, epoch);
  }
  return true;
}

bool MemoryUnit::check_scalar_read(Wave& wave, const Mapping& mapping, u64 address, u32 bytes) {
  const u32 group = wave.group->linear;
  for (u64 dword = address; dword < address + bytes; dword += 4) {
    ShadowDword& shadow = mapping.shadow[(dword - mapping.va) / 4];
    const u32 writer = get(shadow.writer_epoch);
    if (writer == 0) {
      if (!check_cpu_data(wave, mapping, dword, visibility_.cpu_scalar, "the scalar cache", 0)) return false;
    } else if (writer == visibility_.epoch) {
      wave.raise("stale-read", fmt::format("scalar read of {} ({:#x}), which the same dispatch writes: the scalar "
                                           "cache is not coherent with stores", describe(dword), dword), dword);
      return false;
    } else if (writer > visibility_.visible_scalar || writer > visibility_.completed) {
      raise_stale(wave, dword, writer, "scalar", 0);
      return false;
    }
    if (get(shadow.reader_epoch) != visibility_.epoch) {
      set(shadow.reader_group, group);
      set(shadow.reader_epoch, visibility_.epoch);
    } else if (get(shadow.reader_group) != group) {
      set(shadow.reader_group, read_by_several);
    }
  }
  return true;
}

}  // namespace amlm::isa
