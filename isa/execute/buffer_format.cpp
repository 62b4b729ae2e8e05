// Loads and stores with a format: MTBUF, whose instruction has it, and MUBUF *_format_*, whose descriptor has it and
// DST_SEL. An element is in range as a whole or not at all; out of range, loads give 0 in each channel and stores do
// nothing.
#include <fmt/format.h>

#include "isa/execute/buffer.h"
#include "isa/execute/format.h"
#include "isa/execute/lane_data.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

// How components lie in registers: one each, two each, or one in the high half.
enum class Packing : u8 { whole, halves, high };

struct Element {
  BufferFormat format;
  u32 select = select_identity;
  bool bound = true;      // false: the descriptor's format is INVALID, as in one of zeros
  BufferLanes lanes;
  u32 mask = 0;           // lanes that touch memory
  LaneHosts hosts;
};

bool choose_format(Wave& wave, const Instruction& in, Element& element) {
  const u32 word = wave.sgpr[in.src[2].code + 3u], of_descriptor = word >> 12 & 63;
  const bool typed = in.format == Format::mtbuf;
  element.bound = of_descriptor != 0;
  const u32 number = typed ? in.buffer_format : of_descriptor;
  const auto format = buffer_format(number);
  if (!format && (typed || element.bound)) {
    wave.raise("not-executed", fmt::format("buffer format {}: no such format", number));
    return false;
  }
  if (format) element.format = *format;
  if (!typed) element.select = word & 0xfff;
  for (u32 i = 0; i < 4; ++i) {
    const u32 which = element.select >> 3 * i & 7;
    if (which != 2 && which != 3) continue;
    wave.raise("descriptor", fmt::format("DST_SEL of component {} is {}, which is reserved", i, which));
    return false;
  }
  return true;
}

// Where elements are and whether they may be touched. False: a fault was raised.
bool prepare(Wave& wave, const Instruction& in, Use use, Element& element) {
  if (!buffer_lanes(wave, in, element.lanes) || !choose_format(wave, in, element)) return false;
  if (!element.bound) return true;
  const BufferLanes& lanes = element.lanes;
  const u32 bytes = element.format.bytes(), swizzled = lanes.descriptor.element_bytes;
  for (u32 left = wave.exec(); left; left &= left - 1) {
    const u32 lane = u32(std::countr_zero(left));
    if (!lanes.inside(lane, bytes)) continue;
    if (swizzled && lanes.offset[lane] % swizzled + bytes > swizzled) {
      wave.raise("not-executed", fmt::format("{} bytes of a format across swizzled elements of {}", bytes, swizzled), 0,
                 lane);
      return false;
    }
    element.mask |= 1u << lane;
  }
  if (!element.mask) return true;
  if (!wave.memory->translate(wave, {lanes.address.data(), element.mask, bytes, use, in.glc}, element.hosts)) return false;
  count_global(wave, lanes.address.data(), element.mask, bytes, use);
  return true;
}

template <u32 count, Packing packing>
void deposit_components(u32* registers, u32 lane, const BufferFormat& format, const std::array<u32, 4>& values) {
  for (u32 i = 0; i < count; ++i) {
    if constexpr (packing == Packing::whole) {
      registers[i * half_lanes + lane] = values[i];
    } else {
      const u32 shift = packing == Packing::high ? 16 : i % 2 * 16;
      u32& to = registers[i / 2 * half_lanes + lane];
      to = (to & ~(0xffffu << shift)) | u32(narrowed_component(format, values[i])) << shift;
    }
  }
}

template <u32 count, Packing packing>
std::array<u32, count> collect_components(const u32* registers, u32 lane, const BufferFormat& format) {
  std::array<u32, count> values;
  for (u32 i = 0; i < count; ++i) {
    if constexpr (packing == Packing::whole) {
      values[i] = registers[i * half_lanes + lane];
    } else {
      const u32 shift = packing == Packing::high ? 16 : i % 2 * 16;
      values[i] = widened_component(format, u16(registers[i / 2 * half_lanes + lane] >> shift));
    }
  }
  return values;
}

template <u32 count, Packing packing>
void load(Wave& wave, const Step& step) {
  Element element;
  if (!wave.exec() || !prepare(wave, step.in, Use::read, element)) return;
  u32* registers = wave.vgpr(step.in.dst.vgpr());
  const BufferFormat& format = element.format;
  for_lanes(wave.exec(), [&](u32 lane) {
    const u8* from = element.mask >> lane & 1 ? element.hosts.at(lane, element.lanes.address[lane]) : nullptr;
    const auto values = element.bound ? unpack_components(format, element.select, from) : std::array<u32, 4>{};
    deposit_components<count, packing>(registers, lane, format, values);
  });
  deposit_status(wave, step.in);
}

template <u32 count, Packing packing>
void store(Wave& wave, const Step& step) {
  Element element;
  if (!wave.exec() || !prepare(wave, step.in, Use::write, element)) return;
  const u32* registers = wave.vgpr(step.in.src[1].vgpr());
  for_lanes(element.mask, [&](u32 lane) {
    const auto values = collect_components<count, packing>(registers, lane, element.format);
    pack_components(element.format, element.select, values, element.hosts.at(lane, element.lanes.address[lane]));
  });
}

}  // namespace

#define BOTH(name, ...) case buffer_##name: case tbuffer_##name: return __VA_ARGS__
Handler buffer_format_handler_for(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    BOTH(load_format_x, load<1, Packing::whole>);
    BOTH(load_format_xy, load<2, Packing::whole>);
    BOTH(load_format_xyz, load<3, Packing::whole>);
    BOTH(load_format_xyzw, load<4, Packing::whole>);
    BOTH(store_format_x, store<1, Packing::whole>);
    BOTH(store_format_xy, store<2, Packing::whole>);
    BOTH(store_format_xyz, store<3, Packing::whole>);
    BOTH(store_format_xyzw, store<4, Packing::whole>);
    BOTH(load_d16_format_x, load<1, Packing::halves>);
    BOTH(load_d16_format_xy, load<2, Packing::halves>);
    BOTH(load_d16_format_xyz, load<3, Packing::halves>);
    BOTH(load_d16_format_xyzw, load<4, Packing::halves>);
    BOTH(store_d16_format_x, store<1, Packing::halves>);
    BOTH(store_d16_format_xy, store<2, Packing::halves>);
    BOTH(store_d16_format_xyz, store<3, Packing::halves>);
    BOTH(store_d16_format_xyzw, store<4, Packing::halves>);
    case buffer_load_d16_hi_format_x: return load<1, Packing::high>;
    case buffer_store_d16_hi_format_x: return store<1, Packing::high>;
    default: return nullptr;
  }
}
#undef BOTH

}  // namespace amlm::isa
