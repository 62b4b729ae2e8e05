// Hardware registers that a program may read or write: MODE above all.
#include "isa/execute/alu.h"

namespace amlm::isa {
namespace {

// s_getreg and s_setreg: id in bits 5:0, first bit in 10:6, count less one in 15:11 of SIMM16.
struct Field {
  u32 id, offset, mask;
};
Field field_of(const Instruction& in) {
  const u32 simm = u16(in.offset), count = (simm >> 11) + 1;
  return {simm & 63, simm >> 6 & 31, count == 32 ? ~0u : (1u << count) - 1};
}

constexpr u32 id_mode = 1, id_status = 2, id_scratch_low = 20, id_scratch_high = 21;

bool read_register(Wave& wave, u32 id, u32& value) {
  switch (id) {
    case id_mode: value = wave.mode; return true;
    case id_status: {   // the bits that follow from the wave's state
      const bool execz = (wave.lanes == 64 ? wave.exec64() : wave.sgpr[code_exec_lo]) == 0;
      const u64 vcc = wave.sgpr[code_vcc_lo] | (wave.lanes == 64 ? u64(wave.sgpr[code_vcc_hi]) << 32 : 0);
      value = u32(wave.scc) | u32(execz) << 9 | u32(vcc == 0) << 10;
      return true;
    }
    case id_scratch_low: value = u32(wave.scratch_base); return true;
    case id_scratch_high: value = u32(wave.scratch_base >> 32); return true;
    default: wave.raise("not-executed", "s_getreg of hardware register " + std::to_string(id)); return false;
  }
}

void s_getreg_b32(Wave& wave, const Step& step) {
  const Field field = field_of(step.in);
  u32 value;
  if (read_register(wave, field.id, value)) wave.set_scalar(step.in.dst.code, value >> field.offset & field.mask);
}

void s_setreg_b32(Wave& wave, const Step& step) {
  const Field field = field_of(step.in);
  const u32 value = wave.scalar(step.in.src[0].code, step.in);
  if (field.id != id_mode) return wave.raise("not-executed", "s_setreg of hardware register " + std::to_string(field.id));
  const u32 mask = field.mask << field.offset;
  wave.mode = (wave.mode & ~mask) | (value << field.offset & mask);
}

void s_round_mode(Wave& wave, const Step& step) { wave.mode = (wave.mode & ~0xfu) | (u32(step.in.offset) & 0xf); }
void s_denorm_mode(Wave& wave, const Step& step) {
  wave.mode = (wave.mode & ~0xf0u) | (u32(step.in.offset) & 0xf) << 4;
}

constexpr Binding bindings[] = {
    {Opcode::s_getreg_b32, s_getreg_b32},   {Opcode::s_setreg_b32, s_setreg_b32},
    {Opcode::s_setreg_imm32_b32, s_setreg_b32}, {Opcode::s_round_mode, s_round_mode},
    {Opcode::s_denorm_mode, s_denorm_mode},
};

}  // namespace

std::span<const Binding> mode_bindings() { return bindings; }

}  // namespace amlm::isa
