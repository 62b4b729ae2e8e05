// Global memory to registers and back, once each active lane's address is known: GLOBAL, and MUBUF in the usual case.
#pragma once

#include "isa/execute/flat.h"
#include "isa/execute/lane_data.h"

namespace amlm::isa {

template <Shape shape>
inline void load_global(Wave& wave, const Instruction& in, const u64* address, u32* registers) {
  const u32 mask = wave.exec();
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {address, mask, shape.bytes, Use::read, in.glc}, hosts)) return;
  count_global(wave, address, mask, shape.bytes, Use::read);
  if (hosts.uniform()) {
    const u8* bias = hosts.bias();
    deposit_lanes<shape>(registers, mask, [&](u32 lane) { return bias + address[lane]; });
  } else {
    deposit_lanes<shape>(registers, mask, [&](u32 lane) { return hosts.at(lane, address[lane]); });
  }
}

template <Shape shape>
inline void store_global(Wave& wave, const u64* address, const u32* registers) {
  const u32 mask = wave.exec();
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {address, mask, shape.bytes, Use::write, false}, hosts)) return;
  count_global(wave, address, mask, shape.bytes, Use::write);
  for_lanes(mask, [&](u32 lane) { collect<shape>(registers, lane, hosts.at(lane, address[lane])); });
}

}  // namespace amlm::isa
