// Scalar integer instructions: SOP1, SOP2, SOPC, SOPK, and the two of SOPP that set MODE.
//
// EXEC is written by the saveexec and wrexec families only, in `exec_op`.
#include <chrono>

#include <fmt/format.h>

#include "isa/execute/alu.h"
#include "isa/execute/scalar.h"

namespace amlm::isa {
namespace {

template <class T>
T nonzero(State& s, T value) {
  s.scc = value != 0;
  return value;
}
template <class T>
T with(State& s, T value, bool scc) {
  s.scc = scc;
  return value;
}

namespace op {

template <class T> T mov(T a) { return a; }
template <class T> T cmov(State& s, T a, T old) { return s.scc ? a : old; }
template <class T> T brev(T a) {
  T out = 0;
  for (u32 i = 0; i < sizeof(T) * 8; i++) out |= (a >> i & 1) << (sizeof(T) * 8 - 1 - i);
  return out;
}
template <class T> u32 ctz(T a) { return a == 0 ? ~0u : u32(std::countr_zero(a)); }
template <class T> u32 clz(T a) { return a == 0 ? ~0u : u32(std::countl_zero(a)); }
// Leading bits equal to the sign bit, that bit itself counted; -1 when all are.
template <class T> u32 cls(T a) {
  const T flipped = (a >> (sizeof(T) * 8 - 1)) != 0 ? T(~a) : a;
  return flipped == 0 ? ~0u : u32(std::countl_zero(flipped));
}
u32 sext8(u32 a) { return u32(i32(i8(a))); }
u32 sext16(u32 a) { return u32(i32(i16(a))); }
template <class T> T bitset0(u32 bit, T old) { return old & ~(T(1) << (bit & (sizeof(T) * 8 - 1))); }
template <class T> T bitset1(u32 bit, T old) { return old | T(1) << (bit & (sizeof(T) * 8 - 1)); }
u64 bitreplicate(u32 a) {
  u64 out = 0;
  for (u32 i = 0; i < 32; i++) out |= u64(a >> i & 1) * 3 << (2 * i);
  return out;
}
u32 abs(State& s, u32 a) { return nonzero(s, i32(a) < 0 ? 0u - a : a); }
template <class T> u32 bcnt0(State& s, T a) { return nonzero(s, u32(std::popcount(T(~a)))); }
template <class T> u32 bcnt1(State& s, T a) { return nonzero(s, u32(std::popcount(a))); }
template <class T> T quadmask(State& s, T a) {
  T out = 0;
  for (u32 i = 0; i < sizeof(T) * 2; i++) out |= T((a >> (4 * i) & 0xf) != 0) << i;
  return nonzero(s, out);
}
template <class T> T wqm(State& s, T a) {
  T out = 0;
  for (u32 i = 0; i < sizeof(T) * 2; i++) out |= (a >> (4 * i) & 0xf) != 0 ? T(0xf) << (4 * i) : 0;
  return nonzero(s, out);
}
template <class T> T not_(State& s, T a) { return nonzero(s, T(~a)); }

u32 add_u(State& s, u32 a, u32 b) { return with(s, a + b, a + b < a); }
u32 sub_u(State& s, u32 a, u32 b) { return with(s, a - b, b > a); }
u32 add_i(State& s, u32 a, u32 b) { return with(s, a + b, ((a ^ (a + b)) & (b ^ (a + b))) >> 31 != 0); }
u32 sub_i(State& s, u32 a, u32 b) { return with(s, a - b, ((a ^ b) & (a ^ (a - b))) >> 31 != 0); }
u32 addc(State& s, u32 a, u32 b) {
  const u64 sum = u64(a) + b + s.scc;
  return with(s, u32(sum), sum >> 32 != 0);
}
u32 subb(State& s, u32 a, u32 b) { return with(s, a - b - s.scc, u64(b) + s.scc > a); }
u32 absdiff(State& s, u32 a, u32 b) {
  const u32 difference = a - b;
  return nonzero(s, i32(difference) < 0 ? 0u - difference : difference);
}
template <class T> T lshl(State& s, T a, u32 b) { return nonzero(s, T(a << (b & (sizeof(T) * 8 - 1)))); }
template <class T> T shr(State& s, T a, u32 b) { return nonzero(s, T(a >> (b & (sizeof(T) * 8 - 1)))); }
template <u32 shift> u32 lshl_add(State& s, u32 a, u32 b) {
  const u64 sum = (u64(a) << shift) + b;
  return with(s, u32(sum), sum >> 32 != 0);
}
template <class T> T min(State& s, T a, T b) { return with(s, a < b ? a : b, a < b); }
template <class T> T max(State& s, T a, T b) { return with(s, a >= b ? a : b, a >= b); }
template <class T> T and_(State& s, T a, T b) { return nonzero(s, T(a & b)); }
template <class T> T or_(State& s, T a, T b) { return nonzero(s, T(a | b)); }
template <class T> T xor_(State& s, T a, T b) { return nonzero(s, T(a ^ b)); }
template <class T> T nand(State& s, T a, T b) { return nonzero(s, T(~(a & b))); }
template <class T> T nor(State& s, T a, T b) { return nonzero(s, T(~(a | b))); }
template <class T> T xnor(State& s, T a, T b) { return nonzero(s, T(~(a ^ b))); }
template <class T> T and_not1(State& s, T a, T b) { return nonzero(s, T(a & ~b)); }
template <class T> T or_not1(State& s, T a, T b) { return nonzero(s, T(a | ~b)); }
// Field of `width` bits from `offset`: both in the second source. T signed: sign-extended.
template <class T> T bfe(State& s, T a, u32 b) {
  constexpr u32 bits = sizeof(T) * 8;
  const u32 offset = b & (bits - 1), width = b >> 16 & 0x7f;
  if (width == 0) return with(s, T(0), false);
  const T shifted = T(a >> offset);
  if (width >= bits) return nonzero(s, shifted);
  return nonzero(s, T(T(std::make_unsigned_t<T>(shifted) << (bits - width)) >> (bits - width)));
}
template <class T> T bfm(u32 width, u32 offset) {
  constexpr u32 mask = sizeof(T) * 8 - 1;
  return ((T(1) << (width & mask)) - 1) << (offset & mask);
}
u32 mul(u32 a, u32 b) { return a * b; }
u32 mul_hi_u(u32 a, u32 b) { return u32(u64(a) * b >> 32); }
u32 mul_hi_i(i32 a, i32 b) { return u32(i64(a) * b >> 32); }
template <class T> T cselect(State& s, T a, T b) { return s.scc ? a : b; }
u32 pack_ll(u32 a, u32 b) { return (a & 0xffff) | b << 16; }
u32 pack_lh(u32 a, u32 b) { return (a & 0xffff) | (b & 0xffff0000); }
u32 pack_hh(u32 a, u32 b) { return a >> 16 | (b & 0xffff0000); }
u32 pack_hl(u32 a, u32 b) { return a >> 16 | b << 16; }

template <class T> bool eq(T a, T b) { return a == b; }
template <class T> bool lg(T a, T b) { return a != b; }
template <class T> bool gt(T a, T b) { return a > b; }
template <class T> bool ge(T a, T b) { return a >= b; }
template <class T> bool lt(T a, T b) { return a < b; }
template <class T> bool le(T a, T b) { return a <= b; }
template <class T> bool bitcmp0(T a, u32 b) { return (a >> (b & (sizeof(T) * 8 - 1)) & 1) == 0; }
template <class T> bool bitcmp1(T a, u32 b) { return (a >> (b & (sizeof(T) * 8 - 1)) & 1) != 0; }

// saveexec: (source, EXEC) -> new EXEC
template <class T> T exec_and(T a, T e) { return a & e; }
template <class T> T exec_or(T a, T e) { return a | e; }
template <class T> T exec_xor(T a, T e) { return a ^ e; }
template <class T> T exec_nand(T a, T e) { return ~(a & e); }
template <class T> T exec_nor(T a, T e) { return ~(a | e); }
template <class T> T exec_xnor(T a, T e) { return ~(a ^ e); }
template <class T> T exec_and_not0(T a, T e) { return ~a & e; }
template <class T> T exec_or_not0(T a, T e) { return ~a | e; }
template <class T> T exec_and_not1(T a, T e) { return a & ~e; }
template <class T> T exec_or_not1(T a, T e) { return a | ~e; }

}  // namespace op

template <class T>
void write(Wave& wave, u16 code, T value) {
  if constexpr (sizeof(T) == 8) {
    wave.set_scalar64(code, u64(value));
  } else {
    wave.set_scalar(code, u32(value));
  }
}

enum class Destination : u8 { old_exec, new_exec };

template <class T, T (*function)(T, T), Destination destination = Destination::old_exec>
void exec_op(Wave& wave, const Step& step) {
  const T source = read_scalar<T>(wave, step.in.src[0], step.in);
  const T old = sizeof(T) == 8 ? T(wave.exec64()) : T(wave.sgpr[code_exec_lo]);
  const T now = function(source, old);
  write(wave, code_exec_lo, now);
  write(wave, step.in.dst.code, destination == Destination::old_exec ? old : now);
  wave.scc = now != 0;
}

// The immediate of SOPK and SOPP, whatever the decoder did to its sign.
i32 signed_immediate(const Step& step) { return i16(step.in.offset); }
u32 unsigned_immediate(const Step& step) { return u16(step.in.offset); }

void s_movk_i32(Wave& wave, const Step& step) { wave.set_scalar(step.in.dst.code, u32(signed_immediate(step))); }
void s_cmovk_i32(Wave& wave, const Step& step) {
  if (wave.scc) s_movk_i32(wave, step);
}
template <auto function>
void compare_signed(Wave& wave, const Step& step) {
  wave.scc = function(i32(wave.scalar(step.in.src[0].code, step.in)), signed_immediate(step));
}
template <auto function>
void compare_unsigned(Wave& wave, const Step& step) {
  wave.scc = function(wave.scalar(step.in.src[0].code, step.in), unsigned_immediate(step));
}
void s_addk_i32(Wave& wave, const Step& step) {
  State state{wave, wave.scc};
  wave.set_scalar(step.in.dst.code, op::add_i(state, wave.scalar(step.in.dst.code, step.in), u32(signed_immediate(step))));
  wave.scc = state.scc;
}
void s_mulk_i32(Wave& wave, const Step& step) {
  wave.set_scalar(step.in.dst.code, wave.scalar(step.in.dst.code, step.in) * u32(signed_immediate(step)));
}

// SGPR `code` + `add`, `count` of them; pairs are even. False: a fault was raised.
bool relative_sgpr(Wave& wave, u16 code, u32 add, u32 count, u32& number) {
  number = code + add;
  if (code <= 105 && number <= 106 - count && number % count == 0) return true;
  const char* why = code > 105 ? "the base is no SGPR" : number % count ? "pairs start at an even one" : "SGPRs end at s105";
  wave.raise("register-range", fmt::format("relative move with s{}: {}", number, why));
  return false;
}

template <u32 count>
void s_movrels(Wave& wave, const Step& step) {
  u32 from;
  if (!relative_sgpr(wave, step.in.src[0].code, wave.sgpr[code_m0], count, from)) return;
  if constexpr (count == 1) wave.set_scalar(step.in.dst.code, wave.sgpr[from]);
  else wave.set_scalar64(step.in.dst.code, wave.sgpr[from] | u64(wave.sgpr[from + 1]) << 32);
}
template <u32 count>
void s_movreld(Wave& wave, const Step& step) {
  u32 to;
  if (!relative_sgpr(wave, step.in.dst.code, wave.sgpr[code_m0], count, to)) return;
  const Operand& source = step.in.src[0];
  if constexpr (count == 1) wave.set_scalar(u16(to), wave.scalar(source.code, step.in));
  else wave.set_scalar64(u16(to), scalar_wide(wave, source.code, step.in, Kind::unsigned_integer));
}
// M0[9:0] moves the source, M0[25:16] the destination.
void s_movrelsd_2_b32(Wave& wave, const Step& step) {
  const u32 m0 = wave.sgpr[code_m0];
  u32 from, to;
  if (!relative_sgpr(wave, step.in.src[0].code, m0 & 0x3ff, 1, from)) return;
  if (!relative_sgpr(wave, step.in.dst.code, m0 >> 16 & 0x3ff, 1, to)) return;
  wave.set_scalar(u16(to), wave.sgpr[from]);
}

// Hardware registers: id[5:0], first bit[10:6], bits - 1 [15:11] (guide, S_GETREG_B32).
enum HardwareRegister : u32 {
  reg_mode = 1, reg_status = 2, reg_sh_mem_bases = 15, reg_flat_scr_lo = 20, reg_flat_scr_hi = 21, reg_hw_id1 = 23,
  reg_shader_cycles = 29,
};

// 20 bits that count on, at about the chip's 2.9 GHz.
u32 shader_cycles() {
  using namespace std::chrono;
  return u32(u64(duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count()) * 29 / 10) & 0xfffff;
}

void s_getreg_b32(Wave& wave, const Step& step) {
  const u32 field = unsigned_immediate(step), first = field >> 6 & 31, count = (field >> 11) + 1;
  u32 value = 0;
  switch (field & 63) {
    case reg_mode: value = wave.mode; break;
    case reg_status:   // SCC, EXECZ, VCCZ; the rest is the trap handler's
      value = u32(wave.scc) | u32(wave.exec64() == 0) << 9 | u32(wave.sgpr[106] == 0 && wave.sgpr[107] == 0) << 10;
      break;
    case reg_sh_mem_bases: value = 0x20001000; break;   // driver.md 3.3: private 0x1000, shared 0x2000
    case reg_flat_scr_lo: value = u32(wave.scratch_base); break;
    case reg_flat_scr_hi: value = u32(wave.scratch_base >> 32); break;
    case reg_hw_id1: value = wave.index & 31; break;
    case reg_shader_cycles: value = shader_cycles(); break;
    default: return wave.raise("not-executed", fmt::format("s_getreg of hardware register {}", field & 63));
  }
  wave.set_scalar(step.in.dst.code, count >= 32 ? value >> first : value >> first & ((1u << count) - 1));
}

void set_register(Wave& wave, const Step& step, u32 value) {
  const u32 field = unsigned_immediate(step), first = field >> 6 & 31, count = (field >> 11) + 1;
  if ((field & 63) != reg_mode)
    return wave.raise("not-executed", fmt::format("s_setreg of hardware register {}", field & 63));
  const u32 mask = (count >= 32 ? ~0u : (1u << count) - 1) << first;
  wave.mode = (wave.mode & ~mask) | (value << first & mask);
}
void s_setreg_b32(Wave& wave, const Step& step) { set_register(wave, step, wave.scalar(step.in.src[0].code, step.in)); }
void s_setreg_imm32_b32(Wave& wave, const Step& step) { set_register(wave, step, step.in.literal); }
void s_round_mode(Wave& wave, const Step& step) { wave.mode = (wave.mode & ~0xfu) | (unsigned_immediate(step) & 0xf); }
void s_denorm_mode(Wave& wave, const Step& step) {
  wave.mode = (wave.mode & ~0xf0u) | (unsigned_immediate(step) & 0xf) << 4;
}

#define BIND(name, ...) {Opcode::name, scalar_op<__VA_ARGS__>}
#define KEEP_BOTH(name, function)                                                  \
  {Opcode::s_##name##_b32, scalar_op<op::function<u32>, Last::destination>},      \
  {Opcode::s_##name##_b64, scalar_op<op::function<u64>, Last::destination>}
#define BOTH(name, function) BIND(s_##name##_b32, op::function<u32>), BIND(s_##name##_b64, op::function<u64>)
#define EXEC_BOTH(name, function)                                         \
  {Opcode::s_##name##_saveexec_b32, exec_op<u32, op::function<u32>>},     \
  {Opcode::s_##name##_saveexec_b64, exec_op<u64, op::function<u64>>}
#define WREXEC_BOTH(name, function)                                                          \
  {Opcode::s_##name##_wrexec_b32, exec_op<u32, op::function<u32>, Destination::new_exec>},   \
  {Opcode::s_##name##_wrexec_b64, exec_op<u64, op::function<u64>, Destination::new_exec>}
#define COMPARE(name)                                                                              \
  BIND(s_cmp_##name##_i32, op::name<i32>), BIND(s_cmp_##name##_u32, op::name<u32>),                \
  {Opcode::s_cmpk_##name##_i32, compare_signed<op::name<i32>>},                                    \
  {Opcode::s_cmpk_##name##_u32, compare_unsigned<op::name<u32>>}

constexpr Binding bindings[] = {
    BOTH(mov, mov), KEEP_BOTH(cmov, cmov), BOTH(brev, brev), BIND(s_ctz_i32_b32, op::ctz<u32>),
    BIND(s_ctz_i32_b64, op::ctz<u64>),
    BIND(s_clz_i32_u32, op::clz<u32>), BIND(s_clz_i32_u64, op::clz<u64>), BIND(s_cls_i32, op::cls<u32>),
    BIND(s_cls_i32_i64, op::cls<u64>), BIND(s_sext_i32_i8, op::sext8), BIND(s_sext_i32_i16, op::sext16),
    KEEP_BOTH(bitset0, bitset0), KEEP_BOTH(bitset1, bitset1), BIND(s_bitreplicate_b64_b32, op::bitreplicate),
    BIND(s_abs_i32, op::abs),
    BIND(s_bcnt0_i32_b32, op::bcnt0<u32>), BIND(s_bcnt0_i32_b64, op::bcnt0<u64>), BIND(s_bcnt1_i32_b32, op::bcnt1<u32>),
    BIND(s_bcnt1_i32_b64, op::bcnt1<u64>), BOTH(quadmask, quadmask), BOTH(wqm, wqm), BOTH(not, not_),
    EXEC_BOTH(and, exec_and), EXEC_BOTH(or, exec_or), EXEC_BOTH(xor, exec_xor), EXEC_BOTH(nand, exec_nand),
    EXEC_BOTH(nor, exec_nor), EXEC_BOTH(xnor, exec_xnor), EXEC_BOTH(and_not0, exec_and_not0),
    EXEC_BOTH(or_not0, exec_or_not0), EXEC_BOTH(and_not1, exec_and_not1), EXEC_BOTH(or_not1, exec_or_not1),
    WREXEC_BOTH(and_not0, exec_and_not0), WREXEC_BOTH(and_not1, exec_and_not1),
    {Opcode::s_movrels_b32, s_movrels<1>}, {Opcode::s_movreld_b32, s_movreld<1>}, {Opcode::s_movrels_b64, s_movrels<2>},
    {Opcode::s_movreld_b64, s_movreld<2>}, {Opcode::s_movrelsd_2_b32, s_movrelsd_2_b32},

    BIND(s_add_u32, op::add_u), BIND(s_sub_u32, op::sub_u), BIND(s_add_i32, op::add_i), BIND(s_sub_i32, op::sub_i),
    BIND(s_addc_u32, op::addc), BIND(s_subb_u32, op::subb), BIND(s_absdiff_i32, op::absdiff), BOTH(lshl, lshl),
    BIND(s_lshr_b32, op::shr<u32>), BIND(s_lshr_b64, op::shr<u64>), BIND(s_ashr_i32, op::shr<i32>),
    BIND(s_ashr_i64, op::shr<i64>), BIND(s_lshl1_add_u32, op::lshl_add<1>), BIND(s_lshl2_add_u32, op::lshl_add<2>),
    BIND(s_lshl3_add_u32, op::lshl_add<3>), BIND(s_lshl4_add_u32, op::lshl_add<4>), BIND(s_min_i32, op::min<i32>),
    BIND(s_min_u32, op::min<u32>), BIND(s_max_i32, op::max<i32>), BIND(s_max_u32, op::max<u32>), BOTH(and, and_),
    BOTH(or, or_), BOTH(xor, xor_), BOTH(nand, nand), BOTH(nor, nor), BOTH(xnor, xnor), BOTH(and_not1, and_not1),
    BOTH(or_not1, or_not1), BIND(s_bfe_u32, op::bfe<u32>), BIND(s_bfe_i32, op::bfe<i32>), BIND(s_bfe_u64, op::bfe<u64>),
    BIND(s_bfe_i64, op::bfe<i64>), BOTH(bfm, bfm), BIND(s_mul_i32, op::mul), BIND(s_mul_hi_u32, op::mul_hi_u),
    BIND(s_mul_hi_i32, op::mul_hi_i), BOTH(cselect, cselect), BIND(s_pack_ll_b32_b16, op::pack_ll),
    BIND(s_pack_lh_b32_b16, op::pack_lh), BIND(s_pack_hh_b32_b16, op::pack_hh), BIND(s_pack_hl_b32_b16, op::pack_hl),

    COMPARE(eq), COMPARE(lg), COMPARE(gt), COMPARE(ge), COMPARE(lt), COMPARE(le), BOTH(bitcmp0, bitcmp0),
    BOTH(bitcmp1, bitcmp1), BIND(s_cmp_eq_u64, op::eq<u64>), BIND(s_cmp_lg_u64, op::lg<u64>),

    {Opcode::s_movk_i32, s_movk_i32}, {Opcode::s_cmovk_i32, s_cmovk_i32}, {Opcode::s_addk_i32, s_addk_i32},
    {Opcode::s_mulk_i32, s_mulk_i32}, {Opcode::s_getreg_b32, s_getreg_b32}, {Opcode::s_setreg_b32, s_setreg_b32},
    {Opcode::s_setreg_imm32_b32, s_setreg_imm32_b32}, {Opcode::s_round_mode, s_round_mode},
    {Opcode::s_denorm_mode, s_denorm_mode},
};

}  // namespace

std::span<const Binding> salu_bindings() { return bindings; }

}  // namespace amlm::isa
