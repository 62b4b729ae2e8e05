#include <algorithm>
#include <cmath>

#include "tests/kernels/jobs/support.h"
#include "tests/kernels/jobs/prefill_jobs.h"

namespace amlm::test {

using reference::AttentionShape;

namespace {

struct Inputs { AttentionShape model; std::vector<u16> q, k, v; };

// Positions behind the last token's are NaN in both caches.
Inputs random_inputs(Random& random, const PrefillAttentionShape& shape) {
  const u64 size = shape.head_size;
  const u32 positions = shape.first_position + shape.tokens, context = positions + 5;
  auto q = values(random, shape.tokens * shape.heads * size);
  auto k = values(random, shape.kv_heads * context * size);
  for (f32& value : q) {
    switch (shape.scores) {
      case Scores::even: value = std::clamp(value, -1.0f, 1.0f) / 8; break;
      case Scores::peaked: value = std::clamp(value, -1.0f, 1.0f); break;
      case Scores::growing: value = std::fabs(std::clamp(value, -1.0f, 1.0f)); break;
      case Scores::equal: value = 0; break;
    }
  }
  for (u64 i = 0; i < k.size(); ++i) {
    if (shape.scores == Scores::growing) k[i] = 0.01f * static_cast<f32>(i / size % context + 1);
  }
  Inputs out{{shape.heads, shape.kv_heads, shape.head_size, context}, to_f16(q), to_f16(k),
             to_f16(values(random, k.size()))};
  for (u64 i = 0; i < k.size(); ++i) {
    if (i / size % context >= positions) out.k[i] = out.v[i] = 0x7e01;
  }
  return out;
}

// What the errors of a token's outputs are measured in.
struct Scale { f64 score = 0, value = 0; };

// The largest sum of |q * k| of any position, and the largest |v|.
Scale largest(const AttentionShape& model, const f64* q, const std::vector<f64>& k, const std::vector<f64>& v,
              u32 head, u32 last) {
  Scale out;
  const u64 cache = static_cast<u64>(head / (model.heads / model.kv_heads)) * model.context * model.head_size;
  for (u32 p = 0; p <= last; ++p) {
    f64 sum = 0;
    for (u32 i = 0; i < model.head_size; ++i) {
      sum += std::fabs(q[head * model.head_size + i] * k[cache + p * model.head_size + i]);
      out.value = std::max(out.value, std::fabs(v[cache + p * model.head_size + i]));
    }
    out.score = std::max(out.score, sum);
  }
  return out;
}

// P is truncated to f16 (by 2^-10 of itself, or 2^-24 where it is tiny) above and below the line, the output is
// rounded, and a score comes out of the WMMA with an error of 2^-20 of the magnitudes it sums.
std::string check_token(const Inputs& in, const std::vector<f64>& q, const std::vector<f64>& k,
                        const std::vector<f64>& v, const std::vector<f64>& got, u32 token, u32 position) {
  const u64 row = static_cast<u64>(in.model.heads) * in.model.head_size;
  const std::vector<f64> query(q.begin() + token * row, q.begin() + (token + 1) * row);
  std::vector<f64> magnitudes = v;
  for (f64& value : magnitudes) value = std::fabs(value);
  const auto want = reference::attention(in.model, query, k, v, 0, position);
  const auto size = reference::attention(in.model, query, k, magnitudes, 0, position);
  for (u32 head = 0; head < in.model.heads; ++head) {
    const Scale scale = largest(in.model, query.data(), k, v, head, position);
    for (u32 i = 0; i < in.model.head_size; ++i) {
      const u64 at = head * in.model.head_size + i;
      const f64 slack = size[at] * (0x1.2p-10 + 2 * 0x1p-20 * scale.score) + std::fabs(want[at]) * 0x1p-11 +
                        2 * (position + 1) * 0x1p-24 * scale.value + 0x1p-25;
      if (auto wrong = compare("out", token * row + at, got[token * row + at], want[at], slack); !wrong.empty())
        return fmt::format("token {}, head {}: {}", token, head, wrong);
    }
  }
  return "";
}

}  // namespace

Job attn_prefill_job(Random& random, const PrefillAttentionShape& shape) {
  Job job{.kernel = fmt::format("attn_prefill_{}", shape.head_size),
          .shape = fmt::format("{}/{} heads, {} tokens from {}, scores {}", shape.heads, shape.kv_heads, shape.tokens,
                               shape.first_position, static_cast<int>(shape.scores)),
          .groups = {shape.heads, groups_of(shape.tokens, kernels::attn_group_tokens), 1}};
  const Inputs in = random_inputs(random, shape);
  kernels::AttnPrefillArgs args{.heads = shape.heads, .kv_heads = shape.kv_heads, .head_size = shape.head_size,
                                .context = in.model.context, .first_position = shape.first_position,
                                .tokens = shape.tokens};
  job.add(args, args.q, "q", in.q, Use::input);
  job.add(args, args.k_cache, "k_cache", in.k, Use::input);
  job.add(args, args.v_cache, "v_cache", in.v, Use::input);
  const u32 out = job.add(args, args.out, "out", canary<u16>(in.q.size()), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto q = from_f16(in.q), k = from_f16(in.k), v = from_f16(in.v), got = from_f16(as<u16>(after[out]));
    for (u32 token = 0; token < shape.tokens; ++token) {
      if (auto wrong = check_token(in, q, k, v, got, token, shape.first_position + token); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

}  // namespace amlm::test
