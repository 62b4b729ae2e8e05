// Instructions whose lanes read other lanes, or that name registers by M0: read and write lane, permlane, swaps,
// relative moves. (Any VOP1, VOP2, VOPC with DPP is cross-lane too: lanes.cpp.)
#include "isa/execute/alu.h"
#include "isa/execute/lanes_wide.h"

namespace amlm::isa {
namespace {

// The lane number of a whole wave: both halves are looked at.
u32& lane_of(Wave& wave, u32 vgpr, u32 lane) { return wave.vgpr_base[lane >> 5][vgpr][lane & 31]; }

void v_readfirstlane_b32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u64 exec = wave.lanes == 64 ? wave.exec64() : wave.sgpr[code_exec_lo];
  const u32 lane = exec == 0 ? 0 : u32(std::countr_zero(exec));
  const Operand& source = in.src[0];
  wave.set_scalar(in.dst.code, source.is_vgpr() ? lane_of(wave, source.vgpr(), lane) : wave.scalar(source.code, in));
}

void v_readlane_b32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 lane = wave.scalar(in.src[1].code, in) & (wave.lanes - 1);
  const Operand& source = in.src[0];
  wave.set_scalar(in.dst.code, source.is_vgpr() ? lane_of(wave, source.vgpr(), lane) : wave.scalar(source.code, in));
}

void v_writelane_b32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 lane = wave.scalar(in.src[1].code, in) & (wave.lanes - 1);
  lane_of(wave, in.dst.vgpr(), lane) = wave.scalar(in.src[0].code, in);
}

// Each lane of a row of 16 reads the lane whose number is its nibble of {src2, src1}: of its own row, or for x16 of the
// other row of the pair. OPSEL[0]: inactive lanes may be read; OPSEL[1]: a lane that reads an inactive one gets 0.
template <u32 other_row>
void v_permlane16(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (!in.src[0].is_vgpr()) return wave.raise("undefined", "permlane of a scalar");
  const u32* from = wave.vgpr(in.src[0].vgpr());
  const u64 select = u64(wave.scalar(in.src[1].code, in)) | u64(wave.scalar(in.src[2].code, in)) << 32;
  const u32 exec = wave.exec();
  const bool fetch_inactive = (in.opsel & 1) != 0, bound_control = (in.opsel & 2) != 0;
  alignas(64) u32 result[half_lanes];
  u32 write = exec;
  for (u32 i = 0; i < half_lanes; i++) {
    const u32 source = ((i & 16) ^ other_row) | u32(select >> (4 * (i & 15)) & 15);
    const bool readable = fetch_inactive || (exec >> source & 1) != 0;
    result[i] = readable ? from[source] : 0;
    if (!readable && !bound_control) write &= ~(1u << i);
  }
  write_lanes(wave.vgpr(in.dst.vgpr()), result, write);
}

#if defined(__x86_64__)
// All lanes on: none reads one that is off.
template <u32 other_row>
AMLM_AVX512 void v_permlane16_wide(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if (wave.exec() != ~0u || !in.src[0].is_vgpr()) return v_permlane16<other_row>(wave, step);
  const u32* from = wave.vgpr(in.src[0].vgpr());
  const __m512i first = _mm512_set1_epi32(i32(wave.scalar(in.src[1].code, in)));
  const __m512i nibbles = _mm512_mask_set1_epi32(first, 0xff00, i32(wave.scalar(in.src[2].code, in)));
  const __m512i down = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
  const __m512i lane = _mm512_srlv_epi32(nibbles, down);   // the permutation looks at the low four bits only
  const __m512i low = _mm512_permutexvar_epi32(lane, _mm512_loadu_si512(from + other_row));
  const __m512i high = _mm512_permutexvar_epi32(lane, _mm512_loadu_si512(from + (16 ^ other_row)));
  write_wide(wave.vgpr(in.dst.vgpr()), ~0u, low, high);
}
#define PERMLANE(other_row) v_permlane16<other_row>, v_permlane16_wide<other_row>
#else
#define PERMLANE(other_row) v_permlane16<other_row>
#endif

// Exchanges the halves of a wave64; does nothing in wave32.
void v_permlane64_b32(Wave& wave, const Step& step) {
  if (wave.lanes == 32) return;
  const Instruction& in = step.in;
  const u32 from = in.src[0].vgpr(), to = in.dst.vgpr();
  alignas(64) u32 low[half_lanes], high[half_lanes];
  std::memcpy(low, wave.vgpr_base[0][from].data(), sizeof low);
  std::memcpy(high, wave.vgpr_base[1][from].data(), sizeof high);
  write_lanes(wave.vgpr_base[0][to].data(), high, wave.sgpr[code_exec_lo]);
  write_lanes(wave.vgpr_base[1][to].data(), low, wave.sgpr[code_exec_hi]);
}

void swap(Wave& wave, u32 a, u32 b) {
  alignas(64) u32 first[half_lanes], second[half_lanes];
  std::memcpy(first, wave.vgpr(a), sizeof first);
  std::memcpy(second, wave.vgpr(b), sizeof second);
  write_lanes(wave.vgpr(a), second, wave.exec());
  write_lanes(wave.vgpr(b), first, wave.exec());
}
void v_swap_b32(Wave& wave, const Step& step) { swap(wave, step.in.dst.vgpr(), step.in.src[0].vgpr()); }

bool inside(Wave& wave, u32 vgpr) {
  if (vgpr < wave.vgpr_count) return true;
  wave.raise("undefined", "relative VGPR outside the wave's allocation");
  return false;
}

void v_swap_b16(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  u32 *a = wave.vgpr(in.dst.vgpr()), *b = wave.vgpr(in.src[0].vgpr());
  const u32 a_shift = (in.opsel & 8) != 0 ? 16 : 0, b_shift = (in.opsel & 1) != 0 ? 16 : 0;
  for (u32 i = 0; i < half_lanes; i++) {
    if ((wave.exec() >> i & 1) == 0) continue;
    const u32 first = a[i] >> a_shift & 0xffff, second = b[i] >> b_shift & 0xffff;
    a[i] = (a[i] & ~(0xffffu << a_shift)) | second << a_shift;
    b[i] = (b[i] & ~(0xffffu << b_shift)) | first << b_shift;
  }
}

void v_swaprel_b32(Wave& wave, const Step& step) {   // M0[9:0] moves the source, M0[25:16] the destination
  const u32 m0 = wave.sgpr[code_m0];
  const u32 to = step.in.dst.vgpr() + (m0 >> 16 & 0x3ff), from = step.in.src[0].vgpr() + (m0 & 0x3ff);
  if (inside(wave, to) && inside(wave, from)) swap(wave, to, from);
}

enum class Moves : u8 { source, destination, both, both_apart };
template <Moves moves>
void v_movrel(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const u32 m0 = wave.sgpr[code_m0];
  const u32 from_add = moves == Moves::destination ? 0 : moves == Moves::both_apart ? m0 & 0x3ff : m0;
  const u32 to_add = moves == Moves::source ? 0 : moves == Moves::both_apart ? m0 >> 16 & 0x3ff : m0;
  const u32 to = in.dst.vgpr() + to_add;
  if (!inside(wave, to)) return;
  if (!in.src[0].is_vgpr()) {
    alignas(64) u32 value[half_lanes];
    broadcast(value, wave.scalar(in.src[0].code, in));
    return write_lanes(wave.vgpr(to), value, wave.exec());
  }
  const u32 from = in.src[0].vgpr() + from_add;
  if (!inside(wave, from)) return;
  if (step.plain) {
    if (from != to) write_lanes(wave.vgpr(to), wave.vgpr(from), wave.exec());
    return;
  }
  alignas(64) u32 value[half_lanes];
  u32 write = wave.exec();
  if (dpp_lanes(wave, in, wave.vgpr(from), value, write)) write_lanes(wave.vgpr(to), value, write);
}

constexpr Binding bindings[] = {
    {Opcode::v_readfirstlane_b32, v_readfirstlane_b32},
    {Opcode::v_readlane_b32, v_readlane_b32},
    {Opcode::v_writelane_b32, v_writelane_b32},
    {Opcode::v_permlane16_b32, PERMLANE(0)},
    {Opcode::v_permlanex16_b32, PERMLANE(16)},
    {Opcode::v_permlane64_b32, v_permlane64_b32},
    {Opcode::v_swap_b32, v_swap_b32},
    {Opcode::v_swap_b16, v_swap_b16},
    {Opcode::v_swaprel_b32, v_swaprel_b32},
    {Opcode::v_movreld_b32, v_movrel<Moves::destination>},
    {Opcode::v_movrels_b32, v_movrel<Moves::source>},
    {Opcode::v_movrelsd_b32, v_movrel<Moves::both>},
    {Opcode::v_movrelsd_2_b32, v_movrel<Moves::both_apart>},
};
#undef PERMLANE

}  // namespace

std::span<const Binding> cross_lane_bindings() { return bindings; }

bool wants_whole_wave(const Instruction& in) {
  switch (in.opcode) {
    case Opcode::v_readfirstlane_b32: case Opcode::v_readlane_b32: case Opcode::v_writelane_b32:
    case Opcode::v_permlane64_b32: return true;
    default: return info(in.opcode).op_class == OpClass::wmma;
  }
}

}  // namespace amlm::isa
