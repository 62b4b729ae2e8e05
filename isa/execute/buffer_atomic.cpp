// MUBUF atomics. Out of range: no operation, 0 is returned.
#include "isa/execute/atomic_lanes.h"
#include "isa/execute/atomic_ops.h"
#include "isa/execute/buffer.h"
#include "isa/execute/group.h"
#include "isa/execute/lane_data.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

template <class Op, class T>
void atomic(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  BufferLanes lanes;
  if (!wave.exec() || !buffer_lanes(wave, in, lanes)) return;
  constexpr bool has_second = std::is_same_v<Op, atomic_ops::cmpswap> || std::is_same_v<Op, atomic_ops::cmpswap_f>;
  const u32* a = wave.vgpr(in.src[1].vgpr());
  const u32* b = a + half_lanes * sizeof(T) / 4;
  u32 mask = 0;
  for_lanes(wave.exec(), [&](u32 lane) { mask |= u32(lanes.inside(lane, sizeof(T))) << lane; });
  if (!is_aligned(wave, lanes.address.data(), mask, sizeof(T))) return;
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {lanes.address.data(), mask, sizeof(T), Use::atomic, true}, hosts)) return;
  count_global(wave, lanes.address.data(), mask, sizeof(T), Use::atomic);
  std::array<T, half_lanes> old{};
  for_lanes(mask, [&](u32 lane) {
    old[lane] = atomic_ops::apply_shared<Op, T>(hosts.at(lane, lanes.address[lane]), data_of<T>(a, lane),
                                                has_second ? data_of<T>(b, lane) : T(0));
  });
  if (!in.dst.present()) return;
  wave.group->synchronised = true;
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(wave.exec(), [&](u32 lane) {
    registers[lane] = u32(old[lane]);
    if constexpr (sizeof(T) == 8) registers[half_lanes + lane] = u32(old[lane] >> 32);
  });
}

}  // namespace

Handler buffer_atomic_handler_for(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    case buffer_atomic_swap_b32: return atomic<atomic_ops::swap, u32>;
    case buffer_atomic_cmpswap_b32: return atomic<atomic_ops::cmpswap, u32>;
    case buffer_atomic_add_u32: return atomic<atomic_ops::add, u32>;
    case buffer_atomic_sub_u32: return atomic<atomic_ops::sub, u32>;
    case buffer_atomic_csub_u32: return atomic<atomic_ops::csub, u32>;
    case buffer_atomic_min_i32: return atomic<atomic_ops::min_i, u32>;
    case buffer_atomic_min_u32: return atomic<atomic_ops::min_u, u32>;
    case buffer_atomic_max_i32: return atomic<atomic_ops::max_i, u32>;
    case buffer_atomic_max_u32: return atomic<atomic_ops::max_u, u32>;
    case buffer_atomic_and_b32: return atomic<atomic_ops::and_, u32>;
    case buffer_atomic_or_b32: return atomic<atomic_ops::or_, u32>;
    case buffer_atomic_xor_b32: return atomic<atomic_ops::xor_, u32>;
    case buffer_atomic_inc_u32: return atomic<atomic_ops::inc, u32>;
    case buffer_atomic_dec_u32: return atomic<atomic_ops::dec, u32>;
    case buffer_atomic_swap_b64: return atomic<atomic_ops::swap, u64>;
    case buffer_atomic_cmpswap_b64: return atomic<atomic_ops::cmpswap, u64>;
    case buffer_atomic_add_u64: return atomic<atomic_ops::add, u64>;
    case buffer_atomic_sub_u64: return atomic<atomic_ops::sub, u64>;
    case buffer_atomic_min_i64: return atomic<atomic_ops::min_i, u64>;
    case buffer_atomic_min_u64: return atomic<atomic_ops::min_u, u64>;
    case buffer_atomic_max_i64: return atomic<atomic_ops::max_i, u64>;
    case buffer_atomic_max_u64: return atomic<atomic_ops::max_u, u64>;
    case buffer_atomic_and_b64: return atomic<atomic_ops::and_, u64>;
    case buffer_atomic_or_b64: return atomic<atomic_ops::or_, u64>;
    case buffer_atomic_xor_b64: return atomic<atomic_ops::xor_, u64>;
    case buffer_atomic_inc_u64: return atomic<atomic_ops::inc, u64>;
    case buffer_atomic_dec_u64: return atomic<atomic_ops::dec, u64>;
    case buffer_atomic_cmpswap_f32: return atomic<atomic_ops::cmpswap_f, u32>;
    case buffer_atomic_min_f32: return atomic<atomic_ops::min_f, u32>;
    case buffer_atomic_max_f32: return atomic<atomic_ops::max_f, u32>;
    case buffer_atomic_add_f32: return atomic<atomic_ops::add_f, u32>;
    default: return nullptr;
  }
}

}  // namespace amlm::isa
