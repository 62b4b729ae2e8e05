// Transcendentals of f32 over all inputs, or every Nth: how far from the correctly rounded result, at most, and how often
// not equal to it. Bounds: README.md, "What results are worth".
//
//   isa-sweep [STRIDE]
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "isa/execute/silicon_trans.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::silicon;

namespace {

f32 value_of(u32 bits) { return std::bit_cast<f32>(bits); }
bool is_subnormal(u32 bits) { return (bits & 0x7f800000) == 0 && (bits & 0x7fffff) != 0; }

struct Worst {
  f64 ulp = 0, absolute = 0;
  u32 at = 0;
  u64 inputs = 0, unequal = 0, wrong = 0;   // wrong: of another kind: NaN, infinity, zero, sign
};

// `exact` has far more bits than f32. Results below the smallest normal are flushed to zero of the exact one's sign.
enum class Measure { ulp, absolute };
void judge(Worst& worst, u32 input, u32 got, f64 exact, Measure measure) {
  ++worst.inputs;
  const f32 result = value_of(got), nearest = f32(exact);
  if (std::isnan(exact) || std::isnan(result)) {
    worst.wrong += std::isnan(exact) != std::isnan(result);
    return;
  }
  worst.unequal += result != nearest;
  if (measure == Measure::absolute) {
    worst.absolute = std::fmax(worst.absolute, std::fabs(result - exact));
    return;
  }
  // At the ends of the range one ulp is the way from the last finite result to infinity, or from the first normal one to
  // zero.
  if (std::isinf(result) || std::isinf(nearest)) {
    worst.wrong += result != nearest && std::fabs(exact) < 0x1.fffffep127;
    return;
  }
  if (result == 0 || std::fabs(exact) < 0x1p-126) {
    worst.wrong += result != 0 ? std::fabs(result) > 0x1p-126f : std::fabs(exact) >= 0x1.000002p-126;
    return;
  }
  const f64 unit = std::ldexp(1.0, std::ilogb(exact) - 23), error = std::fabs(result - exact);
  if (error / unit > worst.ulp) worst.ulp = error / unit, worst.at = input;
}

struct Function {
  const char* name;
  u32 (*chip)(u32);
  f64 (*exact)(f64);
  f64 ulp, absolute;   // bounds; 0: none
};

f64 turn(f64 x) { return x - std::floor(x); }

constexpr u32 keep_denormals = 3;
const Function functions[] = {
    {"exp", [](u32 x) { return exp2_f32(x); }, [](f64 x) { return std::exp2(x); }, 1, 0},
    {"log", [](u32 x) { return log2_f32(x); }, [](f64 x) { return std::log2(x); }, 1, 0},
    {"rcp", [](u32 x) { return rcp_f32(x); }, [](f64 x) { return 1 / x; }, 1, 0},
    {"rsq", [](u32 x) { return rsq_f32(x); }, [](f64 x) { return 1 / std::sqrt(x); }, 1, 0},
    {"sqrt", [](u32 x) { return sqrt_f32(x); }, [](f64 x) { return std::sqrt(x); }, 1, 0},
    {"sin", [](u32 x) { return sin_f32(x, keep_denormals); }, [](f64 x) { return std::sin(2 * M_PI * turn(x)); }, 0, 1.3e-7},
    {"cos", [](u32 x) { return cos_f32(x, keep_denormals); }, [](f64 x) { return std::cos(2 * M_PI * turn(x)); }, 0, 1.3e-7},
};

bool sweep(const Function& f, u64 stride) {
  Worst worst;
  const bool trigonometric = f.ulp == 0;
  for (u64 i = 0; i < u64{1} << 32; i += stride) {
    const u32 input = u32(i);
    f64 x = value_of(input);
    if (std::isnan(x) || (trigonometric && std::isinf(x))) continue;
    if (is_subnormal(input) && !trigonometric) x = std::copysign(0.0, x);
    judge(worst, input, f.chip(input), f.exact(x), trigonometric ? Measure::absolute : Measure::ulp);
  }
  const bool good = worst.wrong == 0 && (f.ulp ? worst.ulp <= f.ulp : worst.absolute <= f.absolute);
  using Number = unsigned long long;
  std::printf("%-4s %llu inputs, %llu not correctly rounded, at most ", f.name, Number(worst.inputs), Number(worst.unequal));
  if (trigonometric) std::printf("%.4g off", worst.absolute);
  else std::printf("%.4f ulp (%08x)", worst.ulp, worst.at);
  std::printf(", %llu of a wrong kind%s\n", Number(worst.wrong), good ? "" : ": OUT OF BOUNDS");
  std::fflush(stdout);
  return good;
}

// A function that is wrong by 2 ulp in places must be noticed.
bool notices_mistake() {
  Worst worst;
  for (u32 i = 0x3f800000; i < 0x3f800100; ++i)
    judge(worst, i, rcp_f32(i) + (i % 64 == 0 ? 2 : 0), 1 / f64(value_of(i)), Measure::ulp);
  return worst.ulp > 1;
}

}  // namespace

int main(int argc, char** argv) {
  const u64 stride = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 1;
  bool good = notices_mistake();
  if (!good) std::printf("the planted mistake was NOT NOTICED\n");
  for (const Function& f : functions) good = sweep(f, stride) && good;
  return good ? 0 : 1;
}
