// DS atomics, with and without return. Lanes go one after the other: each is complete, the order is not defined.
#include <cstring>

#include "isa/execute/atomic_ops.h"
#include "isa/execute/group.h"
#include "isa/execute/lane_data.h"
#include "isa/execute/lds.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

template <class T>
T data_of(const u32* registers, u32 lane) {
  if constexpr (sizeof(T) == 4) return registers[lane];
  else return registers[lane] | u64(registers[half_lanes + lane]) << 32;
}

template <class T>
void give(u32* registers, u32 lane, T value) {
  registers[lane] = u32(value);
  if constexpr (sizeof(T) == 8) registers[half_lanes + lane] = u32(value >> 32);
}

template <class Op, class T>
bool apply(Wave& wave, u64 address, u32 lane, T a, T b, T& old, u32 place = 0) {
  u8* at = lds_atomic_at(wave, address, lane, sizeof(T), place);
  if (wave.faulted()) return false;
  old = 0;
  if (!at) return true;
  std::memcpy(&old, at, sizeof(T));
  const T now = Op{}(old, a, b);
  std::memcpy(at, &now, sizeof(T));
  return true;
}

template <class Op, class T>
void atomic(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32* address = wave.vgpr(in.src[0].vgpr());
  const u32* a = wave.vgpr(in.src[1].vgpr());
  const u32* b = in.src[2].present() ? wave.vgpr(in.src[2].vgpr()) : nullptr;
  std::array<T, half_lanes> old{};
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    if (!apply<Op, T>(wave, address[lane] + u32(in.offset), lane, data_of<T>(a, lane),
                      b ? data_of<T>(b, lane) : T(0), old[lane])) return;
  }
  wave.counters->lds_bytes += u64(std::popcount(mask)) * sizeof(T);
  if (!in.dst.present()) return;
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) { give(registers, lane, old[lane]); });
}

template <class T, u32 stride>
void exchange_2addr(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32* address = wave.vgpr(in.src[0].vgpr());
  const u32* a = wave.vgpr(in.src[1].vgpr());
  const u32* b = wave.vgpr(in.src[2].vgpr());
  std::array<T, half_lanes> first{}, second{};
  constexpr u32 unit = sizeof(T) * stride;
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    if (!apply<atomic_ops::swap, T>(wave, address[lane] + u32(in.offset) * unit, lane, data_of<T>(a, lane), T(0),
                                    first[lane])) return;
    if (!apply<atomic_ops::swap, T>(wave, address[lane] + u32(in.offset1) * unit, lane, data_of<T>(b, lane), T(0),
                                    second[lane], sizeof(T))) return;
  }
  wave.counters->lds_bytes += u64(std::popcount(mask)) * sizeof(T) * 2;
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) {
    give(registers, lane, first[lane]);
    give(registers + sizeof(T) / 4 * half_lanes, lane, second[lane]);
  });
}

// Two dwords at an address rounded down to 8: bit 31 of each new one says whether it is written, without that bit.
void conditional_exchange(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32 *address = wave.vgpr(in.src[0].vgpr()), *data = wave.vgpr(in.src[1].vgpr());
  std::array<u64, half_lanes> old{};
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    u8* at = lds_atomic_at(wave, (address[lane] + u32(in.offset)) & 0xfff8, lane, 8);
    if (wave.faulted()) return;
    if (!at) continue;
    std::memcpy(&old[lane], at, 8);
    for (u32 i = 0; i < 2; ++i) {
      const u32 value = data[i * half_lanes + lane], written = value & 0x7fffffff;
      if (value >> 31) std::memcpy(at + 4 * i, &written, 4);
    }
  }
  wave.counters->lds_bytes += u64(std::popcount(mask)) * 8;
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) { give(registers, lane, old[lane]); });
}

void nothing(Wave&, const Step&) {}

}  // namespace

#define BOTH(name, rtn, op, type) \
  case Opcode::ds_##name: case Opcode::ds_##rtn: return atomic<atomic_ops::op, type>

Handler lds_atomic_handler_for(Opcode opcode) {
  switch (opcode) {
    BOTH(add_u32, add_rtn_u32, add, u32);
    BOTH(sub_u32, sub_rtn_u32, sub, u32);
    BOTH(rsub_u32, rsub_rtn_u32, rsub, u32);
    BOTH(inc_u32, inc_rtn_u32, inc, u32);
    BOTH(dec_u32, dec_rtn_u32, dec, u32);
    BOTH(min_i32, min_rtn_i32, min_i, u32);
    BOTH(max_i32, max_rtn_i32, max_i, u32);
    BOTH(min_u32, min_rtn_u32, min_u, u32);
    BOTH(max_u32, max_rtn_u32, max_u, u32);
    BOTH(and_b32, and_rtn_b32, and_, u32);
    BOTH(or_b32, or_rtn_b32, or_, u32);
    BOTH(xor_b32, xor_rtn_b32, xor_, u32);
    BOTH(mskor_b32, mskor_rtn_b32, mskor, u32);
    BOTH(cmpstore_b32, cmpstore_rtn_b32, cmpswap, u32);
    BOTH(cmpstore_f32, cmpstore_rtn_f32, cmpswap_f, u32);
    BOTH(min_f32, min_rtn_f32, min_f, u32);
    BOTH(max_f32, max_rtn_f32, max_f, u32);
    BOTH(add_f32, add_rtn_f32, add_f, u32);
    BOTH(add_u64, add_rtn_u64, add, u64);
    BOTH(sub_u64, sub_rtn_u64, sub, u64);
    BOTH(rsub_u64, rsub_rtn_u64, rsub, u64);
    BOTH(inc_u64, inc_rtn_u64, inc, u64);
    BOTH(dec_u64, dec_rtn_u64, dec, u64);
    BOTH(min_i64, min_rtn_i64, min_i, u64);
    BOTH(max_i64, max_rtn_i64, max_i, u64);
    BOTH(min_u64, min_rtn_u64, min_u, u64);
    BOTH(max_u64, max_rtn_u64, max_u, u64);
    BOTH(and_b64, and_rtn_b64, and_, u64);
    BOTH(or_b64, or_rtn_b64, or_, u64);
    BOTH(xor_b64, xor_rtn_b64, xor_, u64);
    BOTH(mskor_b64, mskor_rtn_b64, mskor, u64);
    BOTH(cmpstore_b64, cmpstore_rtn_b64, cmpswap, u64);
    BOTH(cmpstore_f64, cmpstore_rtn_f64, cmpswap_f, u64);
    BOTH(min_f64, min_rtn_f64, min_f, u64);
    BOTH(max_f64, max_rtn_f64, max_f, u64);
    case Opcode::ds_storexchg_rtn_b32: return atomic<atomic_ops::swap, u32>;
    case Opcode::ds_storexchg_rtn_b64: return atomic<atomic_ops::swap, u64>;
    case Opcode::ds_condxchg32_rtn_b64: return conditional_exchange;
    case Opcode::ds_nop: return nothing;
    case Opcode::ds_wrap_rtn_b32: return atomic<atomic_ops::wrap, u32>;
    case Opcode::ds_storexchg_2addr_rtn_b32: return exchange_2addr<u32, 1>;
    case Opcode::ds_storexchg_2addr_rtn_b64: return exchange_2addr<u64, 1>;
    case Opcode::ds_storexchg_2addr_stride64_rtn_b32: return exchange_2addr<u32, 64>;
    case Opcode::ds_storexchg_2addr_stride64_rtn_b64: return exchange_2addr<u64, 64>;
    default: return nullptr;
  }
}

#undef BOTH

}  // namespace amlm::isa
