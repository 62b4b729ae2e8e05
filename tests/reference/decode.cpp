#include "tests/reference/decode.h"

#include <algorithm>
#include <cmath>

#include "tests/reference/dequantize.h"

namespace amlm::reference {

f64 f16_rounded(f64 value) { return f16_to_f32(f32_to_f16(static_cast<f32>(value))); }

std::vector<f64> norm(const std::vector<f32>& x, const std::vector<f32>& weight, f32 epsilon) {
  f64 squares = 0;
  for (const f32 value : x) squares += static_cast<f64>(value) * value;
  const f64 scale = 1 / std::sqrt(squares / static_cast<f64>(x.size()) + epsilon);
  std::vector<f64> out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) out[i] = f16_rounded(x[i] * scale * weight[i]);
  return out;
}

std::vector<Sum> product(const Weights& weights, const std::vector<f64>& activations) {
  std::vector<Sum> out(weights.rows);
  const u32 group = block_elements(weights.type) == 1 ? 1 : 32;
  for (u32 r = 0; r < weights.rows; ++r) {
    const f32* row = weights.values.data() + static_cast<u64>(r) * weights.columns;
    for (u32 first = 0; first < weights.columns; first += group) {
      f64 largest = 0;
      for (u32 c = first; c < first + group; ++c) largest = std::max(largest, std::fabs(static_cast<f64>(row[c])));
      for (u32 c = first; c < first + group; ++c) {
        out[r].value += row[c] * activations[c];
        out[r].magnitude += largest * std::fabs(activations[c]);
      }
    }
  }
  return out;
}

std::vector<Sum> rotate(const std::vector<Sum>& rows, const f32* rope, u32 head_size) {
  std::vector<Sum> out(rows.size());
  for (std::size_t r = 0; r < rows.size(); r += 2) {
    const f64 cosine = rope[r % head_size], sine = rope[r % head_size + 1];
    const Sum &even = rows[r], &odd = rows[r + 1];
    out[r] = {even.value * cosine - odd.value * sine, even.magnitude + odd.magnitude};
    out[r + 1] = {odd.value * cosine + even.value * sine, even.magnitude + odd.magnitude};
  }
  return out;
}

std::vector<f64> attention(const AttentionShape& shape, const std::vector<f64>& q, const std::vector<f64>& k_cache,
                           const std::vector<f64>& v_cache, u32 first, u32 last) {
  std::vector<f64> out(static_cast<u64>(shape.heads) * shape.head_size);
  for (u32 head = 0; head < shape.heads; ++head) {
    const u64 cache = static_cast<u64>(head / (shape.heads / shape.kv_heads)) * shape.context * shape.head_size;
    std::vector<f64> scores;
    for (u32 p = first; p <= last; ++p) {
      f64 score = 0;
      for (u32 i = 0; i < shape.head_size; ++i)
        score += q[head * shape.head_size + i] * k_cache[cache + p * shape.head_size + i];
      scores.push_back(score);
    }
    const f64 maximum = *std::max_element(scores.begin(), scores.end());
    f64 sum = 0;
    for (f64& score : scores) sum += score = std::exp(score - maximum);
    for (u32 p = first; p <= last; ++p) {
      for (u32 i = 0; i < shape.head_size; ++i) {
        out[head * shape.head_size + i] += scores[p - first] / sum * v_cache[cache + p * shape.head_size + i];
      }
    }
  }
  return out;
}

}  // namespace amlm::reference
