#include "isa/execute/arithmetic.h"

namespace amlm::isa::arith {

namespace {
// Far enough to reach every result, small enough to add to an exponent.
i32 limited(i32 exponent) { return exponent > 5000 ? 5000 : exponent < -5000 ? -5000 : exponent; }
}  // namespace

f32 ldexp(f32 x, i32 exponent) { return is_nan(x) ? quieted(x) : std::ldexp(x, limited(exponent)); }
f64 ldexp(f64 x, i32 exponent) { return is_nan(x) ? quieted(x) : std::ldexp(x, limited(exponent)); }

i32 frexp_exponent(f32 x) {
  if (x == 0 || is_nan(x) || std::isinf(x)) return 0;
  int exponent;
  std::frexp(x, &exponent);
  return exponent;
}
i32 frexp_exponent(f64 x) {
  if (x == 0 || is_nan(x) || std::isinf(x)) return 0;
  int exponent;
  std::frexp(x, &exponent);
  return exponent;
}
f32 frexp_mantissa(f32 x) {
  if (is_nan(x)) return quieted(x);
  if (x == 0 || std::isinf(x)) return x;
  int exponent;
  return std::frexp(x, &exponent);
}
f64 frexp_mantissa(f64 x) {
  if (is_nan(x)) return quieted(x);
  if (x == 0 || std::isinf(x)) return x;
  int exponent;
  return std::frexp(x, &exponent);
}

}  // namespace amlm::isa::arith
