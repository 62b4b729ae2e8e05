// Addresses of GLOBAL, FLAT and SCRATCH instructions, shared by loads, stores and atomics.
#pragma once

#include <array>

#include "isa/execute/memory_unit.h"
#include "isa/execute/wave.h"

namespace amlm::isa {

// High halves of the flat apertures that the kernel driver gives to compute VMIDs (amdgpu gfx_v11_0.c,
// SH_MEM_BASES: private 0x1000, shared 0x2000 in address bits 63:48).
inline constexpr u32 private_aperture = 0x10000000, shared_aperture = 0x20000000;

// What a lane moves: up to 16 bytes.
using LaneBuffer = std::array<std::array<u8, 16>, half_lanes>;

void global_addresses(Wave& wave, const Instruction& in, u64* address);
void count_global(Wave& wave, const u64* address, u32 mask, u32 bytes, Use use);

// SCRATCH: byte offsets in the lane's private memory; returns the active lanes.
u32 scratch_offsets(Wave& wave, const Instruction& in, u64* offset);
// Moves `bytes` a lane between `data` and private memory, swizzled by dword. False: a fault was raised.
bool move_private(Wave& wave, const u64* offset, u32 mask, u32 bytes, Use use, LaneBuffer& data);

// FLAT: the aperture is chosen by the address before the immediate is added.
struct FlatLanes {
  u32 global_mask = 0, shared_mask = 0, private_mask = 0;
  std::array<u64, half_lanes> address;     // of global lanes
  std::array<u64, half_lanes> offset;      // of shared and private lanes
};
FlatLanes flat_lanes(Wave& wave, const Instruction& in);

Handler flat_handler_for(Opcode opcode);
Handler flat_atomic_handler_for(Opcode opcode);
Handler buffer_handler_for(Opcode opcode);
Handler buffer_atomic_handler_for(Opcode opcode);
Handler buffer_format_handler_for(Opcode opcode);
Handler scalar_memory_handler_for(Opcode opcode);

}  // namespace amlm::isa
