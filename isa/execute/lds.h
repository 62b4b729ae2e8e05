// Access to the workgroup's LDS (isa.md 4.9), for DS instructions and FLAT ones in the shared aperture.
#pragma once

#include "isa/execute/checker.h"
#include "isa/execute/flat.h"
#include "isa/execute/wave.h"

namespace amlm::isa {

// Where the bytes are; null when they are out of range: then nothing is stored and loads give 0. In strict mode that
// and a race raise a fault (and give null).
// `offset`: place of the address among the bytes that the lane moves.
u8* lds_at(Wave& wave, u64 address, u32 bytes, LdsUse use, u32 lane, u32 offset = 0);
// The same for an atomic; null also when misaligned, with a fault.
u8* lds_atomic_at(Wave& wave, u64 address, u32 lane, u32 bytes, u32 offset = 0);
bool move_shared(Wave& wave, const u64* address, u32 mask, u32 bytes, Use use, LaneBuffer& data);

Handler lds_handler_for(Opcode opcode);
Handler lds_atomic_handler_for(Opcode opcode);

}  // namespace amlm::isa
