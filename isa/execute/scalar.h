// How a scalar ALU instruction runs: a function of scalar values. Its C++ types say how operands are read, as in
// lanes.h; a first parameter State& reads and writes SCC and EXEC; a bool result goes to SCC.
#pragma once

#include "isa/execute/lanes.h"

namespace amlm::isa {

struct State {
  Wave& wave;
  bool scc;
  u32 mode() const { return wave.mode; }
  bool ieee() const { return (wave.mode >> 9 & 1) != 0; }
};

template <class F>
struct ScalarSignature;
template <class R, class... A>
struct ScalarSignature<R (*)(A...)> {
  using Result = R;
  using Arguments = std::tuple<A...>;
  static constexpr bool has_state = false;
};
template <class R, class... A>
struct ScalarSignature<R (*)(State&, A...)> {
  using Result = R;
  using Arguments = std::tuple<A...>;
  static constexpr bool has_state = true;
};

template <class T>
inline T read_scalar(const Wave& wave, const Operand& operand, const Instruction& in) {
  if constexpr (sizeof(T) == 8) {
    constexpr Kind kind = std::is_same_v<T, i64> ? Kind::signed_integer : Kind::unsigned_integer;
    return T(scalar_wide(wave, operand.code, in, kind));
  } else if constexpr (sizeof(T) == 2) {
    return T(scalar_half(wave, operand.code, in));
  } else {
    return std::bit_cast<T>(wave.scalar(operand.code, in));
  }
}

template <auto F, Last last = Last::source>
void scalar_op(Wave& wave, const Step& step) {
  using S = ScalarSignature<decltype(F)>;
  using R = typename S::Result;
  constexpr u32 n = std::tuple_size_v<typename S::Arguments>;
  const Instruction& in = step.in;
  State state{wave, wave.scc};
  const R result = [&]<u32... i>(std::integer_sequence<u32, i...>) {
    const auto argument = [&]<u32 k>() {
      return read_scalar<std::tuple_element_t<k, typename S::Arguments>>(
          wave, last == Last::destination && k == n - 1 ? in.dst : in.src[k], in);
    };
    if constexpr (S::has_state) return F(state, argument.template operator()<i>()...);
    else return F(argument.template operator()<i>()...);
  }(std::make_integer_sequence<u32, n>{});
  if constexpr (std::is_same_v<R, bool>) {
    wave.scc = result;
    return;
  } else if constexpr (sizeof(R) == 8) {
    wave.set_scalar64(in.dst.code, u64(result));
  } else if constexpr (sizeof(R) == 2) {
    wave.set_scalar(in.dst.code, u16(result));
  } else {
    wave.set_scalar(in.dst.code, std::bit_cast<u32>(result));
  }
  wave.scc = state.scc;
}

}  // namespace amlm::isa
