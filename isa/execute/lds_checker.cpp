#include <algorithm>
#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"

namespace amlm::isa {

void LdsChecker::begin(u32 bytes) {
  dwords_.assign((bytes + 3) / 4, Dword{});
  released_ = {};
}

void LdsChecker::release(const std::vector<Wave>& waves) {
  for (const Wave& wave : waves) released_[wave.index] = wave.checker->lds_done();
}

bool LdsChecker::conflict(Wave& wave, const Access& earlier, u32 address, const char* now, const char* then, u32 lane) {
  wave.raise("lds-race", fmt::format("{} of LDS {:#x}, which wave {} {} with no barrier between that follows its "
                                     "s_waitcnt lgkmcnt", now, address, u32(earlier.wave), then), address, lane);
  return false;
}

bool LdsChecker::access(Wave& wave, u32 address, u32 bytes, LdsUse use, u32 lane) {
  const u32 number = wave.checker->lds_now();
  for (u32 at = address & ~3u; at < address + bytes; at += 4) {
    Dword& dword = dwords_[at / 4];
    u8 touched = 0;
    for (u32 i = 0; i < 4; ++i) touched |= u8(at + i >= address && at + i < address + bytes) << i;
    const bool atomic = use == LdsUse::atomic, reads = use != LdsUse::write, writes = use != LdsUse::read;
    if (reads && (dword.written & touched) != touched) {
      wave.raise("uninitialised-lds", fmt::format("read of LDS {:#x}, which nobody has written", at), at, lane);
      return false;
    }
    const bool fine_with_writer = !(dword.writer.bytes & touched) || (atomic && dword.writer.atomic);
    if (!fine_with_writer && !ordered(wave, dword.writer))
      return conflict(wave, dword.writer, at, reads ? "read" : "write", "writes", lane);
    if (writes) {
      for (const Access& reader : dword.readers)
        if ((reader.bytes & touched) && !(atomic && reader.atomic) && !ordered(wave, reader))
          return conflict(wave, reader, at, "write", "reads", lane);
      const bool joins = dword.writer.wave == wave.index && dword.writer.number == number;
      dword.writer = {number, u8(wave.index), u8(touched | (joins ? dword.writer.bytes : 0)), atomic};
      dword.written |= touched;
    }
    if (reads) {
      // The two latest readers of different waves are enough: a third wave's write meets one of them.
      auto& readers = dword.readers;
      Access& slot = readers[0].wave == wave.index || ordered(wave, readers[0]) ? readers[0]
                     : readers[1].wave == wave.index || ordered(wave, readers[1]) ? readers[1]
                     : readers[0].number < readers[1].number ? readers[0] : readers[1];
      slot = {number, u8(wave.index), touched, atomic};
    }
  }
  return true;
}

}  // namespace amlm::isa
