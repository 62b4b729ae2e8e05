#include "tests/kernels/jobs/prefill_jobs.h"

#include <algorithm>
#include <cmath>

#include "tests/kernels/jobs/support.h"
#include "tests/reference/dequantize.h"

namespace amlm::test {

using kernels::WeightType;
using reference::Sum;
using reference::Weights;

namespace {

constexpr u16 untouched_f16 = 0xffff;
constexpr u32 untouched_f32 = 0xffffffff;
constexpr u32 row_padding = 3;                   // elements between the tokens of c

// Half a step of f16, and `relative` of `size` for the f32 arithmetic before.
f64 stored_slack(f64 value, f64 size, f64 relative) {
  return std::fabs(value) * 0x1p-11 + 0x1p-25 + size * relative;
}

// A weight as gemm holds it in f16: between low and high, which differ only where q4_k's addend decides a tie.
struct HeldWeights { std::vector<f32> low, high; };

f32 f16_truncated(f32 value) {                   // bf16: towards zero, at most 65504
  const f32 magnitude = std::fabs(value);
  if (magnitude >= 65504) return std::copysign(65504.0f, value);
  const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  return std::copysign(std::ldexp(std::floor(std::ldexp(magnitude, 10 - exponent)), exponent - 10), value);
}

// gemm_q4_k's addend, 1024 * scale + minimum, is rounded once: by at most this.
f64 addend_slack(const u8* block) {
  const f64 d = std::fabs(reference::f16_to_f32(static_cast<u16>(block[0] | block[1] << 8)));
  const f64 dmin = std::fabs(reference::f16_to_f32(static_cast<u16>(block[2] | block[3] << 8)));
  return (1024 + 16) * d * 63 * 0x1p-24 + dmin * 63 * 0x1p-22;
}

HeldWeights held(const Weights& weights) {
  HeldWeights out;
  for (u64 i = 0; i < weights.values.size(); ++i) {
    const f32 value = weights.values[i];
    if (weights.type == WeightType::bf16) {
      out.low.push_back(f16_truncated(value));
      out.high.push_back(out.low.back());
      continue;
    }
    const f64 slack = weights.type == WeightType::q4_k ? addend_slack(weights.blocks.data() + i / 256 * 144) : 0;
    out.low.push_back(static_cast<f32>(reference::f16_rounded(value - slack)));
    out.high.push_back(static_cast<f32>(reference::f16_rounded(value + slack)));
  }
  return out;
}

std::string name(const GemmShape& shape) {
  return fmt::format("gemm_{}_{}", kernels::name(shape.type), shape.epilogue == Epilogue::store ? "store" : "add");
}

// Allowed is (8 + columns / 4) * 2^-24 of the sum of the products' magnitudes. A WMMA adds two products a step, rounds
// to 24 bits and truncates, towards zero on the whole, what it aligns: that is half of the worst case, and at 32
// columns about a step of a single f16 weight. It aligns a subnormal factor as if it were 2^-14.
std::string check_gemm(const GemmShape& shape, const std::vector<f64>& a, const HeldWeights& weights,
                       const std::vector<f32>& before, const std::vector<f32>& c) {
  const u64 stride = shape.rows + row_padding;
  for (u64 i = 0; i < c.size(); ++i) {
    const u64 token = i / stride, row = i % stride;
    if (row >= shape.rows) {
      if (std::bit_cast<u32>(c[i]) != untouched_f32) return fmt::format("c[{}], between two tokens, was written", i);
      continue;
    }
    f64 sum = shape.epilogue == Epilogue::add ? before[i] : 0, size = std::fabs(sum), slack = 0;
    for (u64 k = 0; k < shape.columns; ++k) {
      const f64 x = a[token * shape.columns + k];
      const f64 low = weights.low[row * shape.columns + k], high = weights.high[row * shape.columns + k];
      sum += x * low;
      size += std::fabs(x * high);
      slack += std::fabs(x * (high - low)) + (std::fabs(x) + std::fabs(high)) * 0x1p-37;
    }
    slack += (8 + shape.columns / 4.0) * 0x1p-24 * size;
    if (auto wrong = compare("c", i, c[i], sum, slack); !wrong.empty())
      return fmt::format("token {}, row {}: {}", token, row, wrong);
  }
  return "";
}

}  // namespace

Job gemm_job(Random& random, const GemmShape& shape) {
  return gemm_job(random, shape,
                  reference::random_weights(random, shape.type, shape.rows, shape.columns, shape.fill));
}

Job gemm_job(Random& random, const GemmShape& shape, const Weights& weights) {
  Job job{.kernel = name(shape),
          .shape = fmt::format("{} tokens, {} rows, {} columns, fill {}", shape.tokens, shape.rows, shape.columns,
                               static_cast<int>(shape.fill)),
          .groups = {groups_of(shape.rows, kernels::gemm_group_rows),
                     groups_of(shape.tokens, kernels::gemm_group_tokens), 1}};
  const u32 stride = shape.rows + row_padding;
  kernels::GemmArgs args{.rows = shape.rows, .columns = shape.columns, .tokens = shape.tokens, .row_stride = stride};
  add_matrix(job, args, args.w, "w", weights);
  const auto a = to_f16(values(random, static_cast<u64>(shape.tokens) * shape.columns));
  job.add(args, args.a, "a", a, Use::input);
  auto before = canary<f32>(static_cast<u64>(shape.tokens - 1) * stride + shape.rows);
  if (shape.epilogue == Epilogue::add) {
    for (u64 i = 0; i < before.size(); ++i) {
      if (i % stride < shape.rows) before[i] = uniform(random);
    }
  }
  const u32 c = job.add(args, args.c, "c", before, shape.epilogue == Epilogue::store ? Use::output : Use::both);
  job.finish(args);
  job.verify = [=, a = from_f16(a), weights = held(weights)](const auto& after) {
    return check_gemm(shape, a, weights, before, as<f32>(after[c]));
  };
  return job;
}

Job rmsnorm_f16_job(Random& random, const TokensShape& shape) {
  Job job{.kernel = "rmsnorm_f16", .shape = fmt::format("{} tokens, {} columns", shape.tokens, shape.columns),
          .groups = {shape.tokens, 1, 1}};
  kernels::RmsnormArgs args{.columns = shape.columns, .epsilon = 1e-5f};
  auto x = values(random, static_cast<u64>(shape.tokens) * shape.columns);
  for (u32 i = 0; i < shape.columns; ++i) x[i] *= 1e-4f;         // epsilon counts in the first token
  const auto weight = values(random, shape.columns);
  job.add(args, args.x, "x", x, Use::input);
  job.add(args, args.weight, "weight", weight, Use::input);
  const u32 y = job.add(args, args.y, "y", canary<u16>(x.size()), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = from_f16(as<u16>(after[y]));
    for (u64 token = 0; token < shape.tokens; ++token) {
      f64 square = 0;
      for (u64 i = 0; i < shape.columns; ++i) square += std::pow(f64(x[token * shape.columns + i]), 2);
      const f64 scale = 1 / std::sqrt(square / shape.columns + args.epsilon);
      for (u64 i = 0; i < shape.columns; ++i) {
        const u64 at = token * shape.columns + i;
        const f64 want = x[at] * scale * weight[i];
        if (auto wrong = compare("y", at, got[at], want, stored_slack(want, std::fabs(want), 0x1p-20)); !wrong.empty())
          return wrong;
      }
    }
    return "";
  };
  return job;
}

Job swiglu_f16_job(Random& random, const TokensShape& shape) {
  const u32 rows = shape.columns;
  Job job{.kernel = "swiglu_f16", .shape = fmt::format("{} tokens, {} rows", shape.tokens, rows),
          .groups = {groups_of(rows, 256), shape.tokens, 1}};
  kernels::SwigluArgs args{.rows = rows};
  auto gate_up = values(random, static_cast<u64>(shape.tokens) * 2 * rows);
  gate_up[0] = 1e6f, gate_up[1] = -200, gate_up[2] = -87.5f, gate_up[3] = 1e6f;
  gate_up[rows] = 1e6f, gate_up[rows + 3] = -3;                  // past f16
  job.add(args, args.gate_up, "gate_up", gate_up, Use::input);
  const u32 h = job.add(args, args.h, "h", canary<u16>(static_cast<u64>(shape.tokens) * rows), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) -> std::string {
    const auto got = from_f16(as<u16>(after[h]));
    for (u64 i = 0; i < got.size(); ++i) {
      const u64 at = i / rows * 2 * rows + i % rows;
      const f64 gate = gate_up[at], exact = gate / (1 + std::exp(-gate)) * gate_up[at + rows];
      const f64 want = std::clamp(exact, -65504.0, 65504.0);
      // exp2 takes gate * log2(e) rounded to f32: off by a rounding of the gate's size.
      const f64 slack = stored_slack(want, std::fabs(want) * (1 + std::fabs(gate)), 0x1p-20);
      if (auto wrong = compare("h", i, got[i], want, slack); !wrong.empty()) return wrong;
    }
    return "";
  };
  return job;
}

namespace {

std::string check_rope(const RopeShape& shape, const std::vector<f32>& qkv, const std::vector<f32>& rope,
                       const std::array<std::vector<u16>, 3>& got) {
  const u32 size = shape.head_size, all_heads = shape.heads + 2 * shape.kv_heads;
  std::array<std::vector<bool>, 3> written;
  for (u32 i = 0; i < 3; ++i) written[i].resize(got[i].size());
  for (u32 token = 0; token < shape.tokens && shape.first_position + token < shape.context; ++token) {
    const u32 position = shape.first_position + token;
    for (u32 head = 0; head < all_heads; ++head) {
      const u32 what = head < shape.heads ? 0 : head < shape.heads + shape.kv_heads ? 1 : 2;
      const u64 cache_head = what == 0 ? 0 : head - shape.heads - (what - 1) * shape.kv_heads;
      const u64 row = what == 0 ? (u64(token) * shape.heads + head) : cache_head * shape.context + position;
      std::vector<Sum> source;
      for (u32 i = 0; i < size; ++i) {
        const f64 value = qkv[(u64(token) * all_heads + head) * size + i];
        source.push_back({value, std::fabs(value)});
      }
      const auto want = what == 2 ? source : reference::rotate(source, &rope[u64(position) * size], size);
      for (u32 i = 0; i < size; ++i) {
        const f64 scale = what == 0 ? 1 / std::sqrt(f64(size)) : 1;
        const f64 value = want[i].value * scale, slack = stored_slack(value, want[i].magnitude, 0x1p-20);
        const u64 at = row * size + i;
        const char* label[] = {"q", "k_cache", "v_cache"};
        if (auto wrong = compare(label[what], at, reference::f16_to_f32(got[what][at]), value, slack); !wrong.empty())
          return wrong;
        written[what][at] = true;
      }
    }
  }
  for (u32 what = 0; what < 3; ++what) {
    for (u64 i = 0; i < got[what].size(); ++i) {
      if (!written[what][i] && got[what][i] != untouched_f16)
        return fmt::format("output {}, [{}] was written", what, i);
    }
  }
  return "";
}

}  // namespace

Job rope_kv_job(Random& random, const RopeShape& shape) {
  const u32 size = shape.head_size, all_heads = shape.heads + 2 * shape.kv_heads;
  Job job{.kernel = "rope_kv",
          .shape = fmt::format("{}/{} heads of {}, {} tokens from {} of {}", shape.heads, shape.kv_heads, size,
                               shape.tokens, shape.first_position, shape.context),
          .groups = {shape.tokens, 1, 1}};
  kernels::RopeKvArgs args{.heads = shape.heads, .kv_heads = shape.kv_heads, .head_size = size,
                           .context = shape.context, .first_position = shape.first_position};
  const auto qkv = values(random, u64(shape.tokens) * all_heads * size);
  std::vector<f32> rope(u64(shape.context) * size);
  for (u64 i = 0; i < rope.size(); i += 2) {
    const f64 angle = f64(i / size) * std::pow(10000.0, -f64(i % size) / size);
    rope[i] = static_cast<f32>(std::cos(angle)), rope[i + 1] = static_cast<f32>(std::sin(angle));
  }
  job.add(args, args.qkv, "qkv", qkv, Use::input);
  job.add(args, args.rope, "rope", rope, Use::input);
  const u32 q = job.add(args, args.q, "q", canary<u16>(u64(shape.tokens) * shape.heads * size), Use::output);
  const u64 cache = u64(shape.kv_heads) * shape.context * size;
  const u32 k = job.add(args, args.k_cache, "k_cache", canary<u16>(cache), Use::output);
  const u32 v = job.add(args, args.v_cache, "v_cache", canary<u16>(cache), Use::output);
  job.finish(args);
  job.verify = [=](const auto& after) {
    return check_rope(shape, qkv, rope, {as<u16>(after[q]), as<u16>(after[k]), as<u16>(after[v])});
  };
  return job;
}

}  // namespace amlm::test
