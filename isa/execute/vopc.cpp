// VOPC: compares. The same function serves v_cmp (destination VCC or an SGPR) and v_cmpx (destination EXEC): inactive
// lanes give 0 either way.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"

namespace amlm::isa {
namespace {
namespace op {

using namespace arith;

template <class T> AMLM_INLINE auto number(T a) { return a; }
template <> AMLM_INLINE auto number<Half>(Half a) { return a.value; }

template <class T> bool f(T, T) { return false; }
template <class T> bool lt(T a, T b) { return number(a) < number(b); }
template <class T> bool eq(T a, T b) { return number(a) == number(b); }
template <class T> bool le(T a, T b) { return number(a) <= number(b); }
template <class T> bool gt(T a, T b) { return number(a) > number(b); }
template <class T> bool ge(T a, T b) { return number(a) >= number(b); }
template <class T> bool ne(T a, T b) { return number(a) != number(b); }
template <class T> bool t(T, T) { return true; }
// Float only: lg is "less or greater", false for NaN; the n forms negate, true for NaN.
template <class T> bool lg(T a, T b) { return (number(a) < number(b)) | (number(a) > number(b)); }
template <class T> bool o(T a, T b) { return !is_nan(a) & !is_nan(b); }
template <class T> bool u(T a, T b) { return is_nan(a) | is_nan(b); }
template <class T> bool nge(T a, T b) { return !(number(a) >= number(b)); }
template <class T> bool nlg(T a, T b) { return !lg(a, b); }
template <class T> bool ngt(T a, T b) { return !(number(a) > number(b)); }
template <class T> bool nle(T a, T b) { return !(number(a) <= number(b)); }
template <class T> bool neq(T a, T b) { return !(number(a) == number(b)); }
template <class T> bool nlt(T a, T b) { return !(number(a) < number(b)); }

// Bits of the mask: signaling NaN, quiet NaN, -inf, -normal, -subnormal, -0, +0, +subnormal, +normal, +inf.
AMLM_INLINE u32 class_of(bool negative, bool nan, bool quiet, bool infinite, bool zero, bool subnormal) {
  const u32 positive = zero ? 6 : subnormal ? 7 : infinite ? 9 : 8;
  return nan ? u32(quiet) : negative ? 11 - positive : positive;
}
bool class_f32(f32 a, u32 mask) {
  const u32 b = bits(a), magnitude = b & 0x7fffffff;
  return (mask >> class_of(b >> 31 != 0, magnitude > 0x7f800000, (b & 0x400000) != 0, magnitude == 0x7f800000,
                           magnitude == 0, magnitude < 0x800000) & 1) != 0;
}
bool class_f64(f64 a, u32 mask) {
  const u64 b = bits(a), magnitude = b & ~(u64{1} << 63);
  return (mask >> class_of(b >> 63 != 0, magnitude > 0x7ff0000000000000, (b >> 51 & 1) != 0,
                           magnitude == 0x7ff0000000000000, magnitude == 0, magnitude < u64{1} << 52) & 1) != 0;
}
bool class_f16(u16 a, u16 mask) {
  const u32 magnitude = a & 0x7fff;
  return (mask >> class_of(a >> 15 != 0, magnitude > 0x7c00, (a & 0x200) != 0, magnitude == 0x7c00, magnitude == 0,
                           magnitude < 0x400) & 1) != 0;
}

}  // namespace op

#define BOTH(name, type, ...) {Opcode::v_cmp_##name##_##type, vector_op<__VA_ARGS__>}, \
                              {Opcode::v_cmpx_##name##_##type, vector_op<__VA_ARGS__>}
#define WIDE(name, type, ...) {Opcode::v_cmp_##name##_##type, vector_op<__VA_ARGS__>, vector_wide<__VA_ARGS__>}, \
                              {Opcode::v_cmpx_##name##_##type, vector_op<__VA_ARGS__>, vector_wide<__VA_ARGS__>}
#define FLOATS(name) BOTH(name, f16, op::name<Half>), WIDE(name, f32, op::name<f32>), BOTH(name, f64, op::name<f64>)
#define INTEGERS(name) WIDE(name, i32, op::name<i32>), WIDE(name, u32, op::name<u32>), \
                       BOTH(name, i64, op::name<i64>), BOTH(name, u64, op::name<u64>)
#define SHORTS(name) BOTH(name, i16, op::name<i16>), BOTH(name, u16, op::name<u16>)
constexpr Binding bindings[] = {
    FLOATS(f), FLOATS(lt), FLOATS(eq), FLOATS(le), FLOATS(gt), FLOATS(lg), FLOATS(ge), FLOATS(o), FLOATS(u),
    FLOATS(nge), FLOATS(nlg), FLOATS(ngt), FLOATS(nle), FLOATS(neq), FLOATS(nlt), FLOATS(t),
    INTEGERS(f), INTEGERS(lt), INTEGERS(eq), INTEGERS(le), INTEGERS(gt), INTEGERS(ne), INTEGERS(ge), INTEGERS(t),
    SHORTS(lt), SHORTS(eq), SHORTS(le), SHORTS(gt), SHORTS(ne), SHORTS(ge),
    BOTH(class, f16, op::class_f16), BOTH(class, f32, op::class_f32), BOTH(class, f64, op::class_f64),
};
#undef BOTH
#undef WIDE
#undef FLOATS
#undef INTEGERS
#undef SHORTS

}  // namespace

std::span<const Binding> vopc_bindings() { return bindings; }

}  // namespace amlm::isa
