// Instruction counts of the virtual gfx1151, when this process runs under it.
#pragma once

#include <nlohmann/json.hpp>

namespace amlm::tools {

// {"valu": ..., "wmma": ..., ...} summed over all dispatches since the start; null when there is no virtual GPU.
nlohmann::json read_virtual_counters();

// Member-wise `after - before` of the numbers.
nlohmann::json subtract_counters(const nlohmann::json& after, const nlohmann::json& before);

}  // namespace amlm::tools
