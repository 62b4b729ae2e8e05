// MUBUF: loads and stores of bytes and dwords through a buffer descriptor (isa.md 4.11; guide 9.4, 9.6, table 46). Atomics
// are in buffer_atomic.cpp, formats in buffer_format.cpp.
#include "isa/execute/buffer.h"

#include <fmt/format.h>

#include "isa/execute/global_data.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

Descriptor descriptor_of(const u32* word) {
  const u32 swizzle = word[1] >> 30;
  const u64 base = word[0] | u64(word[1] & 0xffff) << 32;   // 48 bits: the upper half of the address space is negative
  return {.base = u64(i64(base << 16) >> 16), .stride = word[1] >> 16 & 0x3fff, .records = word[2],
          .element_bytes = swizzle == 0 ? 0u : swizzle == 1 ? 4u : 16u, .index_stride = 8u << (word[3] >> 21 & 3),
          .add_lane = (word[3] >> 23 & 1) != 0, .range_rule = word[3] >> 28 & 3};
}

}  // namespace

bool buffer_lanes(Wave& wave, const Instruction& in, BufferLanes& lanes) {
  const u32* word = &wave.sgpr[in.src[2].code];
  if (word[3] >> 30 != 0) {
    wave.raise("descriptor", fmt::format("s[{}:{}] is not a buffer descriptor (type {})", in.src[2].code,
                                         in.src[2].code + 3, word[3] >> 30));
    return false;
  }
  Descriptor& d = lanes.descriptor = descriptor_of(word);
  if (!in.idxen && !d.add_lane) d.element_bytes = 0;           // ERRATA: swizzle-without-index
  lanes.scalar_offset = in.src[3].present() ? wave.scalar(in.src[3].code, in) : 0;
  static constexpr std::array<u32, half_lanes> zeros{};
  const u32* vgpr = in.src[0].present() ? wave.vgpr(in.src[0].vgpr()) : nullptr;
  const u32* indices = in.idxen ? vgpr : zeros.data();
  const u32* offsets = !in.offen ? zeros.data() : in.idxen ? vgpr + half_lanes : vgpr;
  const u32 lane_factor = d.add_lane ? 1 : 0, first_lane = d.add_lane ? wave.half * half_lanes : 0;
  const u64 start = d.base + lanes.scalar_offset;
  for (u32 lane = 0; lane < half_lanes; ++lane) {
    lanes.index[lane] = indices[lane] + lane * lane_factor + first_lane;
    lanes.offset[lane] = u32(in.offset) + offsets[lane];
    lanes.address[lane] = start + u64(lanes.index[lane]) * d.stride + lanes.offset[lane];
  }
  if (!d.element_bytes) return true;
  for (u32 lane = 0; lane < half_lanes; ++lane) {
    const u32 index = lanes.index[lane], offset = lanes.offset[lane];
    const u64 block = u64(index / d.index_stride) * d.stride + offset / d.element_bytes * d.element_bytes;
    lanes.address[lane] = start + block * d.index_stride + index % d.index_stride * d.element_bytes +
                          offset % d.element_bytes;
  }
  return true;
}

void deposit_status(Wave& wave, const Instruction& in) {
  if (!in.tfe) return;
  u32* status = wave.vgpr(in.dst.vgpr() + in.dst.count_dw - 1u);
  for_lanes(wave.exec(), [&](u32 lane) { status[lane] = 0; });
}

namespace {

// The usual case: not swizzled, and all that the active lanes move is in range.
bool is_whole(const BufferLanes& lanes, u32 exec, u32 bytes) {
  if (lanes.descriptor.element_bytes != 0) return false;
  u32 outside = 0;
  for (u32 lane = 0; lane < half_lanes; ++lane) outside |= u32(!lanes.inside(lane, bytes)) << lane;
  return (outside & exec) == 0;
}

// Dword by dword: each is in range or not by itself.
bool move_buffer(Wave& wave, const Instruction& in, const BufferLanes& lanes, u32 bytes, Use use, LaneBuffer& data) {
  const u32 piece = std::min(bytes, 4u);
  for (u32 delta = 0; delta < bytes; delta += piece) {
    u32 mask = 0;
    std::array<u64, half_lanes> address;
    for (u32 left = wave.exec(); left; left &= left - 1) {
      const u32 lane = u32(std::countr_zero(left));
      mask |= u32(lanes.inside(lane, delta + piece)) << lane;
      address[lane] = lanes.address[lane] + delta;
    }
    LaneHosts hosts;
    if (!wave.memory->translate(wave, {address.data(), mask, piece, use, in.glc, delta}, hosts)) return false;
    if (use == Use::read) for_lanes(wave.exec() & ~mask, [&](u32 lane) { std::memset(&data[lane][delta], 0, piece); });
    if (!mask) continue;
    count_global(wave, address.data(), mask, piece, use);
    for_lanes(mask, [&](u32 lane) {
      u8* host = hosts.at(lane, address[lane]);
      if (use == Use::read) std::memcpy(&data[lane][delta], host, piece);
      else std::memcpy(host, &data[lane][delta], piece);
    });
  }
  return true;
}

template <Shape shape>
void load(Wave& wave, const Step& step) {
  BufferLanes lanes;
  const u32 exec = wave.exec();
  if (!exec || !buffer_lanes(wave, step.in, lanes)) return;
  u32* registers = wave.vgpr(step.in.dst.vgpr());
  if (step.in.tfe || !is_whole(lanes, exec, shape.bytes)) {
    LaneBuffer data;
    if (!move_buffer(wave, step.in, lanes, shape.bytes, Use::read, data)) return;
    for_lanes(exec, [&](u32 lane) { deposit<shape>(registers, lane, data[lane].data()); });
    deposit_status(wave, step.in);
    return;
  }
  load_global<shape>(wave, step.in, lanes.address.data(), registers);
}

template <Shape shape>
void store(Wave& wave, const Step& step) {
  BufferLanes lanes;
  const u32 exec = wave.exec();
  if (!exec || !buffer_lanes(wave, step.in, lanes)) return;
  const u32* registers = wave.vgpr(step.in.src[1].vgpr());
  if (!is_whole(lanes, exec, shape.bytes)) {
    LaneBuffer data;
    for_lanes(exec, [&](u32 lane) { collect<shape>(registers, lane, data[lane].data()); });
    move_buffer(wave, step.in, lanes, shape.bytes, Use::write, data);
    return;
  }
  store_global<shape>(wave, lanes.address.data(), registers);
}

constexpr Shape u8_whole{1}, i8_whole{1, true}, u16_whole{2}, i16_whole{2, true}, b32{4}, b64{8}, b96{12}, b128{16},
    u8_low{1, false, Part::low}, i8_low{1, true, Part::low}, b16_low{2, false, Part::low},
    u8_high{1, false, Part::high}, i8_high{1, true, Part::high}, b16_high{2, false, Part::high};

}  // namespace

Handler buffer_handler_for(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    case buffer_load_u8: return load<u8_whole>;
    case buffer_load_i8: return load<i8_whole>;
    case buffer_load_u16: return load<u16_whole>;
    case buffer_load_i16: return load<i16_whole>;
    case buffer_load_b32: return load<b32>;
    case buffer_load_b64: return load<b64>;
    case buffer_load_b96: return load<b96>;
    case buffer_load_b128: return load<b128>;
    case buffer_load_d16_u8: return load<u8_low>;
    case buffer_load_d16_i8: return load<i8_low>;
    case buffer_load_d16_b16: return load<b16_low>;
    case buffer_load_d16_hi_u8: return load<u8_high>;
    case buffer_load_d16_hi_i8: return load<i8_high>;
    case buffer_load_d16_hi_b16: return load<b16_high>;
    case buffer_store_b8: return store<u8_whole>;
    case buffer_store_b16: return store<u16_whole>;
    case buffer_store_b32: return store<b32>;
    case buffer_store_b64: return store<b64>;
    case buffer_store_b96: return store<b96>;
    case buffer_store_b128: return store<b128>;
    case buffer_store_d16_hi_b8: return store<u8_high>;
    case buffer_store_d16_hi_b16: return store<b16_high>;
    default: return nullptr;
  }
}

}  // namespace amlm::isa
