// Missing waits, found without running: on each path through the code, which registers may still have a load in flight
// when an instruction uses them. The rules are those of the strict executor (isa/execute/checker.h), for all paths at
// once instead of the one that a run takes.
#pragma once

#include <vector>

#include "isa/hazards.h"

namespace amlm::isa {

// `code` begins where the waves begin. Conditional branches are taken to go both ways whatever their condition; behind
// an indirect branch or a call nothing is looked at. `wave_lanes`: 32 or 64 (how long a lane mask is).
std::vector<Hazard> find_missing_waits(std::span<const u32> code, u32 wave_lanes = 32);

}  // namespace amlm::isa
