#include "isa/execute/wave.h"

#include <bit>
#include <fmt/format.h>

#include "isa/execute/flat.h"
#include "isa/execute/group.h"
#include "isa/tables.h"

namespace amlm::isa {

namespace {

constexpr u16 code_shared_base = 235, code_shared_limit = 236, code_private_base = 237, code_private_limit = 238;
constexpr double inverse_two_pi = 0.15915494309189532;
constexpr double inline_floats[] = {0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 4.0, -4.0, inverse_two_pi};   // 240-248

bool is_inline_float(u16 code) { return code >= 240 && code <= 248; }

}  // namespace

u32 scalar_constant(u16 code, const Wave& wave) {
  if (code >= 128 && code <= 192) return code - 128u;
  if (code >= 193 && code <= 208) return u32(192 - i32(code));
  // f32 of 1/(2 pi) is 0x3e22f983 (guide, table of source operands): the f64 rounds to it
  if (is_inline_float(code)) return std::bit_cast<u32>(f32(inline_floats[code - 240]));
  if (code == code_scc) return wave.scc;
  if (code == code_shared_limit || code == code_private_limit) return ~0u;
  return 0;   // low halves of the aperture bases
}

u64 Wave::scalar64(u16 code, const Instruction& in) const {
  if (code < 128) return code == code_null ? 0 : sgpr[code] | u64(sgpr[code + 1]) << 32;
  if (code == code_literal) return in.literal;
  if (code >= 193 && code <= 208) return u64(i64(192 - i32(code)));
  if (is_inline_float(code)) return std::bit_cast<u64>(inline_floats[code - 240]);
  if (code == code_shared_base || code == code_shared_limit)
    return u64(shared_aperture) << 32 | scalar_constant(code, *this);
  if (code == code_private_base || code == code_private_limit)
    return u64(private_aperture) << 32 | scalar_constant(code, *this);
  return scalar_constant(code, *this);
}

void Wave::raise(const char* kind, std::string what, u64 address, u32 lane) {
  stop = true;
  if (fault) return;
  const Dispatch& dispatch = *group->dispatch;
  const u64 at = step ? step->pc : dispatch.code_va;
  const u32 in_wave = lane + half * half_lanes;
  const bool named = step && step->in.size_dw != 0;
  fault = Fault{
      .sentence = fmt::format("{}+{:#x} ({}), workgroup {},{},{} wave {} lane {}: {}",
                              dispatch.label.empty() ? "kernel" : dispatch.label, at - dispatch.code_va,
                              named ? info(step->in.opcode).name : "instruction fetch", group->id[0], group->id[1],
                              group->id[2], index, in_wave, what),
      .kind = kind, .label = dispatch.label, .pc = at, .address = address, .group = group->id, .wave = index,
      .lane = in_wave};
}

}  // namespace amlm::isa
