// The cases of `amlm selftest`, inside the binary, as CBOR. tests/kernels/make_selftest writes them at build time:
//   [{kernel, shape, groups: [x, y, z], args: bytes, pointers: [[offset in args, region, offset in region], ...],
//     regions: [{label, element: "f32"|"f16"|"bytes", bytes, after: bytes (written regions only)}, ...]}, ...]
#pragma once

#include <span>

#include "driver/base.h"

namespace amlm::tools {

std::span<const u8> selftest_cases();

}  // namespace amlm::tools
