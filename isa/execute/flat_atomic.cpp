// Atomics of GLOBAL and FLAT. Several host threads may run them on one address at a time.
#include "isa/execute/atomic_lanes.h"
#include "isa/execute/atomic_ops.h"
#include "isa/execute/flat.h"
#include "isa/execute/group.h"
#include "isa/execute/lane_data.h"
#include "isa/execute/lds.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

template <class Op, class T>
void atomic(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  u32 mask = wave.exec();
  if (!mask) return;
  std::array<T, half_lanes> old{};
  const u32* a = wave.vgpr(in.src[1].vgpr());
  const u32* b = a + half_lanes * sizeof(T) / 4;
  constexpr bool has_second = std::is_same_v<Op, atomic_ops::cmpswap> || std::is_same_v<Op, atomic_ops::cmpswap_f>;
  const auto second = [&](u32 lane) { return has_second ? data_of<T>(b, lane) : T(0); };
  std::array<u64, half_lanes> address;
  u32 global = mask;
  if (in.format == Format::flat) {
    const FlatLanes lanes = flat_lanes(wave, in);
    if (lanes.private_mask) {
      wave.raise("scratch-range", "atomic on private memory");
      return;
    }
    address = lanes.address;
    global = lanes.global_mask;
    for (u32 left = lanes.shared_mask; left; left &= left - 1) {
      const u32 lane = u32(std::countr_zero(left));
      T* at = reinterpret_cast<T*>(lds_atomic_at(wave, lanes.offset[lane], lane, sizeof(T)));
      if (!at) return;
      old[lane] = *at;
      *at = Op{}(*at, data_of<T>(a, lane), second(lane));
    }
  } else {
    global_addresses(wave, in, address.data());
  }
  if (!is_aligned(wave, address.data(), global, sizeof(T))) return;
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {address.data(), global, sizeof(T), Use::atomic, true}, hosts)) return;
  count_global(wave, address.data(), global, sizeof(T), Use::atomic);
  for_lanes(global, [&](u32 lane) {
    old[lane] = atomic_ops::apply_shared<Op, T>(hosts.at(lane, address[lane]), data_of<T>(a, lane), second(lane));
  });
  if (!in.dst.present()) return;
  wave.group->synchronised = true;
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) {
    registers[lane] = u32(old[lane]);
    if constexpr (sizeof(T) == 8) registers[half_lanes + lane] = u32(old[lane] >> 32);
  });
}

}  // namespace

#define SEGMENTS(name, op, type) \
  case Opcode::flat_atomic_##name: case Opcode::global_atomic_##name: return atomic<atomic_ops::op, type>

Handler flat_atomic_handler_for(Opcode opcode) {
  switch (opcode) {
    SEGMENTS(swap_b32, swap, u32);
    SEGMENTS(cmpswap_b32, cmpswap, u32);
    SEGMENTS(add_u32, add, u32);
    SEGMENTS(sub_u32, sub, u32);
    case Opcode::global_atomic_csub_u32: return atomic<atomic_ops::csub, u32>;
    SEGMENTS(min_i32, min_i, u32);
    SEGMENTS(min_u32, min_u, u32);
    SEGMENTS(max_i32, max_i, u32);
    SEGMENTS(max_u32, max_u, u32);
    SEGMENTS(and_b32, and_, u32);
    SEGMENTS(or_b32, or_, u32);
    SEGMENTS(xor_b32, xor_, u32);
    SEGMENTS(inc_u32, inc, u32);
    SEGMENTS(dec_u32, dec, u32);
    SEGMENTS(swap_b64, swap, u64);
    SEGMENTS(cmpswap_b64, cmpswap, u64);
    SEGMENTS(add_u64, add, u64);
    SEGMENTS(sub_u64, sub, u64);
    SEGMENTS(min_i64, min_i, u64);
    SEGMENTS(min_u64, min_u, u64);
    SEGMENTS(max_i64, max_i, u64);
    SEGMENTS(max_u64, max_u, u64);
    SEGMENTS(and_b64, and_, u64);
    SEGMENTS(or_b64, or_, u64);
    SEGMENTS(xor_b64, xor_, u64);
    SEGMENTS(inc_u64, inc, u64);
    SEGMENTS(dec_u64, dec, u64);
    SEGMENTS(cmpswap_f32, cmpswap_f, u32);
    SEGMENTS(min_f32, min_f, u32);
    SEGMENTS(max_f32, max_f, u32);
    SEGMENTS(add_f32, add_f, u32);
    default: return nullptr;
  }
}

#undef SEGMENTS

}  // namespace amlm::isa
