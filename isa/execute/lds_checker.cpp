#include <algorithm>
#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"

namespace amlm::isa {

namespace {

u32 bits_of(u8 bytes) {
  u32 bits = 0;
  for (u32 i = 0; i < 4; ++i)
    if (bytes >> i & 1) bits |= 0xffu << 8 * i;
  return bits;
}

}  // namespace

void LdsChecker::begin(u32 bytes) {
  dwords_.assign((bytes + 3) / 4, Dword{});
  released_ = {};
}

void LdsChecker::release(const std::vector<Wave>& waves) {
  for (const Wave& wave : waves) released_[wave.index] = wave.checker->lds_done();
}

bool LdsChecker::conflict(Wave& wave, const Access& earlier, u32 address, const char* then, u32 lane) {
  wave.raise("lds-race", fmt::format("write of LDS {:#x}, which wave {} {} with no barrier between that follows its "
                                     "s_waitcnt lgkmcnt", address, u32(earlier.wave), then), address, lane);
  return false;
}

// Does the write leave the bytes as they are?
bool LdsChecker::writes_same(const Wave& wave, const Dword& dword, u32 at, u8 touched, u32 lane, i32 offset) const {
  const u32 bits = bits_of(touched);
  u32 now = 0, old = 0;
  if (!wave.checker->stored_value(wave, lane, offset, touched, now)) return false;
  std::memcpy(&old, wave.group->lds + at, 4);
  return !((old ^ now) & bits) && !(dword.poison.bits & bits) &&
         !wave.checker->stored_poison(wave, lane, offset, touched).bits;
}

void LdsChecker::read(Wave& wave, Dword& dword, u32 at, u8 touched, u32 lane, i32 offset, bool atomic) {
  const Access& writer = dword.writer;
  const bool fine = !(writer.bytes & touched) || (atomic && writer.atomic) || (dword.same >> wave.index & 1);
  Origins& origins = *wave.group->origins;
  if (!fine && !ordered(wave, writer)) {
    const u32 origin = origins.of("lds-race", wave.step, at, [&] {
      return fmt::format("reads LDS {:#x}, which wave {} writes with no barrier between that follows its s_waitcnt lgkmcnt",
                         at, u32(writer.wave));
    });
    wave.checker->load(wave, lane, offset, touched, {~0u, origin});
  } else if (dword.poison.bits & bits_of(touched)) {
    Poison poison = dword.poison;
    if (!poison.origin)
      poison.origin = origins.of("uninitialised-lds", wave.step, at,
                                 [&] { return fmt::format("reads LDS {:#x}, which nobody has written", at); });
    wave.checker->load(wave, lane, offset, touched, poison);
  }
  // The two latest readers of different waves are enough: a third wave's write meets one of them.
  auto& readers = dword.readers;
  Access& slot = readers[0].wave == wave.index || ordered(wave, readers[0]) ? readers[0]
                 : readers[1].wave == wave.index || ordered(wave, readers[1]) ? readers[1]
                 : readers[0].number < readers[1].number ? readers[0] : readers[1];
  slot = {wave.checker->lds_now(), u8(wave.index), touched, atomic};
}

bool LdsChecker::write(Wave& wave, Dword& dword, u32 at, u8 touched, u32 lane, i32 offset, bool atomic) {
  Access& writer = dword.writer;
  const bool fine = !(writer.bytes & touched) || (atomic && writer.atomic);
  const bool write_race = !fine && !ordered(wave, writer);
  const Access* reader = nullptr;
  for (const Access& r : dword.readers)
    if ((r.bytes & touched) && !(atomic && r.atomic) && !ordered(wave, r)) reader = &r;
  if (write_race || reader) {
    if (atomic || !writes_same(wave, dword, at, touched, lane, offset))
      return conflict(wave, write_race ? writer : *reader, at, write_race ? "writes" : "reads", lane);
    dword.same |= 1u << wave.index;
    return true;
  }
  const u32 number = wave.checker->lds_now(), bits = bits_of(touched);
  const bool joins = writer.wave == wave.index && writer.number == number;
  writer = {number, u8(wave.index), u8(touched | (joins ? writer.bytes : 0)), atomic};
  dword.same = 0;
  const Poison data = atomic ? wave.checker->any_data_poison(wave, lane)
                             : wave.checker->stored_poison(wave, lane, offset, touched);
  const bool spoiled = atomic && ((dword.poison.bits & bits) || data.bits);
  const u32 poisoned = spoiled ? bits : data.bits;
  dword.poison = {(dword.poison.bits & ~bits) | poisoned, data.bits ? data.origin : dword.poison.origin};
  return true;
}

bool LdsChecker::access(Wave& wave, u32 address, u32 bytes, LdsUse use, u32 lane, u32 offset) {
  for (u32 at = address & ~3u; at < address + bytes; at += 4) {
    Dword& dword = dwords_[at / 4];
    u8 touched = 0;
    for (u32 i = 0; i < 4; ++i) touched |= u8(at + i >= address && at + i < address + bytes) << i;
    const i32 place = i32(offset) + i32(at) - i32(address);
    const bool atomic = use == LdsUse::atomic;
    if (use != LdsUse::write) read(wave, dword, at, touched, lane, place, atomic);
    if (use != LdsUse::read && !write(wave, dword, at, touched, lane, place, atomic)) return false;
  }
  return true;
}

}  // namespace amlm::isa
