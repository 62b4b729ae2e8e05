// Poison through memory: between the bytes that a load or store moves and its registers.
#include <bit>
#include <fmt/format.h>

#include "isa/execute/checker.h"
#include "isa/execute/group.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

// Byte `i` of a word whose byte mask is `bytes`: bits of that byte.
u32 spread_bytes(u8 bytes) {
  u32 mask = 0;
  for (u32 i = 0; i < 4; ++i)
    if (bytes >> i & 1) mask |= 0xffu << 8 * i;
  return mask;
}

struct DataByte {
  u32 vgpr, shift;
};

// Where byte `at` of what a lane stores stands.
DataByte data_byte(const Instruction& in, const MemoryShape& shape, u32 at) {
  if (shape.part == 2) at += 2;
  const bool second = shape.first_bytes && at >= shape.first_bytes;
  if (second) at -= shape.first_bytes;
  return {in.src[second ? 2 : 1].vgpr() + at / 4, at % 4 * 8};
}

u32 part_mask(const MemoryShape& shape) { return shape.part == 0 ? ~0u : shape.part == 1 ? 0xffffu : 0xffff0000u; }

}  // namespace

void WaveChecker::load(const Wave& wave, u32 lane, i32 offset, u8 bytes, Poison poison) {
  const u32 bits = poison.bits & spread_bytes(bytes);
  if (!bits) return;
  Loaded& loaded = loaded_[wave.half][lane];
  if (!(loaded_lanes_[wave.half] >> lane & 1)) loaded = {};
  loaded_lanes_[wave.half] |= 1u << lane;
  for (u32 i = 0; i < 4; ++i) {
    const i32 at = offset + i32(i);
    if (!(bits >> 8 * i & 0xff) || at < 0 || at >= 64) continue;
    loaded.dwords[u32(at) / 4].bits |= (bits >> 8 * i & 0xff) << at % 4 * 8;
    loaded.dwords[u32(at) / 4].origin = poison.origin;
  }
}

// Lanes whose address is not defined.
void WaveChecker::load_from_anywhere(const Wave& wave, const Step& step) {
  const Operand& address = step.in.src[0];
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half)
    for (u32 i = 0; i < address.count_dw; ++i)
      for (u32 left = poison_.vgpr_lanes(half, address.vgpr() + i) & exec_before_[half]; left; left &= left - 1) {
        const u32 lane = u32(std::countr_zero(left));
        loaded_[half][lane].dwords.fill({~0u, poison_.vgpr(half, address.vgpr() + i, lane).origin});
        loaded_lanes_[half] |= 1u << lane;
      }
}

bool WaveChecker::stored_value(const Wave& wave, u32 lane, i32 offset, u8 bytes, u32& value) const {
  const Step& step = *wave.step;
  if (step.check->memory.converts || info(step.in.opcode).op_class == OpClass::vmem_atomic) return false;
  value = 0;
  for (u32 i = 0; i < 4; ++i) {
    if (!(bytes >> i & 1)) continue;
    const DataByte at = data_byte(step.in, step.check->memory, u32(offset + i32(i)));
    value |= (wave.vgpr_base[wave.half][at.vgpr][lane] >> at.shift & 0xff) << 8 * i;
  }
  return true;
}

Poison WaveChecker::stored_poison(const Wave& wave, u32 lane, i32 offset, u8 bytes) const {
  if (!data_poisoned_) [[likely]] return {};
  const Step& step = *wave.step;
  Poison result;
  for (u32 i = 0; i < 4; ++i) {
    if (!(bytes >> i & 1)) continue;
    const DataByte at = data_byte(step.in, step.check->memory, u32(offset + i32(i)));
    const Poison from = poison_.vgpr(wave.half, at.vgpr, lane);
    const u32 byte = from.bits >> at.shift & 0xff;
    if (byte) result.origin = from.origin;
    result.bits |= byte << 8 * i;
  }
  return result;
}

Poison WaveChecker::any_data_poison(const Wave& wave, u32 lane) const {
  if (!data_poisoned_) [[likely]] return {};
  for (u32 source = 1; source < 3; ++source) {
    const Operand& data = wave.step->in.src[source];
    for (u32 i = 0; data.is_vgpr() && i < data.count_dw; ++i)
      if (poison_.vgpr_lanes(wave.half, data.vgpr() + i) >> lane & 1) return poison_.vgpr(wave.half, data.vgpr() + i, lane);
  }
  return {};
}

// A struct that is copied out of scratch takes its padding along, the unused bits of its bit fields too: bits as scratch
// gave them, beside some that are defined.
bool WaveChecker::is_padding(const Wave& wave, u32 lane, i32 offset, u32 bytes) const {
  bool defined = false;
  for (u32 at = 0; at < bytes; ++at) {
    const Poison byte = stored_poison(wave, lane, offset + i32(at), 1);
    defined |= byte.bits != 0xff;
    if (byte.bits && !(byte.origin & Origins::out_of_scratch)) return false;
  }
  return defined;
}

bool WaveChecker::check_data(Wave& wave, u32 lane, i32 offset, u32 bytes, bool atomic) {
  if (!data_poisoned_) [[likely]] return true;
  Poison poison;
  if (atomic || wave.step->check->memory.converts) {
    poison = any_data_poison(wave, lane);
  } else {
    for (u32 at = 0; at < bytes && !poison.bits; at += 4)
      poison = stored_poison(wave, lane, offset + i32(at), u8((1u << std::min(bytes - at, 4u)) - 1));
  }
  if (!poison.bits) return true;
  if (!atomic && !wave.step->check->memory.converts && is_padding(wave, lane, offset, bytes)) return true;
  const Operand& data = wave.step->in.src[1];
  raise_poison(wave, poison.origin, fmt::format("writes to memory {}{}", register_name(data.code),
                                                data.count_dw > 1 ? " and what follows" : ""), lane);
  return false;
}

void WaveChecker::load_scratch(Wave& wave, u32 lane, i32 offset, u64 byte, u32 bytes) {
  Poison poison = poison_.scratch(byte / 4);
  if (!poison.bits) [[likely]] return;
  const u32 first = u32(byte % 4);
  const u8 touched = u8(((1u << bytes) - 1) << first);
  if (!(poison.bits & spread_bytes(touched))) return;
  if (!poison.origin)
    poison.origin = Origins::out_of_scratch | wave.group->origins->of("uninitialised-scratch", wave.step, 0, [] {
      return std::string("reads scratch that this lane has not written");
    });
  load(wave, lane, offset - i32(first), touched, poison);
}

void WaveChecker::store_scratch(Wave& wave, u32 lane, i32 offset, u64 byte, u32 bytes) {
  const u32 first = u32(byte % 4);
  const u8 touched = u8(((1u << bytes) - 1) << first);
  const Poison now = stored_poison(wave, lane, offset - i32(first), touched), old = poison_.scratch(byte / 4);
  poison_.set_scratch(byte / 4, {(old.bits & ~spread_bytes(touched)) | now.bits, now.bits ? now.origin : old.origin});
}

void WaveChecker::take_loaded_lane(const Step& step, u32 half, u32 lane, const Loaded& loaded) {
  const Operand& dst = step.in.dst;
  const MemoryShape& shape = step.check->memory;
  const u32 part = part_mask(shape);
  for (u32 i = 0; i < dst.count_dw; ++i) {
    Poison poison = loaded.dwords[i];
    if (shape.converts) {
      for (const Poison& any : loaded.dwords)
        if (any.bits) poison = {part, any.origin};
    } else if (shape.bytes) {
      const u32 size = 8u * shape.bytes, whole = poison.bits & ((1u << size) - 1);
      poison.bits = shape.is_signed && whole >> (size - 1) ? whole | ~0u << size : whole;
      poison.bits = poison.bits << (shape.part == 2 ? 16 : 0) & part;
    }
    if (part != ~0u) {
      const Poison old = poison_.vgpr(half, dst.vgpr() + i, lane);
      if (!poison.bits) poison.origin = old.origin;
      poison.bits |= old.bits & ~part;
    }
    poison_.set_vgpr(half, dst.vgpr() + i, lane, poison);
  }
}

void WaveChecker::take_loaded(const Wave& wave, const Step& step) {
  const Operand& dst = step.in.dst;
  if (!dst.present()) return;
  if (!dst.is_vgpr()) {
    for (u32 i = 0; i < dst.count_dw; ++i)
      poison_.set_sgpr(u16(dst.code + i), loaded_lanes_[0] & 1 ? loaded_[0][0].dwords[i] : Poison{});
    return;
  }
  const Loaded none{};
  const bool for_all = step.whole_wave && loaded_lanes_[0] & 1;     // one value for all lanes
  for (u32 half = 0; half < wave.lanes / half_lanes; ++half) {
    const u32 exec = exec_before_[half], poisoned = for_all ? exec : exec & loaded_lanes_[half];
    if (!step.check->keeps_part) {
      for (u32 i = 0; i < dst.count_dw; ++i) poison_.define_vgpr(half, dst.vgpr() + i, exec & ~poisoned);
    } else {
      for (u32 i = 0; i < dst.count_dw; ++i)
        for (u32 left = exec & ~poisoned & poison_.vgpr_lanes(half, dst.vgpr() + i); left; left &= left - 1)
          take_loaded_lane(step, half, u32(std::countr_zero(left)), none);
    }
    for (u32 left = poisoned; left; left &= left - 1) {
      const u32 lane = u32(std::countr_zero(left));
      take_loaded_lane(step, half, lane, for_all ? loaded_[0][0] : loaded_[half][lane]);
    }
  }
}

}  // namespace amlm::isa
