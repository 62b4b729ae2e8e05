// What the jobs share: random values, tolerances, comparisons.
#pragma once

#include <fmt/format.h>

#include "tests/kernels/jobs/decode_jobs.h"

namespace amlm::test {

// Errors are measured in the sum of the terms' magnitudes. Activations that a kernel rounds to f16 itself may fall
// to the other side of a tie: half an ulp, 2^-11, of one term among many. What is f16 already leaves only the sums'
// own roundings (v_dot2 truncates to 2^-14 of a quant: ROCm/rocm-systems issue 12056).
inline constexpr f64 rounded_tolerance = 3e-4, exact_tolerance = 2e-5;

f32 uniform(Random& random);                               // [-1, 1)
// Uniform in [-1, 1), one in 64 fifty times larger: uniform data alone hides too much.
std::vector<f32> values(Random& random, u64 count);
std::vector<u16> to_f16(const std::vector<f32>& from);
std::vector<f64> from_f16(const std::vector<u16>& from);

// "" when |got - want| <= slack.
std::string compare(const char* what, u64 index, f64 got, f64 want, f64 slack);
// The slack of a value that was stored as f16: one ulp, and half of the smallest.
f64 f16_slack(f64 value);

std::string name(const char* kernel, kernels::WeightType type);
std::string text(const MatrixShape& shape);
inline u32 groups_of(u32 rows, u32 group_rows) { return (rows + group_rows - 1) / group_rows; }

template <class Args>
void add_matrix(Job& job, const Args& args, const kernels::Matrix& matrix, const char* label,
                const reference::Weights& weights) {
  const auto planes = reference::split_planes(weights);
  for (u32 p = 0; p < 4; ++p) {
    if (!planes[p].empty()) job.add(args, matrix.plane[p], fmt::format("{} plane {}", label, p), planes[p], Use::input);
  }
}

}  // namespace amlm::test
