// DS: loads, stores and lane exchanges.
#include "isa/execute/lds.h"

#include <algorithm>

#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/execute/lane_memory.h"
#include "isa/tables.h"

namespace amlm::isa {

u8* lds_at(Wave& wave, u64 address, u32 bytes, LdsUse use, u32 lane, u32 offset) {
  Group& group = *wave.group;
  if (address + bytes > group.lds_bytes) [[unlikely]] {
    if (group.lds_checker)
      wave.raise("lds-range", fmt::format("LDS {} of {} bytes at {:#x}; the kernel has {} bytes",
                                          use == LdsUse::read ? "read" : "write", bytes, address, group.lds_bytes),
                 address, lane);
    return nullptr;
  }
  if (group.lds_checker && !group.lds_checker->access(wave, u32(address), bytes, use, lane, offset)) return nullptr;
  return group.lds + address;
}

u8* lds_atomic_at(Wave& wave, u64 address, u32 lane, u32 bytes, u32 offset) {
  if (address % bytes == 0) return lds_at(wave, address, bytes, LdsUse::atomic, lane, offset);
  wave.raise("misaligned", fmt::format("LDS atomic of {} bytes at {:#x}, which is not aligned to its size", bytes,
                                       address), address, lane);
  return nullptr;
}

bool move_shared(Wave& wave, const u64* address, u32 mask, u32 bytes, Use use, LaneBuffer& data) {
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    u8* at = lds_at(wave, address[lane], bytes, use == Use::read ? LdsUse::read : LdsUse::write, lane);
    if (wave.faulted()) return false;
    if (use == Use::read && !at) data[lane].fill(0);
    else if (use == Use::read) std::memcpy(data[lane].data(), at, bytes);
    else if (at) std::memcpy(at, data[lane].data(), bytes);
  }
  wave.counters->lds_bytes += u64(std::popcount(mask)) * bytes;
  return true;
}

namespace {

constexpr std::array<u8, 16> zeros{};

// Every lane's address is inside and nobody checks: the common case of fast mode.
bool all_inside(const Wave& wave, const u32* address, u32 mask, u32 offset, u32 bytes) {
  const Group& group = *wave.group;
  if (group.lds_checker || offset + bytes > group.lds_bytes) return false;
  u32 high = 0;
  for (u32 lane = 0; lane < half_lanes; ++lane) high = std::max(high, mask >> lane & 1 ? address[lane] : 0);
  return high <= group.lds_bytes - offset - bytes;
}

template <Shape shape>
void read(Wave& wave, const u32* address, u32 offset, u32* registers, u32 place = 0) {
  const u32 mask = wave.exec();
  wave.counters->lds_bytes += u64(std::popcount(mask)) * shape.bytes;
  std::array<u32, half_lanes> at;
  std::memcpy(at.data(), address, sizeof at);
  if (all_inside(wave, at.data(), mask, offset, shape.bytes)) {
    const u8* lds = wave.group->lds + offset;
    deposit_lanes<shape>(registers, mask, [&](u32 lane) { return lds + at[lane]; });
    return;
  }
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    const u8* from = lds_at(wave, at[lane] + offset, shape.bytes, LdsUse::read, lane, place);
    if (wave.faulted()) return;
    deposit<shape>(registers, lane, from ? from : zeros.data());
  }
}

template <Shape shape>
void write(Wave& wave, const u32* address, u32 offset, const u32* registers, u32 place = 0) {
  const u32 mask = wave.exec();
  wave.counters->lds_bytes += u64(std::popcount(mask)) * shape.bytes;
  if (all_inside(wave, address, mask, offset, shape.bytes)) {
    u8* lds = wave.group->lds + offset;
    for_lanes(mask, [&](u32 lane) { collect<shape>(registers, lane, lds + address[lane]); });
    return;
  }
  for (u32 left = mask; left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    u8* to = lds_at(wave, address[lane] + offset, shape.bytes, LdsUse::write, lane, place);
    if (wave.faulted()) return;
    if (to) collect<shape>(registers, lane, to);
  }
}

template <Shape shape>
void load(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  read<shape>(wave, wave.vgpr(in.src[0].vgpr()), u32(in.offset), wave.vgpr(in.dst.vgpr()));
}

template <Shape shape>
void store(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  write<shape>(wave, wave.vgpr(in.src[0].vgpr()), u32(in.offset), wave.vgpr(in.src[1].vgpr()));
}

#if defined(__x86_64__)
// The same for AVX-512.
template <Shape shape>
AMLM_AVX512 bool is_simple(const Wave& wave, const u32* address, u32 offset) {
  const Group& group = *wave.group;
  return !group.lds_checker && offset + shape.bytes <= group.lds_bytes &&
         all_up_to(address, wave.exec(), group.lds_bytes - offset - shape.bytes);
}

template <Shape shape>
AMLM_AVX512 void load_wide(Wave& wave, const Step& step) {
  const u32* address = wave.vgpr(step.in.src[0].vgpr());
  const u32 offset = u32(step.in.offset), mask = wave.exec();
  if (!is_simple<shape>(wave, address, offset)) return load<shape>(wave, step);
  wave.counters->lds_bytes += u64(std::popcount(mask)) * shape.bytes;
  load_lanes<shape>(wave.group->lds + offset, address, mask, wave.vgpr(step.in.dst.vgpr()));
}

template <Shape shape>
AMLM_AVX512 void store_wide(Wave& wave, const Step& step) {
  const u32* address = wave.vgpr(step.in.src[0].vgpr());
  const u32 offset = u32(step.in.offset), mask = wave.exec();
  if (!is_simple<shape>(wave, address, offset)) return store<shape>(wave, step);
  wave.counters->lds_bytes += u64(std::popcount(mask)) * shape.bytes;
  store_lanes<shape>(wave.group->lds + offset, address, mask, wave.vgpr(step.in.src[1].vgpr()));
}

template <Shape shape> Handler load_handler() { return has_avx512() ? load_wide<shape> : load<shape>; }
template <Shape shape> Handler store_handler() { return has_avx512() ? store_wide<shape> : store<shape>; }
#else
template <Shape shape> Handler load_handler() { return load_handler<shape>(); }
template <Shape shape> Handler store_handler() { return store_handler<shape>(); }
#endif

// 2ADDR: two elements at offset and offset1, in elements, or in 64 elements.
template <Shape shape, u32 stride>
void load_2addr(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  LaneArray address;
  std::memcpy(address.data(), wave.vgpr(in.src[0].vgpr()), sizeof address);   // dst may cover it
  u32* registers = wave.vgpr(in.dst.vgpr());
  read<shape>(wave, address.data(), u32(in.offset) * shape.bytes * stride, registers);
  if (wave.faulted()) return;
  read<shape>(wave, address.data(), u32(in.offset1) * shape.bytes * stride, registers + shape.bytes / 4 * half_lanes,
              shape.bytes);
}

template <Shape shape, u32 stride>
void store_2addr(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32* address = wave.vgpr(in.src[0].vgpr());
  write<shape>(wave, address, u32(in.offset) * shape.bytes * stride, wave.vgpr(in.src[1].vgpr()));
  if (wave.faulted()) return;
  write<shape>(wave, address, u32(in.offset1) * shape.bytes * stride, wave.vgpr(in.src[2].vgpr()), shape.bytes);
}

// M0[15:0] + offset + 4 * lane; no address register.
LaneArray addtid_addresses(const Wave& wave) {
  LaneArray address;
  for (u32 lane = 0; lane < half_lanes; ++lane)
    address[lane] = (wave.sgpr[code_m0] & 0xffff) + (lane + wave.half * half_lanes) * 4;
  return address;
}

void load_addtid(Wave& wave, const Step& step) {
  read<Shape{4}>(wave, addtid_addresses(wave).data(), u32(step.in.offset), wave.vgpr(step.in.dst.vgpr()));
}

void store_addtid(Wave& wave, const Step& step) {
  write<Shape{4}>(wave, addtid_addresses(wave).data(), u32(step.in.offset), wave.vgpr(step.in.src[1].vgpr()));
}

// Lane i reads src of lane (address + offset) / 4; lanes that are off count as 0.
void bpermute(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32* address = wave.vgpr(in.src[0].vgpr());
  const u32* source = wave.vgpr(in.src[1].vgpr());
  LaneArray result;
  for (u32 lane = 0; lane < half_lanes; ++lane) {
    const u32 from = (address[lane] + u32(in.offset)) / 4 % half_lanes;
    result[lane] = mask >> from & 1 ? source[from] : 0;
  }
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) { registers[lane] = result[lane]; });
}

// Lane i writes to lane (address + offset) / 4; the highest writer wins; lanes nobody writes to get 0.
void permute(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32* address = wave.vgpr(in.src[0].vgpr());
  const u32* source = wave.vgpr(in.src[1].vgpr());
  LaneArray result{};
  for_lanes(mask, [&](u32 lane) { result[(address[lane] + u32(in.offset)) / 4 % half_lanes] = source[lane]; });
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) { registers[lane] = result[lane]; });
}

// Guide, DS_SWIZZLE_B32. FFT mode (offset >= 0xe000) reverses bits of the lane number.
u32 swizzle_source(u32 offset, u32 lane) {
  if (offset >= 0xe000) {
    const u32 mask = offset & 0x1f;
    u32 reversed = 0;
    for (u32 bit = 0; bit < 5; ++bit) reversed |= (lane >> bit & 1) << (4 - bit);
    return (lane & mask) | reversed >> std::popcount(mask);
  }
  if (offset >= 0xc000) {
    const u32 mask = offset & 0x1f, distance = offset >> 5 & 0x1f;
    const u32 rotated = offset >> 10 & 1 ? lane - distance : lane + distance;
    return (lane & mask) | (rotated & ~mask & 0x1f);
  }
  if (offset & 0x8000) return (lane & ~3u) | (offset >> lane % 4 * 2 & 3);
  return (((lane & offset) | offset >> 5) ^ offset >> 10) & 0x1f;
}

void swizzle(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 mask = wave.exec();
  const u32* source = wave.vgpr(in.src[0].vgpr());
  LaneArray result;
  for (u32 lane = 0; lane < half_lanes; ++lane) {
    const u32 from = swizzle_source(u32(in.offset), lane);
    result[lane] = mask >> from & 1 ? source[from] : 0;
  }
  u32* registers = wave.vgpr(in.dst.vgpr());
  for_lanes(mask, [&](u32 lane) { registers[lane] = result[lane]; });
}

// One counter for the whole wave at M0[15:0] + offset: adds or takes the number of active lanes; all get the old value.
void append_or_consume(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u64 address = (wave.sgpr[code_m0] & 0xffff) + u32(in.offset);
  const u32 lanes = u32(std::popcount(wave.lanes == 64 ? wave.exec64() : wave.exec()));
  u8* at = lds_atomic_at(wave, address, 0, 4);
  if (wave.faulted()) return;
  u32 old = 0;
  if (at) {
    std::memcpy(&old, at, 4);
    const u32 now = in.opcode == Opcode::ds_append ? old + lanes : old - lanes;
    std::memcpy(at, &now, 4);
  }
  for (wave.half = 0; wave.half < wave.lanes / half_lanes; ++wave.half) {
    u32* registers = wave.vgpr(in.dst.vgpr());
    for_lanes(wave.exec(), [&](u32 lane) { registers[lane] = old; });
  }
  wave.half = 0;
}

constexpr Shape u8_whole{1}, i8_whole{1, true}, u16_whole{2}, i16_whole{2, true}, b32{4}, b64{8}, b96{12}, b128{16},
    u8_low{1, false, Part::low}, i8_low{1, true, Part::low}, b16_low{2, false, Part::low},
    u8_high{1, false, Part::high}, i8_high{1, true, Part::high}, b16_high{2, false, Part::high};

}  // namespace

Handler lds_handler_for(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    case ds_load_u8: return load_handler<u8_whole>();
    case ds_load_i8: return load_handler<i8_whole>();
    case ds_load_u16: return load_handler<u16_whole>();
    case ds_load_i16: return load_handler<i16_whole>();
    case ds_load_b32: return load_handler<b32>();
    case ds_load_b64: return load_handler<b64>();
    case ds_load_b96: return load_handler<b96>();
    case ds_load_b128: return load_handler<b128>();
    case ds_load_u8_d16: return load_handler<u8_low>();
    case ds_load_i8_d16: return load_handler<i8_low>();
    case ds_load_u16_d16: return load_handler<b16_low>();
    case ds_load_u8_d16_hi: return load_handler<u8_high>();
    case ds_load_i8_d16_hi: return load_handler<i8_high>();
    case ds_load_u16_d16_hi: return load_handler<b16_high>();
    case ds_store_b8: return store_handler<u8_whole>();
    case ds_store_b16: return store_handler<u16_whole>();
    case ds_store_b32: return store_handler<b32>();
    case ds_store_b64: return store_handler<b64>();
    case ds_store_b96: return store_handler<b96>();
    case ds_store_b128: return store_handler<b128>();
    case ds_store_b8_d16_hi: return store_handler<u8_high>();
    case ds_store_b16_d16_hi: return store_handler<b16_high>();
    case ds_load_2addr_b32: return load_2addr<b32, 1>;
    case ds_load_2addr_b64: return load_2addr<b64, 1>;
    case ds_load_2addr_stride64_b32: return load_2addr<b32, 64>;
    case ds_load_2addr_stride64_b64: return load_2addr<b64, 64>;
    case ds_store_2addr_b32: return store_2addr<b32, 1>;
    case ds_store_2addr_b64: return store_2addr<b64, 1>;
    case ds_store_2addr_stride64_b32: return store_2addr<b32, 64>;
    case ds_store_2addr_stride64_b64: return store_2addr<b64, 64>;
    case ds_load_addtid_b32: return load_addtid;
    case ds_store_addtid_b32: return store_addtid;
    case ds_bpermute_b32: return bpermute;
    case ds_permute_b32: return permute;
    case ds_swizzle_b32: return swizzle;
    case ds_append: case ds_consume: return append_or_consume;
    default: return nullptr;
  }
}

}  // namespace amlm::isa
