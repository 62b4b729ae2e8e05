// GGUF tensors as f32, one element after the other as the block layouts of ggml say. Plain, never shipped.
#pragma once

#include <span>
#include <vector>

#include "driver/base.h"
#include "kernels/kernels.h"

namespace amlm::reference {

f32 f16_to_f32(u16 bits);
u16 f32_to_f16(f32 value);          // round to nearest even, overflow to infinity
f32 bf16_to_f32(u16 bits);

// `blocks` as they stand in the file, of a whole number of blocks.
std::vector<f32> dequantize(kernels::WeightType type, std::span<const u8> blocks);

// Bytes of the file's block, and its elements.
u32 block_bytes(kernels::WeightType type);
u32 block_elements(kernels::WeightType type);

}  // namespace amlm::reference
