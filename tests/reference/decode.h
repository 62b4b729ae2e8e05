// What the decode kernels of kernels.h compute, in f64, the obvious way. Values that a kernel rounds to f16 on the
// way (activations that a matrix reads) are rounded to f16 here too; nothing else is.
#pragma once

#include <vector>

#include "driver/base.h"
#include "tests/reference/weights.h"

namespace amlm::reference {

// `magnitude`, what errors are measured in: the sum of the activations' absolute values, each times its weight's.
// Quants of a block are sums with an offset, so that there the block's largest weight counts for each.
struct Sum { f64 value = 0, magnitude = 0; };

f64 f16_rounded(f64 value);

// x / sqrt(mean(x^2) + epsilon) * weight, as f16.
std::vector<f64> norm(const std::vector<f32>& x, const std::vector<f32>& weight, f32 epsilon);

// One row times the activations, for every row.
std::vector<Sum> product(const Weights& weights, const std::vector<f64>& activations);

// Pairs (2i, 2i+1) turned by their angle; rope = {cos, sin} of each pair of a head, for one position.
std::vector<Sum> rotate(const std::vector<Sum>& rows, const f32* rope, u32 head_size);

struct AttentionShape { u32 heads, kv_heads, head_size, context; };

// Attention of one token at `position` over the caches [kv_head][context][head_size]; q is scaled already.
// [heads][head_size]
std::vector<f64> attention(const AttentionShape& shape, const std::vector<f64>& q, const std::vector<f64>& k_cache,
                           const std::vector<f64>& v_cache, u32 first, u32 last);

}  // namespace amlm::reference
