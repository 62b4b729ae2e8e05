#include "tests/kernels/jobs/support.h"

#include <cmath>

#include "tests/reference/dequantize.h"

namespace amlm::test {

f32 uniform(Random& random) { return static_cast<f32>(static_cast<i32>(random() >> 40) - (1 << 23)) * 0x1p-23f; }

std::vector<f32> values(Random& random, u64 count) {
  std::vector<f32> out(count);
  for (f32& value : out) value = uniform(random) * (random() % 64 ? 1.0f : 50.0f);
  return out;
}

std::vector<u16> to_f16(const std::vector<f32>& from) {
  std::vector<u16> out;
  for (const f32 value : from) out.push_back(reference::f32_to_f16(value));
  return out;
}

std::vector<f64> from_f16(const std::vector<u16>& from) {
  std::vector<f64> out;
  for (const u16 bits : from) out.push_back(reference::f16_to_f32(bits));
  return out;
}

std::string compare(const char* what, u64 index, f64 got, f64 want, f64 slack) {
  if (std::fabs(got - want) <= slack) return "";
  return fmt::format("{}[{}] = {:g}, not {:g} (off by {:.3g}, allowed {:.3g})", what, index, got, want, got - want,
                     slack);
}

f64 f16_slack(f64 value) { return std::fabs(value) * 0x1p-10 + 0x1p-24; }

std::string name(const char* kernel, kernels::WeightType type) {
  return std::string(kernel) + "_" + std::string(kernels::name(type));
}

std::string text(const MatrixShape& shape) {
  constexpr const char* fills[] = {"", ", worst", ", large"};
  return fmt::format("{} rows, {} columns{}", shape.rows, shape.columns, fills[static_cast<int>(shape.fill)]);
}

}  // namespace amlm::test
