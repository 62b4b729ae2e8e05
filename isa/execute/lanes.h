// How a vector ALU instruction runs: operands of 32 lanes are fetched, a scalar function is applied to every lane, and the
// results are written under EXEC. All lanes are computed before any is written.
//
// An opcode is a plain function of lane values, and its C++ types say how operands are read: u32, i32, f32, u64, i64, f64,
// u16, i16; Half (f16, widened exactly to f32 and rounded back after); F16Bits; bool (one bit of a lane mask). A result may
// be With<T>: a value and a bit of the second, scalar result; or bool: a compare. A first parameter Env gives MODE and the
// lane's number.
//
// Plain instructions read registers in place. Modifiers, DPP, half selects, MODE settings other than the usual, omod and
// clamp go through fetch_modified and finish_modified, which know the operand types from the tables.
#pragma once

#include <bit>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "isa/execute/host_vectors.h"
#include "isa/execute/wave.h"
#include "isa/tables.h"

namespace amlm::isa {

struct Half {
  f32 value;
};

// An f16 that is chosen, not computed with: as its bits, but MODE's denormals count.
enum class F16Bits : u16 {};

template <class T>
struct With {
  T value;
  bool flag;
};

struct Env {
  u32 mode;
  u32 lane;   // 0-63
  u32 vcc;    // of this half
  bool vcc_bit() const { return (vcc >> (lane & 31) & 1) != 0; }
  bool ieee() const { return (mode >> 9 & 1) != 0; }
};

// One operand of 32 lanes: low dwords, and high dwords for 64-bit types.
struct Lanes {
  const u32* low;
  const u32* high;
};

struct alignas(64) LaneBuffer {
  u32 low[half_lanes];
  u32 high[half_lanes];
};

// The usual MODE: round to nearest even, denormals kept. Anything else takes the slow way in float instructions.
inline constexpr u32 mode_f32_fields = 0x33, mode_f32_usual = 0x30;
inline constexpr u32 mode_f16_f64_fields = 0xcc, mode_f16_f64_usual = 0xc0;

// How a 32-bit or smaller constant is read: inline floats have the operand's format.
enum class ConstantAs : u8 { b32, f16, b64 };

// Value of a scalar source for 16-bit operands, and for 64-bit ones (isa.md: literals by type).
u32 scalar_half(const Wave& wave, u16 code, const Instruction& in);
u64 scalar_wide(const Wave& wave, u16 code, const Instruction& in, Kind kind);

inline void broadcast(u32* lanes, u32 value) {
  for (u32 i = 0; i < half_lanes; i++) lanes[i] = value;
}

// 32 halves (low 16 bits of each dword) to f32 and back. narrow rounds as the host does, to nearest even but inside
// a ModeScope.
void widen_halves(const u32* halves, u32* floats);
void narrow_halves(const u32* floats, u32* halves);
// 64 packed halves (32 dwords) at once; and f32 to f16 toward zero.
void widen_packed(const u32* packed, f32* floats);
void narrow_packed(const f32* floats, u32* packed);
void narrow_halves_toward_zero(const u32* floats, u32* halves);

// Lane masks: one SGPR for each half of the wave.
inline u32 read_mask(const Wave& wave, const Operand& operand, const Instruction& in) {
  if (operand.code < 128) return operand.code == code_null ? 0 : wave.sgpr[operand.code + wave.half];
  return wave.scalar(operand.code, in);
}
inline void write_mask(Wave& wave, u16 code, u32 mask) {
  if (code != code_null) wave.sgpr[code + wave.half] = mask;
}

inline void write_lanes(u32* to, const u32* from, u32 exec) {
  if (exec == ~0u) {
    std::memcpy(to, from, sizeof(u32) * half_lanes);
    return;
  }
  for (u32 i = 0; i < half_lanes; i++) to[i] = (exec >> i & 1) != 0 ? from[i] : to[i];
}
inline void write_low_halves(u32* to, const u32* from, u32 exec) {
  for (u32 i = 0; i < half_lanes; i++)
    to[i] = (exec >> i & 1) != 0 ? (to[i] & 0xffff0000) | (from[i] & 0xffff) : to[i];
}

// What the slow way found out about one execution.
struct Modified {
  u32 write = ~0u;      // lanes that DPP lets be written
  bool scoped = false;  // host rounding was changed
  u32 host_control = 0;
};

// Reads every source as its table type says, with DPP, half select, abs, neg and denormal flush; sets the host's
// rounding. `list.count` sources go to `lanes`, using `buffers`; with `accumulate` the last is the destination's old value.
// False: the wave was stopped.
struct SourceList {
  u32 count;
  bool accumulate;
  u32 halves;   // bit k: source k is wanted as Half
};
bool fetch_modified(Wave& wave, const Step& step, SourceList list, Lanes* lanes, LaneBuffer* buffers, Modified& modified);
// omod, clamp, denormal flush, destination half; then the write. `integer_clamped`: the function saturated by itself.
void finish_modified(Wave& wave, const Step& step, LaneBuffer& result, const Modified& modified, bool integer_clamped);
void restore_host(const Modified& modified);

// The host rounds as a MODE field says while this lives; fields of f32 are 0, of f16 and f64 `mode >> 2 & 3`.
class HostRounding {
 public:
  explicit HostRounding(u32 field);
  ~HostRounding();
  HostRounding(const HostRounding&) = delete;
  HostRounding& operator=(const HostRounding&) = delete;

 private:
  Modified modified_;
};

// A DPP instruction without other modifiers: src0's lanes go through DPP after a plain fetch. `to` may be `from`.
inline bool only_dpp(const Instruction& in) {
  return in.encoding != Encoding::native && in.encoding != Encoding::vop3 && !in.neg && !in.abs && !in.opsel && !in.omod &&
         !in.clamp;
}
bool dpp_lanes(Wave& wave, const Instruction& in, const u32* from, u32* to, u32& write);

// neg and abs alone, on f32 sources.
inline bool only_signs(const Instruction& in) {
  return (in.encoding == Encoding::native || in.encoding == Encoding::vop3) && !in.opsel && !in.omod && !in.clamp;
}
inline void modify_signs(const Instruction& in, u32 k, Lanes& lanes, LaneBuffer& buffer) {
  const bool absolute = (in.abs >> k & 1) != 0, negate = (in.neg >> k & 1) != 0;
  if (!absolute && !negate) return;
  const u32 keep = absolute ? 0x7fffffff : ~0u, flip = negate ? 0x80000000 : 0;
  for (u32 i = 0; i < half_lanes; i++) buffer.low[i] = (lanes.low[i] & keep) ^ flip;
  lanes.low = buffer.low;
}

// ---- Signatures ------------------------------------------------------------------------------------------------

template <class F>
struct Signature;
template <class R, class... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  static constexpr bool has_env = false;
  static constexpr u32 count = sizeof...(A);
  template <u32 i>
  using Arg = std::tuple_element_t<i, std::tuple<A...>>;
};
template <class R, class... A>
struct Signature<R (*)(Env, A...)> {
  using Result = R;
  static constexpr bool has_env = true;
  static constexpr u32 count = sizeof...(A);
  template <u32 i>
  using Arg = std::tuple_element_t<i, std::tuple<A...>>;
};

template <class T>
inline constexpr bool is_f32_like = std::is_same_v<T, f32>;
template <class T>
inline constexpr bool is_f16_f64_like = std::is_same_v<T, Half> || std::is_same_v<T, F16Bits> || std::is_same_v<T, f64>;

template <class T>
struct ResultOf {
  using Value = T;
};
template <class T>
struct ResultOf<With<T>> {
  using Value = T;
};

template <class S, class I>
struct Usual;
template <class S, u32... i>
struct Usual<S, std::integer_sequence<u32, i...>> {
  using Value = typename ResultOf<typename S::Result>::Value;
  static constexpr bool f32s = is_f32_like<Value> || (is_f32_like<typename S::template Arg<i>> || ...);
  static constexpr bool f16_f64s = is_f16_f64_like<Value> || (is_f16_f64_like<typename S::template Arg<i>> || ...);
  static constexpr bool only_f32s = (is_f32_like<typename S::template Arg<i>> && ...);
  static constexpr u32 halves = ((std::is_same_v<typename S::template Arg<i>, Half> ? 1u << i : 0u) | ... | 0u);
  static constexpr u32 fields = (f32s ? mode_f32_fields : 0) | (f16_f64s ? mode_f16_f64_fields : 0);
  static constexpr u32 value = (f32s ? mode_f32_usual : 0) | (f16_f64s ? mode_f16_f64_usual : 0);
};

// ---- Fetch, plain ----------------------------------------------------------------------------------------------

template <class T>
inline void fetch_plain(Wave& wave, const Step& step, const Operand& operand, Lanes& lanes, LaneBuffer& buffer) {
  const Instruction& in = step.in;
  if constexpr (std::is_same_v<T, bool>) {
    buffer.low[0] = read_mask(wave, operand, in);
    lanes.low = buffer.low;
  } else if constexpr (sizeof(T) == 8) {
    if (operand.is_vgpr()) {
      lanes = {wave.vgpr(operand.vgpr()), wave.vgpr(operand.vgpr() + 1)};
    } else {
      constexpr Kind kind = std::is_same_v<T, f64>   ? Kind::floating
                            : std::is_same_v<T, i64> ? Kind::signed_integer
                                                     : Kind::unsigned_integer;
      const u64 value = scalar_wide(wave, operand.code, in, kind);
      broadcast(buffer.low, u32(value));
      broadcast(buffer.high, u32(value >> 32));
      lanes = {buffer.low, buffer.high};
    }
  } else if constexpr (std::is_same_v<T, Half>) {
    if (operand.is_vgpr()) {
      widen_halves(wave.vgpr(operand.vgpr()), buffer.low);
    } else {
      broadcast(buffer.high, scalar_half(wave, operand.code, in));
      widen_halves(buffer.high, buffer.low);
    }
    lanes.low = buffer.low;
  } else {
    if (operand.is_vgpr()) {
      lanes.low = wave.vgpr(operand.vgpr());
    } else {
      broadcast(buffer.low, sizeof(T) == 2 ? scalar_half(wave, operand.code, in) : wave.scalar(operand.code, in));
      lanes.low = buffer.low;
    }
  }
}

template <class T>
inline __attribute__((always_inline)) T lane_value(const Lanes& lanes, u32 i) {
  if constexpr (std::is_same_v<T, bool>) return (lanes.low[0] >> i & 1) != 0;
  else if constexpr (sizeof(T) == 8) return std::bit_cast<T>(u64(lanes.low[i]) | u64(lanes.high[i]) << 32);
  else if constexpr (std::is_same_v<T, Half>) return Half{std::bit_cast<f32>(lanes.low[i])};
  else if constexpr (sizeof(T) == 2) return T(lanes.low[i]);
  else return std::bit_cast<T>(lanes.low[i]);
}

// Where results go: a buffer, or the destination's registers themselves.
struct Target {
  u32* low;
  u32* high;
  Target(u32* low_lanes, u32* high_lanes) : low(low_lanes), high(high_lanes) {}
  Target(LaneBuffer& buffer) : low(buffer.low), high(buffer.high) {}
};

template <class T>
inline __attribute__((always_inline)) void put_lane(const Target& buffer, u32 i, T value) {
  if constexpr (sizeof(T) == 8) {
    buffer.low[i] = u32(std::bit_cast<u64>(value));
    buffer.high[i] = u32(std::bit_cast<u64>(value) >> 32);
  } else if constexpr (std::is_same_v<T, Half>) {
    buffer.low[i] = std::bit_cast<u32>(value.value);
  } else if constexpr (sizeof(T) == 2) {
    buffer.low[i] = u16(value);
  } else {
    buffer.low[i] = std::bit_cast<u32>(value);
  }
}

// Applies F to the 32 lanes: values to `result` (f16 as bits again), the flag bits returned. `result` may be a source's
// registers when vector_plain says so.
template <auto F, u32... i>
inline __attribute__((always_inline)) u32 apply(std::integer_sequence<u32, i...>, const Wave& wave, const Lanes* lanes,
                                                const Target& result) {
  using S = Signature<decltype(F)>;
  using R = typename S::Result;
  using Value = typename ResultOf<R>::Value;
  const u32 mode = wave.mode, first = wave.half * half_lanes, vcc = wave.sgpr[code_vcc_lo + wave.half];
  alignas(64) u32 flags[half_lanes];
#pragma GCC ivdep
  for (u32 l = 0; l < half_lanes; l++) {
    const auto call = [&]() __attribute__((always_inline)) {
      if constexpr (S::has_env) return F(Env{mode, first + l, vcc}, lane_value<typename S::template Arg<i>>(lanes[i], l)...);
      else return F(lane_value<typename S::template Arg<i>>(lanes[i], l)...);
    };
    if constexpr (std::is_same_v<R, bool>) {
      flags[l] = u32(call()) << l;
    } else if constexpr (!std::is_same_v<R, Value>) {
      const R both = call();
      put_lane<Value>(result, l, both.value);
      flags[l] = u32(both.flag) << l;
    } else {
      put_lane<Value>(result, l, call());
    }
  }
  if constexpr (std::is_same_v<Value, Half>) narrow_halves(result.low, result.low);
  u32 mask = 0;
  if constexpr (std::is_same_v<R, bool> || !std::is_same_v<R, Value>)
    for (u32 l = 0; l < half_lanes; l++) mask |= flags[l];
  return mask;
}

template <class Value>
inline void write_plain(Wave& wave, const Step& step, const LaneBuffer& result, u32 lanes) {
  const u32 n = step.in.dst.vgpr(), exec = wave.exec() & lanes;
  if constexpr (sizeof(Value) == 8) {
    write_lanes(wave.vgpr(n), result.low, exec);
    write_lanes(wave.vgpr(n + 1), result.high, exec);
  } else if constexpr (std::is_same_v<Value, Half> || sizeof(Value) == 2) {
    write_low_halves(wave.vgpr(n), result.low, exec);
  } else {
    write_lanes(wave.vgpr(n), result.low, exec);
  }
}

enum class Last : u8 { source, destination };

// How an instruction may go without the slow way. `flush`: MODE flushes f32 denormals (RADV's does) and is usual otherwise.
struct Ways {
  bool usual, flush, dpp, signs;
  bool plain(const Step& step) const { return usual && (step.plain || dpp || signs); }
};
template <auto F>
inline __attribute__((always_inline)) Ways ways_of(const Wave& wave, const Step& step) {
  using S = Signature<decltype(F)>;
  using Expected = Usual<S, std::make_integer_sequence<u32, S::count>>;
  const bool flush = Expected::f32s && (wave.mode & Expected::fields) == (Expected::value & ~mode_f32_usual);
  const bool usual = flush || (wave.mode & Expected::fields) == Expected::value, modified = usual && !step.plain;
  return {usual, flush, modified && only_dpp(step.in), Expected::only_f32s && modified && only_signs(step.in)};
}

// One store that needs all of a lane's sources, each of one register: it cannot come before a read of what it overwrites.
template <class S, u32... i>
constexpr bool writes_in_place(std::integer_sequence<u32, i...>) {
  const auto dword = []<class T>(std::type_identity<T>) {
    return std::is_same_v<T, f32> || std::is_same_v<T, u32> || std::is_same_v<T, i32>;
  };
  const auto source = [&]<class T>(std::type_identity<T> t) { return std::is_same_v<T, bool> || dword(t); };
  return dword(std::type_identity<typename S::Result>{}) &&
         (source(std::type_identity<typename S::template Arg<i>>{}) && ...);
}

inline void flush_denormals(const u32* from, u32* to) {
  for (u32 i = 0; i < half_lanes; i++) to[i] = (from[i] & 0x7f800000) == 0 ? from[i] & 0x80000000 : from[i];
}

template <auto F, Last last>
inline __attribute__((always_inline)) void vector_plain(Wave& wave, const Step& step, const Ways& ways) {
  using S = Signature<decltype(F)>;
  using R = typename S::Result;
  using Value = typename ResultOf<R>::Value;
  constexpr u32 n = S::count;
  using Indices = std::make_integer_sequence<u32, n>;
  LaneBuffer buffers[n], result;
  Lanes lanes[n];
  const Instruction& in = step.in;
  u32 write = ~0u;
  [&]<u32... i>(std::integer_sequence<u32, i...>) __attribute__((always_inline)) {
    (fetch_plain<typename S::template Arg<i>>(
         wave, step, last == Last::destination && i == n - 1 ? in.dst : in.src[i], lanes[i], buffers[i]),
     ...);
  }(Indices{});
  if constexpr (Usual<S, Indices>::only_f32s) {
    if (ways.signs)
      for (u32 k = 0; k < n; k++) modify_signs(in, k, lanes[k], buffers[k]);
  }
  if (ways.dpp) {
    if (!dpp_lanes(wave, in, lanes[0].low, buffers[0].low, write)) return;
    lanes[0].low = buffers[0].low;
  }
  if constexpr (Usual<S, Indices>::f32s) {
    if (ways.flush) {
      for (u32 k = 0; k < n; k++) {
        if (last == Last::destination && k == n - 1 ? !step.f32_result : (step.f32_sources >> k & 1) == 0) continue;
        flush_denormals(lanes[k].low, buffers[k].low);
        lanes[k].low = buffers[k].low;
      }
    }
  }
  if constexpr (std::is_same_v<R, bool>) {
    write_mask(wave, in.dst.code, apply<F>(Indices{}, wave, lanes, result) & wave.exec() & write);
  } else {
    u32 mask = 0;
    if (writes_in_place<S>(Indices{}) && !ways.flush && (wave.exec() & write) == ~0u) {
      apply<F>(Indices{}, wave, lanes, Target(wave.vgpr(in.dst.vgpr()), nullptr));
    } else {
      mask = apply<F>(Indices{}, wave, lanes, result);
      if (Usual<S, Indices>::f32s && ways.flush && step.f32_result) flush_denormals(result.low, result.low);
      write_plain<Value>(wave, step, result, write);
    }
    if constexpr (!std::is_same_v<R, Value>) write_mask(wave, in.sdst.code, mask & wave.exec() & write);
  }
}

// The handler of one opcode. `saturating`: the same for the clamp bit of integer instructions.
template <auto F, Last last = Last::source, auto saturating = nullptr>
__attribute__((noinline)) void vector_op(Wave& wave, const Step& step) {
  using S = Signature<decltype(F)>;
  using R = typename S::Result;
  using Value = typename ResultOf<R>::Value;
  constexpr u32 n = S::count;
  using Indices = std::make_integer_sequence<u32, n>;
  constexpr bool has_saturating = !std::is_same_v<decltype(saturating), std::nullptr_t>;
  const Ways ways = ways_of<F>(wave, step);
  if (ways.plain(step)) return vector_plain<F, last>(wave, step, ways);
  LaneBuffer buffers[n], result;
  Lanes lanes[n];
  const Instruction& in = step.in;
  Modified modified;
  const SourceList list{n, last == Last::destination, Usual<S, Indices>::halves};
  if (!fetch_modified(wave, step, list, lanes, buffers, modified)) return;
  u32 mask;
  bool saturated = false;
  if constexpr (has_saturating) saturated = in.clamp;
  if constexpr (has_saturating) mask = saturated ? apply<saturating>(Indices{}, wave, lanes, result)
                                                 : apply<F>(Indices{}, wave, lanes, result);
  else mask = apply<F>(Indices{}, wave, lanes, result);
  if constexpr (std::is_same_v<R, bool>) {
    restore_host(modified);
    write_mask(wave, in.dst.code, mask & wave.exec() & modified.write);
  } else {
    finish_modified(wave, step, result, modified, saturated);
    if constexpr (!std::is_same_v<R, Value>) write_mask(wave, in.sdst.code, mask & wave.exec() & modified.write);
  }
}

// The same, compiled for AVX-512: a second handler for what is frequent. The bits are the same.
template <auto F, Last last = Last::source, auto saturating = nullptr>
AMLM_AVX512 __attribute__((flatten)) void vector_wide(Wave& wave, const Step& step) {
  const Ways ways = ways_of<F>(wave, step);
  if (!ways.plain(step)) return vector_op<F, last, saturating>(wave, step);
  vector_plain<F, last>(wave, step, ways);
}

// Opcodes and their handlers, a span from each file.
struct Binding {
  Opcode opcode;
  Handler handler;
  Handler wide = nullptr;   // instead, when the host has AVX-512
};

}  // namespace amlm::isa
