// What each atomic does to one location: new value from the old one and the operands. Used for memory and for LDS.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>

#include "isa/base.h"

namespace amlm::isa::atomic_ops {

// T is u32 or u64; `a` is the first data operand, `b` the second.
template <class T> struct Signed;
template <> struct Signed<u32> { using Int = i32; using Float = f32; };
template <> struct Signed<u64> { using Int = i64; using Float = f64; };
template <class T> using Int = typename Signed<T>::Int;
template <class T> using Float = typename Signed<T>::Float;
template <class T> Float<T> to_float(T x) { return std::bit_cast<Float<T>>(x); }

struct swap { template <class T> T operator()(T, T a, T) const { return a; } };
struct add { template <class T> T operator()(T old, T a, T) const { return old + a; } };
struct sub { template <class T> T operator()(T old, T a, T) const { return old - a; } };
struct rsub { template <class T> T operator()(T old, T a, T) const { return a - old; } };
struct csub { template <class T> T operator()(T old, T a, T) const { return old < a ? T(0) : T(old - a); } };
struct inc { template <class T> T operator()(T old, T a, T) const { return old >= a ? T(0) : T(old + 1); } };
struct dec { template <class T> T operator()(T old, T a, T) const { return old == 0 || old > a ? a : T(old - 1); } };
struct min_i { template <class T> T operator()(T old, T a, T) const { return T(std::min(Int<T>(old), Int<T>(a))); } };
struct max_i { template <class T> T operator()(T old, T a, T) const { return T(std::max(Int<T>(old), Int<T>(a))); } };
struct min_u { template <class T> T operator()(T old, T a, T) const { return std::min(old, a); } };
struct max_u { template <class T> T operator()(T old, T a, T) const { return std::max(old, a); } };
struct and_ { template <class T> T operator()(T old, T a, T) const { return old & a; } };
struct or_ { template <class T> T operator()(T old, T a, T) const { return old | a; } };
struct xor_ { template <class T> T operator()(T old, T a, T) const { return old ^ a; } };
struct mskor { template <class T> T operator()(T old, T a, T b) const { return (old & ~a) | b; } };
struct wrap { template <class T> T operator()(T old, T a, T b) const { return old >= a ? T(old - a) : T(old + b); } };
// GFX11 order for DS and memory: new value first, compare value second.
struct cmpswap { template <class T> T operator()(T old, T a, T b) const { return old == b ? a : old; } };
struct cmpswap_f {
  template <class T> T operator()(T old, T a, T b) const { return to_float(old) == to_float(b) ? a : old; }
};
struct min_f { template <class T> T operator()(T old, T a, T) const { return to_float(a) < to_float(old) ? a : old; } };
struct max_f { template <class T> T operator()(T old, T a, T) const { return to_float(a) > to_float(old) ? a : old; } };
struct add_f {
  template <class T> T operator()(T old, T a, T) const { return std::bit_cast<T>(to_float(old) + to_float(a)); }
};

// On memory that other host threads use at the same time. `at` is aligned to its size.
template <class Op, class T>
T apply_shared(u8* at, T a, T b) {
  std::atomic_ref<T> location(*reinterpret_cast<T*>(at));
  T old = location.load(std::memory_order_relaxed);
  while (!location.compare_exchange_weak(old, Op{}(old, a, b), std::memory_order_acq_rel)) {
  }
  return old;
}

}  // namespace amlm::isa::atomic_ops
