// SMEM: scalar loads. All dwords are read before any register is written; results land at once (strict mode keeps the
// registers in flight until the wait).
#include "isa/execute/flat.h"
#include "isa/execute/group.h"
#include "isa/execute/lds.h"
#include "isa/execute/memory_unit.h"
#include "isa/tables.h"

#include <cstring>

namespace amlm::isa {

namespace {

u64 scalar_offset(const Wave& wave, const Instruction& in) {
  const u32 from_register = in.src[1].present() ? wave.scalar(in.src[1].code, in) : 0;
  return u64(i64(in.offset)) + from_register;
}

void load(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 bytes = in.dst.count_dw * 4u;
  const u64 address = (wave.scalar64(in.src[0].code, in) + scalar_offset(wave, in)) & ~3ull;
  const u8* from = wave.memory->translate_scalar(wave, address, bytes);
  if (!from) return;
  wave.counters->global_read_bytes += bytes;
  std::array<u32, 16> words;
  std::memcpy(words.data(), from, bytes);
  for (u32 i = 0; i < in.dst.count_dw; ++i) wave.set_scalar(u16(in.dst.code + i), words[i]);
}

// Guide 8.2, buffer form: offsets past num_records (times the stride, if there is one) give 0.
void buffer_load(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32* v = &wave.sgpr[in.src[0].code];
  const u64 base = u64(i64((v[0] | u64(v[1] & 0xffff) << 32) << 16) >> 16);   // 48 bits, sign-extended
  const u32 stride = v[1] >> 16 & 0x3fff;
  const u64 size_bytes = stride ? u64(stride) * v[2] : v[2];
  const u64 offset = scalar_offset(wave, in) & ~3ull;
  std::array<u32, 16> words{};
  const u32 count = in.dst.count_dw;
  const u64 inside = offset >= size_bytes ? 0 : std::min<u64>(count, (size_bytes - offset) / 4);
  if (inside) {
    const u8* from = wave.memory->translate_scalar(wave, (base & ~3ull) + offset, u32(inside * 4));
    if (!from) return;
    std::memcpy(words.data(), from, inside * 4);
    wave.counters->global_read_bytes += inside * 4;
  }
  for (u32 i = 0; i < count; ++i) wave.set_scalar(u16(in.dst.code + i), words[i]);
}

// Caches hold nothing in this model: what they could keep stale is judged from the shadow.
void invalidate(Wave&, const Step&) {}
void invalidate_gl0(Wave& wave, const Step&) {
  if (wave.checker) wave.checker->invalidate_vector(wave.group->barrier_interval);
}

// Fills caches of address translation, which are not modelled.
void nothing(Wave&, const Step&) {}

}  // namespace

Handler scalar_memory_handler_for(Opcode opcode) {
  using enum Opcode;
  switch (opcode) {
    case s_load_b32: case s_load_b64: case s_load_b128: case s_load_b256: case s_load_b512: return load;
    case s_buffer_load_b32: case s_buffer_load_b64: case s_buffer_load_b128: case s_buffer_load_b256:
    case s_buffer_load_b512: return buffer_load;
    case s_gl1_inv: case s_dcache_inv: return invalidate;
    case buffer_gl0_inv: return invalidate_gl0;
    case buffer_gl1_inv: return invalidate;
    case s_atc_probe: case s_atc_probe_buffer: return nothing;
    default: return nullptr;
  }
}

Handler memory_handler_for(const Instruction& in) {
  for (const auto find : {scalar_memory_handler_for, flat_handler_for, flat_atomic_handler_for, buffer_handler_for,
                          buffer_atomic_handler_for, buffer_format_handler_for, lds_handler_for, lds_atomic_handler_for})
    if (const Handler handler = find(in.opcode)) return handler;
  return nullptr;
}

bool memory_wants_whole_wave(const Instruction& in) {
  return in.opcode == Opcode::ds_append || in.opcode == Opcode::ds_consume;
}

}  // namespace amlm::isa
