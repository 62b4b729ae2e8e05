#include "tests/kernels/jobs/decode_jobs.h"

#include <cmath>

#include "tests/kernels/jobs/support.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

using kernels::State;
using kernels::WeightType;
using reference::Sum;
using reference::Weights;

Job embed_job(Random& random, const MatrixShape& shape, const std::vector<u32>& tokens) {
  const Weights table = reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill);
  Job job{.kernel = name("embed", shape.type), .shape = text(shape), .groups = {static_cast<u32>(tokens.size()), 1, 1}};
  kernels::EmbedArgs args{.columns = shape.columns, .rows = shape.rows};
  add_matrix(job, args, args.table, "table", table);
  job.add(args, args.tokens, "tokens", tokens, Use::input);
  const u32 out = job.add(args, args.x, "x", canary<f32>(tokens.size() * shape.columns), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto x = as<f32>(after[out]);
    for (u64 i = 0; i < x.size(); ++i) {
      const u32 token = tokens[i / shape.columns];
      const f64 want = table.values[(token < shape.rows ? token : 0ull) * shape.columns + i % shape.columns];
      // q4_k subtracts two products, which may cancel; the others round once or twice.
      const f64 slack = shape.type == WeightType::q4_k
                            ? 1e-6 * (std::fabs(want) + 1) * (shape.fill == reference::Fill::large ? 4096 : 1)
                            : 2e-7 * std::fabs(want);
      if (auto wrong = compare("x", i, x[i], want, slack); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

namespace {

struct Segment { Weights weights; std::vector<Sum> want; };

// k or v of the position in a cache of canaries: every other position must stay.
std::string check_cache(const char* what, const std::vector<u8>& after, const std::vector<Sum>& want,
                        const QkvShape& shape) {
  const auto cache = as<u16>(after);
  for (u64 i = 0; i < cache.size(); ++i) {
    const u64 head = i / shape.head_size / shape.context, position = i / shape.head_size % shape.context;
    if (position != shape.position || want.empty()) {
      if (cache[i] != 0xffff) return fmt::format("{}[{}], of position {}, was written", what, i, position);
      continue;
    }
    const Sum& sum = want[head * shape.head_size + i % shape.head_size];
    const f64 slack = rounded_tolerance * sum.magnitude + f16_slack(sum.value);
    if (auto wrong = compare(what, i, reference::f16_to_f32(cache[i]), sum.value, slack); !wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace

Job qkv_job(Random& random, const QkvShape& shape) {
  const u32 q_rows = shape.q ? shape.heads * shape.head_size : 0;
  const u32 k_rows = shape.k ? shape.kv_heads * shape.head_size : 0,
            v_rows = shape.v ? shape.kv_heads * shape.head_size : 0;
  const u32 groups = groups_of(q_rows, 32) + groups_of(k_rows, 32) + groups_of(v_rows, 32);
  Job job{.kernel = name("qkv", shape.type),
          .shape = fmt::format("{} columns, {}/{} heads of {}, position {} of {}, {}{}{}", shape.columns,
                               shape.heads, shape.kv_heads, shape.head_size, shape.position, shape.context,
                               shape.q ? "q" : "", shape.k ? "k" : "", shape.v ? "v" : ""),
          .groups = {groups, 1, 1}};
  kernels::QkvArgs args{.columns = shape.columns, .q_rows = q_rows, .k_rows = k_rows, .v_rows = v_rows,
                        .head_size = shape.head_size, .context = shape.context, .epsilon = 1e-5f};
  const auto x = values(random, shape.columns), norm_weight = values(random, shape.columns);
  const auto activations = reference::norm(x, norm_weight, args.epsilon);
  std::vector<f32> rope(static_cast<u64>(shape.context) * shape.head_size);
  for (u64 i = 0; i < rope.size(); i += 2) {
    const f64 angle = uniform(random) * 3;
    rope[i] = static_cast<f32>(std::cos(angle));
    rope[i + 1] = static_cast<f32>(std::sin(angle));
  }
  const f32* turn = rope.data() + static_cast<u64>(shape.position) * shape.head_size;
  Segment q, k, v;
  const auto fill = [&](Segment& segment, const kernels::Matrix& matrix, const char* label, u32 rows) {
    segment.weights = reference::random_weights(random, shape.type, rows, shape.columns, reference::Fill::typical);
    add_matrix(job, args, matrix, label, segment.weights);
    segment.want = reference::product(segment.weights, activations);
  };
  fill(q, args.wq, "wq", q_rows);
  fill(k, args.wk, "wk", k_rows);
  fill(v, args.wv, "wv", v_rows);
  const auto want_q = reference::rotate(q.want, turn, shape.head_size),
             want_k = reference::rotate(k.want, turn, shape.head_size);

  job.add(args, args.x, "x", x, Use::input);
  job.add(args, args.norm_weight, "norm_weight", norm_weight, Use::input);
  job.add(args, args.rope, "rope", rope, Use::input);
  job.add(args, args.state, "state", std::vector<State>{{.position = shape.position}}, Use::input);
  const u64 cache = static_cast<u64>(shape.kv_heads) * shape.context * shape.head_size;
  const u32 out_q = job.add(args, args.q, "q", canary<u16>(q_rows), Use::output);
  const u32 out_k = job.add(args, args.k_cache, "k_cache", canary<u16>(cache), Use::output);
  const u32 out_v = job.add(args, args.v_cache, "v_cache", canary<u16>(cache), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = from_f16(as<u16>(after[out_q]));
    const f64 scale = 1 / std::sqrt(static_cast<f64>(shape.head_size));
    for (u64 i = 0; i < got.size(); ++i) {
      const f64 want = want_q[i].value * scale,
                slack = rounded_tolerance * want_q[i].magnitude * scale + f16_slack(want);
      if (auto wrong = compare("q", i, got[i], want, slack); !wrong.empty()) return wrong;
    }
    if (auto wrong = check_cache("k_cache", after[out_k], want_k, shape); !wrong.empty()) return wrong;
    return check_cache("v_cache", after[out_v], v.want, shape);
  };
  return job;
}

Job gate_up_job(Random& random, const MatrixShape& shape) {
  Job job{.kernel = name("gate_up", shape.type), .shape = text(shape),
          .groups = {groups_of(shape.rows, kernels::gate_up_group_rows), 1, 1}};
  kernels::GateUpArgs args{.rows = shape.rows, .columns = shape.columns, .epsilon = 1e-6f};
  const auto x = values(random, shape.columns), norm_weight = values(random, shape.columns);
  const auto activations = reference::norm(x, norm_weight, args.epsilon);
  const Weights gate = reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill);
  const Weights up = reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill);
  const auto g = reference::product(gate, activations), u = reference::product(up, activations);
  add_matrix(job, args, args.wg, "wg", gate);
  add_matrix(job, args, args.wu, "wu", up);
  job.add(args, args.x, "x", x, Use::input);
  job.add(args, args.norm_weight, "norm_weight", norm_weight, Use::input);
  const u32 out = job.add(args, args.h, "h", canary<u16>(shape.rows), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto h = from_f16(as<u16>(after[out]));
    for (u64 i = 0; i < h.size(); ++i) {
      const f64 gated = g[i].value / (1 + std::exp(-g[i].value)), want = gated * u[i].value;
      if (std::fabs(want) > 65000) {                       // near or past f16's range: rounding decides
        if (!(std::fabs(h[i]) > 60000) || !std::isfinite(h[i]) || std::signbit(h[i]) != std::signbit(want))
          return fmt::format("h[{}] = {:g}, not {:g}", i, h[i], want);
        continue;
      }
      // |silu'| <= 1.1
      const f64 slack =
          rounded_tolerance * (1.1 * g[i].magnitude * std::fabs(u[i].value) + std::fabs(gated) * u[i].magnitude +
                               g[i].magnitude * u[i].magnitude * rounded_tolerance) +
          f16_slack(want);
      if (auto wrong = compare("h", i, h[i], want, slack); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

Job down_job(Random& random, const MatrixShape& shape) {
  Job job{.kernel = name("down", shape.type),
          .shape = text(shape),
          .groups = {groups_of(shape.rows, kernels::gemv_group_rows), 1, 1}};
  kernels::DownArgs args{.rows = shape.rows, .columns = shape.columns};
  auto h_values = values(random, shape.columns);
  if (shape.fill == reference::Fill::worst) h_values[random() % shape.columns] = 0x1p-24f;
  const auto h = to_f16(h_values);
  const auto x = values(random, shape.rows);
  const Weights w = reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill);
  const auto product = reference::product(w, from_f16(h));
  add_matrix(job, args, args.w, "w", w);
  job.add(args, args.h, "h", h, Use::input);
  const u32 out = job.add(args, args.x, "x", x, Use::both);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = as<f32>(after[out]);
    for (u64 i = 0; i < got.size(); ++i) {
      const f64 slack = exact_tolerance * product[i].magnitude + 1e-6 * std::fabs(x[i]);
      if (auto wrong = compare("x", i, got[i], x[i] + product[i].value, slack); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

Job logits_job(Random& random, const MatrixShape& shape) {
  const u32 groups = groups_of(shape.rows, kernels::gemv_group_rows);
  Job job{.kernel = name("logits", shape.type), .shape = text(shape), .groups = {groups, 1, 1}};
  kernels::LogitsArgs args{.rows = shape.rows, .columns = shape.columns, .epsilon = 1e-5f};
  const auto x = values(random, shape.columns), norm_weight = values(random, shape.columns);
  const Weights w = reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill);
  const auto want = reference::product(w, reference::norm(x, norm_weight, args.epsilon));
  add_matrix(job, args, args.w, "w", w);
  job.add(args, args.x, "x", x, Use::input);
  job.add(args, args.norm_weight, "norm_weight", norm_weight, Use::input);
  const u32 out = job.add(args, args.logits, "logits", canary<f32>(shape.rows), Use::output);
  const u32 out_best = job.add(args, args.best, "best", canary<Best>(groups), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = as<f32>(after[out]);
    for (u64 i = 0; i < got.size(); ++i) {
      const f64 slack = rounded_tolerance * want[i].magnitude;
      if (auto wrong = compare("logits", i, got[i], want[i].value, slack); !wrong.empty()) return wrong;
    }
    const auto best = as<Best>(after[out_best]);
    for (u32 group = 0; group < groups; ++group) {         // of the kernel's own logits, exactly
      u32 row = group * 32;
      for (u32 r = row; r < std::min((group + 1) * 32, shape.rows); ++r) {
        if (got[r] > got[row]) row = r;
      }
      if (best[group].row != row || best[group].value != got[row])
        return fmt::format("best[{}] = {:g} at {}, not {:g} at {}", group, best[group].value, best[group].row, got[row],
                           row);
    }
    return "";
  };
  return job;
}

Job argmax_final_job(const std::vector<Best>& best, u32 position, u32 capacity) {
  Job job{.kernel = "argmax_final",
          .shape = fmt::format("{} entries, position {} of {}", best.size(), position, capacity)};
  kernels::ArgmaxFinalArgs args{.count = static_cast<u32>(best.size()), .capacity = capacity};
  State state{.position = position, .token = 77};
  for (u32& word : state.reserved) word = 0xffffffff;
  job.add(args, args.best, "best", best, Use::input);
  const u32 out_state = job.add(args, args.state, "state", std::vector<State>{state}, Use::both);
  const u32 out_tokens = job.add(args, args.tokens, "tokens", canary<u32>(capacity), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    Best want{-INFINITY, ~0u};
    for (const Best& one : best) {
      if (one.value > want.value || (one.value == want.value && one.row < want.row)) want = one;
    }
    if (want.row == ~0u) want.row = 0;
    State expected = state;
    expected.position = position + 1;
    expected.token = want.row;
    const State got = as<State>(after[out_state])[0];
    if (std::memcmp(&got, &expected, sizeof got) != 0)
      return fmt::format("state: token {} position {}, not {} and {}", got.token, got.position, want.row, position + 1);
    const auto tokens = as<u32>(after[out_tokens]);
    for (u32 i = 0; i < capacity; ++i) {
      if (tokens[i] != (i == position + 1 ? want.row : 0xffffffff)) return fmt::format("tokens[{}] = {}", i, tokens[i]);
    }
    return "";
  };
  return job;
}

}  // namespace amlm::test
