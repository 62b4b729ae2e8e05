#include <cmath>

#include "tests/kernels/jobs/support.h"

namespace amlm::test {

using kernels::State;
using reference::AttentionShape;

namespace {

// How kernels.h says that the positions are split.
u32 split_positions(const DecodeAttentionShape& shape) {
  const u32 blocks = shape.position / kernels::decode_split_tokens + 1;
  return kernels::decode_split_tokens * ((blocks + shape.splits - 1) / shape.splits);
}

std::string text(const DecodeAttentionShape& shape) {
  return fmt::format("{}/{} heads of {}, position {} of {}, {} splits", shape.model.heads, shape.model.kv_heads,
                     shape.model.head_size, shape.position, shape.model.context, shape.splits);
}

// A cache whose positions past the token's are NaN.
std::vector<u16> random_cache(Random& random, const DecodeAttentionShape& shape) {
  const AttentionShape& model = shape.model;
  auto cache = to_f16(values(random, static_cast<u64>(model.kv_heads) * model.context * model.head_size));
  for (u64 i = 0; i < cache.size(); ++i) {
    if (i / model.head_size % model.context > shape.position) cache[i] = 0x7e00;
  }
  return cache;
}

// How far an output may be off: a score's error, in the sum of its terms' magnitudes, moves weights by as much of the
// largest value.
f64 attention_slack(const AttentionShape& model, const std::vector<f64>& q, const std::vector<f64>& k,
                    const std::vector<f64>& v, u32 head, u32 first, u32 last) {
  const u64 cache = static_cast<u64>(head / (model.heads / model.kv_heads)) * model.context * model.head_size;
  f64 magnitude = 0, largest = 0;
  for (u32 p = first; p <= last; ++p) {
    f64 sum = 0;
    for (u32 i = 0; i < model.head_size; ++i) {
      sum += std::fabs(q[head * model.head_size + i] * k[cache + p * model.head_size + i]);
      largest = std::max(largest, std::fabs(v[cache + p * model.head_size + i]));
    }
    magnitude = std::max(magnitude, sum);
  }
  return largest * (1e-5 + magnitude * 0x1p-20);
}

}  // namespace

Job attn_decode_job(Random& random, const DecodeAttentionShape& shape) {
  const AttentionShape& model = shape.model;
  Job job{.kernel = "attn_decode", .shape = text(shape), .groups = {model.heads, shape.splits, 1}};
  kernels::AttnDecodeArgs args{.heads = model.heads, .kv_heads = model.kv_heads, .head_size = model.head_size,
                               .context = model.context, .splits = shape.splits};
  auto q_values = values(random, static_cast<u64>(model.heads) * model.head_size);
  for (f32& value : q_values) value /= 4;
  const auto q = to_f16(q_values), k = random_cache(random, shape), v = random_cache(random, shape);
  job.add(args, args.q, "q", q, Use::input);
  job.add(args, args.k_cache, "k_cache", k, Use::input);
  job.add(args, args.v_cache, "v_cache", v, Use::input);
  job.add(args, args.state, "state", std::vector<State>{{.position = shape.position}}, Use::input);
  const u64 partials = static_cast<u64>(model.heads) * shape.splits;
  const u32 out = job.add(args, args.partial_out, "partial_out", canary<f32>(partials * model.head_size), Use::output);
  const u32 stat = job.add(args, args.partial_stat, "partial_stat", canary<f32>(partials * 2), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = as<f32>(after[out]), stats = as<f32>(after[stat]);
    const u32 step = split_positions(shape);
    const auto queries = from_f16(q), keys = from_f16(k), all_values = from_f16(v);
    for (u32 split = 0; split < shape.splits; ++split) {
      const u32 first = split * step, last = std::min(first + step - 1, shape.position);
      std::vector<f64> want;
      if (first <= shape.position)
        want = reference::attention(model, queries, keys, all_values, first, last);
      for (u32 head = 0; head < model.heads; ++head) {
        const u64 partial = static_cast<u64>(head) * shape.splits + split;
        if (want.empty()) {
          if (std::memcmp(&after[stat][partial * 8], "\xff\xff\xff\xff\xff\xff\xff\xff", 8) != 0)
            return fmt::format("split {} of head {} was written", split, head);
          continue;
        }
        const f64 slack = attention_slack(model, queries, keys, all_values, head, first, last);
        for (u32 i = 0; i < model.head_size; ++i) {
          const f64 value = got[partial * model.head_size + i] / stats[partial * 2 + 1];
          const f64 wanted = want[head * model.head_size + i];
          if (auto wrong = compare("out/sum", partial * model.head_size + i, value, wanted, slack); !wrong.empty())
            return wrong;
        }
      }
    }
    return "";
  };
  return job;
}

Job attn_out_job(Random& random, const MatrixShape& matrix, const DecodeAttentionShape& attention) {
  const AttentionShape& model = attention.model;
  Job job{.kernel = name("attn_out", matrix.type), .shape = text(matrix) + ", " + text(attention),
          .groups = {groups_of(matrix.rows, kernels::gemv_group_rows), 1, 1}};
  kernels::AttnOutArgs args{.rows = matrix.rows,
                            .columns = matrix.columns,
                            .heads = model.heads,
                            .head_size = model.head_size,
                            .splits = attention.splits};
  const reference::Weights wo =
      reference::random_weights(random, matrix.type, matrix.rows, matrix.columns, matrix.fill);
  const auto x = values(random, matrix.rows);
  const u64 partials = static_cast<u64>(model.heads) * attention.splits;
  auto out = values(random, partials * model.head_size), stat = values(random, partials * 2);
  const u32 step = split_positions(attention), used = attention.position / step + 1;
  std::vector<f64> activations(matrix.columns);
  for (u32 head = 0; head < model.heads; ++head) {
    f64 maximum = -INFINITY, sum = 0;
    for (u32 split = 0; split < attention.splits; ++split) {
      f32* pair = &stat[(static_cast<u64>(head) * attention.splits + split) * 2];
      pair[1] = 1 + std::fabs(pair[1]);
      if (split >= used) pair[0] = pair[1] = NAN;          // attn_decode has not written these
      else maximum = std::max<f64>(maximum, pair[0]);
    }
    for (u32 split = 0; split < used; ++split) {
      const u64 partial = static_cast<u64>(head) * attention.splits + split;
      const f64 weight = std::exp2(stat[partial * 2] - maximum);
      sum += weight * stat[partial * 2 + 1];
      for (u32 i = 0; i < model.head_size; ++i)
        activations[head * model.head_size + i] += weight * out[partial * model.head_size + i];
    }
    for (u32 i = 0; i < model.head_size; ++i) {
      f64& value = activations[head * model.head_size + i];
      value = reference::f16_rounded(value / sum);
    }
    for (u64 i = used * model.head_size; i < static_cast<u64>(attention.splits) * model.head_size; ++i) {
      out[static_cast<u64>(head) * attention.splits * model.head_size + i] = NAN;
    }
  }
  const auto product = reference::product(wo, activations);
  add_matrix(job, args, args.wo, "wo", wo);
  job.add(args, args.partial_out, "partial_out", out, Use::input);
  job.add(args, args.partial_stat, "partial_stat", stat, Use::input);
  job.add(args, args.state, "state", std::vector<State>{{.position = attention.position}}, Use::input);
  const u32 out_x = job.add(args, args.x, "x", x, Use::both);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = as<f32>(after[out_x]);
    for (u64 i = 0; i < got.size(); ++i) {
      const f64 slack = rounded_tolerance * product[i].magnitude + 1e-6 * std::fabs(x[i]);
      if (auto wrong = compare("x", i, got[i], x[i] + product[i].value, slack); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

}  // namespace amlm::test
