#include "isa/execute/group_stores.h"

#include "isa/execute/checker.h"
#include "isa/execute/group.h"

namespace amlm::isa {

namespace {

u64 place(u64 dword) { return dword * 0x9e3779b97f4a7c15ull >> 20; }

}  // namespace

void GroupStores::begin(bool two_caches) {
  two_caches_ = two_caches;
  ++round_;
  used_ = 0;
  released_ = {};
}

void GroupStores::release(const std::vector<Wave>& waves) {
  for (const Wave& wave : waves) released_[wave.index] = wave.checker->stores_done();
}

const GroupStores::Slot* GroupStores::find(u64 dword) const {
  for (u64 at = place(dword);; ++at) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.round != round_) return nullptr;
    if (slot.dword == dword) return &slot;
  }
}

void GroupStores::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.round != round_) continue;
    u64 at = place(slot.dword);
    while (slots_[at & (slots_.size() - 1)].round == round_) ++at;
    slots_[at & (slots_.size() - 1)] = slot;
  }
}

void GroupStores::store(const Wave& wave, u64 dword, u8 bytes) {
  if (used_ * 2 >= slots_.size()) grow();
  u64 at = place(dword);
  while (true) {
    Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.round != round_ || slot.dword == dword) {
      used_ += slot.round != round_;
      const bool joins = slot.round == round_ && slot.store.wave == wave.index;
      slot = {dword, round_, {wave.checker->stores_now(), wave.group->barrier_interval, u8(wave.index),
                              u8(bytes | (joins ? slot.store.bytes : 0))}};
      return;
    }
    ++at;
  }
}

const GroupStores::Store* GroupStores::unordered_before(const Wave& wave, u64 dword, u8 bytes) const {
  const Slot* slot = find(dword);
  if (!slot || slot->store.wave == wave.index || !(slot->store.bytes & bytes)) return nullptr;
  return slot->store.number > released_[slot->store.wave] ? &slot->store : nullptr;
}

const GroupStores::Store* GroupStores::stale_before(const Wave& wave, u64 dword, u8 bytes) const {
  const Slot* slot = find(dword);
  if (!two_caches_ || !slot || slot->store.wave == wave.index || !(slot->store.bytes & bytes)) return nullptr;
  return wave.checker->vector_invalidated() <= slot->store.interval ? &slot->store : nullptr;
}

}  // namespace amlm::isa
