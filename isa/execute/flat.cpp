// GLOBAL, FLAT and SCRATCH: loads and stores (isa.md 4.12).
//
// GLOBAL is the fast path. FLAT sorts its lanes by aperture and SCRATCH swizzles, both through a buffer of lanes.
#include "isa/execute/flat.h"

#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/execute/global_data.h"
#include "isa/execute/lane_memory.h"
#include "isa/execute/lds.h"
#include "isa/execute/memory_unit.h"
#include "isa/tables.h"

namespace amlm::isa {

void global_addresses(Wave& wave, const Instruction& in, u64* address) {
  const u64 offset = u64(i64(in.offset));
  if (!in.src[0].present()) {   // ADDTID: consecutive dwords
    const bool has_base = in.src[2].present() && in.src[2].code != code_null;
    const u64 base = (has_base ? wave.scalar64(in.src[2].code, in) : 0) + offset;
    for (u32 lane = 0; lane < half_lanes; ++lane) address[lane] = base + (lane + wave.half * half_lanes) * 4;
    return;
  }
  const u32* low = wave.vgpr(in.src[0].vgpr());
  if (in.src[2].code == code_null || !in.src[2].present()) {
    const u32* high = low + half_lanes;
    for (u32 lane = 0; lane < half_lanes; ++lane) address[lane] = (low[lane] | u64(high[lane]) << 32) + offset;
  } else {
    const u64 base = wave.scalar64(in.src[2].code, in) + offset;
    for (u32 lane = 0; lane < half_lanes; ++lane) address[lane] = base + low[lane];
  }
}

namespace {

inline void count_bytes(Wave& wave, u32 mask, u32 bytes, Use use) {
  const u64 moved = u64(std::popcount(mask)) * bytes;
  if (use != Use::write) wave.counters->global_read_bytes += moved;
  if (use != Use::read) wave.counters->global_write_bytes += moved;
}

}  // namespace

void count_global(Wave& wave, const u64* address, u32 mask, u32 bytes, Use use) {
  count_bytes(wave, mask, bytes, use);
  if (wave.memory->counts_lines()) wave.counters->cache_lines += count_cache_lines(address, mask, bytes);
}

namespace {

// Byte `offset` of a lane's private memory: dwords of all lanes are interleaved.
u64 swizzled(const Wave& wave, u64 offset, u32 lane) {
  return wave.scratch_base + (offset & ~3ull) * wave.lanes + (lane + wave.half * half_lanes) * 4 + (offset & 3);
}

// One access of `bytes` (1, 2 or 4) inside a dword for each lane.
bool move_private_piece(Wave& wave, const u64* offset, u32 delta, u32 mask, u32 bytes, Use use, LaneBuffer& data) {
  std::array<u64, half_lanes> address;
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    address[lane] = swizzled(wave, offset[lane] + delta, lane);
    if (address[lane] + bytes <= wave.scratch_limit && address[lane] >= wave.scratch_base) continue;
    wave.raise("scratch-range", fmt::format("scratch byte {:#x} is outside the {} bytes that a lane of this wave has",
                                            i64(offset[lane] + delta),
                                            (wave.scratch_limit - wave.scratch_base) / wave.lanes),
               address[lane], lane);
    return false;
  }
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {address.data(), mask, bytes, use, false, delta, Space::scratch}, hosts)) return false;
  for_lanes(mask, [&](u32 lane) {
    u8* host = hosts.at(lane, address[lane]);
    if (wave.checker) {
      const u64 byte = address[lane] - wave.scratch_base;
      if (use == Use::read) wave.checker->load_scratch(wave, lane, i32(delta), byte, bytes);
      else wave.checker->store_scratch(wave, lane, i32(delta), byte, bytes);
    }
    if (use == Use::read) std::memcpy(&data[lane][delta], host, bytes);
    else std::memcpy(host, &data[lane][delta], bytes);
  });
  return true;
}

}  // namespace

bool move_private(Wave& wave, const u64* offset, u32 mask, u32 bytes, Use use, LaneBuffer& data) {
  u32 misaligned = 0;
  for (u32 left = mask; left; left &= left - 1) misaligned |= u32(offset[std::countr_zero(left)]) & 3;
  const bool inside_dword = bytes < 4 && (bytes == 1 || !(misaligned & 1));
  const u32 piece = inside_dword ? bytes : misaligned || bytes < 4 ? 1 : 4;
  for (u32 delta = 0; delta < bytes; delta += piece)
    if (!move_private_piece(wave, offset, delta, mask, piece, use, data)) return false;
  return true;
}

u32 scratch_offsets(Wave& wave, const Instruction& in, u64* offset) {
  const bool has_vgpr = in.sve;
  const bool has_sgpr = in.src[2].present() && in.src[2].code != code_null;
  const u32 base = u32(in.offset) + (has_sgpr ? wave.scalar(in.src[2].code, in) : 0);
  const u32* lanes = has_vgpr ? wave.vgpr(in.src[0].vgpr()) : nullptr;
  for (u32 lane = 0; lane < half_lanes; ++lane) offset[lane] = u32(base + (lanes ? lanes[lane] : 0));
  return wave.exec();
}

FlatLanes flat_lanes(Wave& wave, const Instruction& in) {
  FlatLanes lanes;
  const u32* low = wave.vgpr(in.src[0].vgpr());
  const u32* high = low + half_lanes;
  for (u32 left = wave.exec(); left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    lanes.address[lane] = (low[lane] | u64(high[lane]) << 32) + u64(i64(in.offset));
    if (high[lane] == private_aperture) {
      lanes.private_mask |= 1u << lane;
      lanes.offset[lane] = u32(low[lane] + in.offset);
    } else if (high[lane] == shared_aperture) {
      lanes.shared_mask |= 1u << lane;
      lanes.offset[lane] = u32(low[lane] + in.offset);
    } else {
      lanes.global_mask |= 1u << lane;
    }
  }
  return lanes;
}

namespace {

bool move_slow(Wave& wave, const Step& step, u32 bytes, Use use, LaneBuffer& data) {
  const Instruction& in = step.in;
  std::array<u64, half_lanes> offset;
  if (in.format == Format::scratch) {
    const u32 mask = scratch_offsets(wave, in, offset.data());
    return move_private(wave, offset.data(), mask, bytes, use, data);
  }
  const FlatLanes lanes = flat_lanes(wave, in);
  const u64* inner = lanes.offset.data();
  if (lanes.private_mask && !move_private(wave, inner, lanes.private_mask, bytes, use, data)) return false;
  if (lanes.shared_mask && !move_shared(wave, inner, lanes.shared_mask, bytes, use, data)) return false;
  if (!lanes.global_mask) return true;
  LaneHosts hosts;
  if (!wave.memory->translate(wave, {lanes.address.data(), lanes.global_mask, bytes, use, in.glc}, hosts)) return false;
  count_global(wave, lanes.address.data(), lanes.global_mask, bytes, use);
  for_lanes(lanes.global_mask, [&](u32 lane) {
    u8* host = hosts.at(lane, lanes.address[lane]);
    if (use == Use::read) std::memcpy(data[lane].data(), host, bytes);
    else std::memcpy(host, data[lane].data(), bytes);
  });
  return true;
}

template <Shape shape>
void load(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  if (!mask) return;
  u32* registers = wave.vgpr(in.dst.vgpr());
  if (in.format != Format::global) {
    LaneBuffer data;
    if (!move_slow(wave, step, shape.bytes, Use::read, data)) return;
    for_lanes(mask, [&](u32 lane) { deposit<shape>(registers, lane, data[lane].data()); });
    return;
  }
  std::array<u64, half_lanes> address;
  global_addresses(wave, in, address.data());
  load_global<shape>(wave, in, address.data(), registers);
}

template <Shape shape>
void store(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  if (!mask) return;
  const u32* registers = wave.vgpr(in.src[1].vgpr());
  if (in.format != Format::global) {
    LaneBuffer data;
    for_lanes(mask, [&](u32 lane) { collect<shape>(registers, lane, data[lane].data()); });
    move_slow(wave, step, shape.bytes, Use::write, data);
    return;
  }
  std::array<u64, half_lanes> address;
  global_addresses(wave, in, address.data());
  store_global<shape>(wave, address.data(), registers);
}

#if defined(__x86_64__)
// The same for AVX-512 where a scalar base is mapped and so is base + offset of every lane. Where the base is on the host;
// null: it is not so simple.
template <Shape shape>
AMLM_LANES u8* simple_base(const Wave& wave, const Instruction& in, const u32* offset, Access right) {
  const Operand& base = in.src[2];
  if (in.format != Format::global || wave.checker || !in.src[0].present() || base.code > code_vcc_lo || !wave.exec())
    return nullptr;
  const u64 address = (wave.sgpr[base.code] | u64(wave.sgpr[base.code + 1]) << 32) + u64(i64(in.offset));
  const MemoryUnit::Window window = wave.memory->window(address, right);
  if (window.bytes < shape.bytes) return nullptr;
  const u64 last = std::min<u64>(window.bytes - shape.bytes, 0xfffff000);   // no row of lanes wraps
  return all_up_to(offset, wave.exec(), u32(last)) ? window.host : nullptr;
}

AMLM_LANES void count_simple(Wave& wave, const Instruction& in, u32 bytes, Use use) {
  if (!wave.memory->counts_lines()) return count_bytes(wave, wave.exec(), bytes, use);
  std::array<u64, half_lanes> address;
  global_addresses(wave, in, address.data());
  count_global(wave, address.data(), wave.exec(), bytes, use);
}

template <Shape shape>
AMLM_AVX512 void load_wide(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32* offset = wave.vgpr(in.src[0].vgpr());
  const u8* base = simple_base<shape>(wave, in, offset, access_read);
  if (!base) return load<shape>(wave, step);
  count_simple(wave, in, shape.bytes, Use::read);
  load_lanes<shape>(base, offset, wave.exec(), wave.vgpr(in.dst.vgpr()));
}

template <Shape shape>
AMLM_AVX512 void store_wide(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32* offset = wave.vgpr(in.src[0].vgpr());
  u8* base = simple_base<shape>(wave, in, offset, access_write);
  if (!base) return store<shape>(wave, step);
  count_simple(wave, in, shape.bytes, Use::write);
  store_lanes<shape>(base, offset, wave.exec(), wave.vgpr(in.src[1].vgpr()));
}

template <Shape shape> Handler load_handler() { return has_avx512() ? load_wide<shape> : load<shape>; }
template <Shape shape> Handler store_handler() { return has_avx512() ? store_wide<shape> : store<shape>; }
#else
template <Shape shape> Handler load_handler() { return load<shape>; }
template <Shape shape> Handler store_handler() { return store<shape>; }
#endif

constexpr Shape u8_whole{1}, i8_whole{1, true}, u16_whole{2}, i16_whole{2, true}, b32{4}, b64{8}, b96{12}, b128{16},
    u8_low{1, false, Part::low}, i8_low{1, true, Part::low}, b16_low{2, false, Part::low},
    u8_high{1, false, Part::high}, i8_high{1, true, Part::high}, b16_high{2, false, Part::high};

}  // namespace

#define SEGMENTS(name, handler)                                                                 \
  case Opcode::flat_##name: case Opcode::global_##name: case Opcode::scratch_##name: return handler

Handler flat_handler_for(Opcode opcode) {
  switch (opcode) {
    SEGMENTS(load_u8, load_handler<u8_whole>());
    SEGMENTS(load_i8, load_handler<i8_whole>());
    SEGMENTS(load_u16, load_handler<u16_whole>());
    SEGMENTS(load_i16, load_handler<i16_whole>());
    SEGMENTS(load_b32, load_handler<b32>());
    SEGMENTS(load_b64, load_handler<b64>());
    SEGMENTS(load_b96, load_handler<b96>());
    SEGMENTS(load_b128, load_handler<b128>());
    SEGMENTS(load_d16_u8, load_handler<u8_low>());
    SEGMENTS(load_d16_i8, load_handler<i8_low>());
    SEGMENTS(load_d16_b16, load_handler<b16_low>());
    SEGMENTS(load_d16_hi_u8, load_handler<u8_high>());
    SEGMENTS(load_d16_hi_i8, load_handler<i8_high>());
    SEGMENTS(load_d16_hi_b16, load_handler<b16_high>());
    SEGMENTS(store_b8, store_handler<u8_whole>());
    SEGMENTS(store_b16, store_handler<u16_whole>());
    SEGMENTS(store_b32, store_handler<b32>());
    SEGMENTS(store_b64, store_handler<b64>());
    SEGMENTS(store_b96, store_handler<b96>());
    SEGMENTS(store_b128, store_handler<b128>());
    SEGMENTS(store_d16_hi_b8, store_handler<u8_high>());
    SEGMENTS(store_d16_hi_b16, store_handler<b16_high>());
    case Opcode::global_load_addtid_b32: return load<b32>;
    case Opcode::global_store_addtid_b32: return store<b32>;
    default: return nullptr;
  }
}

#undef SEGMENTS

}  // namespace amlm::isa
