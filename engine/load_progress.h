// How far loading is, for a progress bar.
#pragma once

#include "driver/base.h"

namespace amlm {

struct LoadProgress { u64 done_bytes = 0, total_bytes = 0; f64 seconds = 0; const char* stage = ""; };

}  // namespace amlm
