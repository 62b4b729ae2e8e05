// Access to the workgroup's LDS (isa.md 4.9), for DS instructions and FLAT ones in the shared aperture.
#pragma once

#include "isa/execute/checker.h"
#include "isa/execute/flat.h"
#include "isa/execute/wave.h"

namespace amlm::isa {

// Where the bytes are; null when they are out of range: then nothing is stored and loads give 0. In strict mode that,
// a race or a read of what nobody wrote raises a fault (and gives null).
u8* lds_at(Wave& wave, u64 address, u32 bytes, LdsUse use, u32 lane);
// The same for an atomic; null also when misaligned, with a fault.
u8* lds_atomic_at(Wave& wave, u64 address, u32 lane, u32 bytes);
bool move_shared(Wave& wave, const u64* address, u32 mask, u32 bytes, Use use, LaneBuffer& data);

Handler lds_handler_for(Opcode opcode);
Handler lds_atomic_handler_for(Opcode opcode);

}  // namespace amlm::isa
