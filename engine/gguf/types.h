// The tensor types of ggml: every one has a name, also those amlm has no kernels for, so that an error can say it.
// Source: the enum ggml_type and the block structs of ggml (ids are part of the file format and never reused).
#pragma once

#include <string_view>

#include "driver/base.h"

namespace amlm {

struct GgufType {
  u32 id = 0;
  std::string_view name;
  u32 block_elements = 0;     // 0: the type was removed from the format
  u32 block_bytes = 0;
  bool removed() const { return block_elements == 0; }
};

namespace gguf_type_id {
inline constexpr u32 f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, q4_k = 12, q6_k = 14, bf16 = 30;
}

// Null when ggml has no type of this number.
const GgufType* find_gguf_type(u32 id);

}  // namespace amlm
