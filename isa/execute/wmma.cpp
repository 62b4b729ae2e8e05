// WMMA: D = A * B + C over a whole wave, EXEC ignored. Fragment layout: isa.md 4.3. Everything is gathered into the wave32
// layout, where register v of C and D holds rows 2v and 2v + 1; a wave64 has rows 4v to 4v + 3 in register v.
#include "isa/execute/alu.h"
#include "isa/execute/arithmetic.h"
#include "isa/execute/silicon_dot.h"
#include "isa/execute/wmma_factors.h"

namespace amlm::isa {
namespace {

using Fragment = u32[8][half_lanes];

struct Pointers {
  const u32* row[8];
};
Pointers pointers(const Fragment& fragment) {
  Pointers p;
  for (int v = 0; v < 8; v++) p.row[v] = fragment[v];
  return p;
}

// A or B: `count` registers. In wave64 the four copies of 16 lanes must be equal: which one the silicon takes for which
// row when they are not is not known. (In strict mode the checker has seen to that.)
bool gather_factor(Wave& wave, const Operand& operand, u32 count, Fragment& out) {
  for (u32 v = 0; v < count; v++) {
    std::memcpy(out[v], wave.vgpr_base[0][operand.vgpr() + v].data(), sizeof out[v]);
    if (wave.lanes == 32 || wave.checker) continue;
    const u32* low = out[v];
    const u32* high = wave.vgpr_base[1][operand.vgpr() + v].data();
    if (std::memcmp(low, low + 16, 64) != 0 || std::memcmp(low, high, 64) != 0 || std::memcmp(low, high + 16, 64) != 0) {
      wave.raise("undefined", "WMMA factors are not the same in all four groups of 16 lanes");
      return false;
    }
  }
  return true;
}

// Row `row` of C or D: 16 lanes of register v and half `odd` of the wave32 layout.
u32* sixteen(Wave& wave, u32 first, u32 v, u32 odd) {
  if (wave.lanes == 32) return &wave.vgpr_base[0][first + v][16 * odd];
  const u32 row = 2 * v + odd, group = row % 4;
  return &wave.vgpr_base[group >> 1][first + row / 4][16 * (group & 1)];
}

void gather_sum(Wave& wave, const Instruction& in, u32 constant, Fragment& out) {
  const Operand& operand = in.src[2];
  for (u32 v = 0; v < 8; v++)
    for (u32 odd = 0; odd < 2; odd++)
      if (operand.is_vgpr()) std::memcpy(&out[v][16 * odd], sixteen(wave, operand.vgpr(), v, odd), 64);
      else std::fill_n(&out[v][16 * odd], 16, constant);
}

void scatter(Wave& wave, const Instruction& in, const Fragment& result) {
  for (u32 v = 0; v < 8; v++)
    for (u32 odd = 0; odd < 2; odd++) std::memcpy(sixteen(wave, in.dst.vgpr(), v, odd), &result[v][16 * odd], 64);
}

void flip_signs(Fragment& fragment, u32 k, const Instruction& in) {
  const u32 flip = ((in.neg >> k & 1) != 0 ? 0x8000u : 0) | ((in.neg_hi >> k & 1) != 0 ? 0x80000000u : 0);
  if (flip == 0) return;
  for (auto& lanes : fragment)
    for (u32& value : lanes) value ^= flip;
}

// NEG and NEG_HI of C: negate, after abs.
void modify_sum(Fragment& fragment, const Instruction& in, u32 sign) {
  const u32 keep = (in.neg_hi & 4) != 0 ? ~sign : ~0u, flip = (in.neg & 4) != 0 ? sign : 0;
  if (keep == ~0u && flip == 0) return;
  for (auto& lanes : fragment)
    for (u32& value : lanes) value = (value & keep) ^ flip;
}

// Wave32 without modifiers, as matrix products use it: f16 with factors that are kept taken apart. False: another way.
bool wmma_f32_quick(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const auto lanes = [&](u32 vgpr) { return wave.vgpr_base[0][vgpr].data(); };
  WmmaFactors& factors = *wave.wmma_factors;
  factors.follow(wave, step);
  const silicon::WmmaRows* rows = factors.rows(in.src[0].vgpr(), lanes(in.src[0].vgpr()));
  const silicon::WmmaColumns* columns = factors.columns(in.src[1].vgpr(), lanes(in.src[1].vgpr()));
  factors.written(in.dst.vgpr());
  if (rows == nullptr || columns == nullptr) return false;
  u32* d = lanes(in.dst.vgpr());
  if (in.src[2].is_vgpr()) return silicon::wmma_f16_avx512(*rows, *columns, lanes(in.src[2].vgpr()), d);
  alignas(64) Fragment c;
  std::fill_n(c[0], sizeof c / sizeof(u32), wave.scalar(in.src[2].code, in));
  return silicon::wmma_f16_avx512(*rows, *columns, c[0], d);
}

template <silicon::Factor factor>
[[gnu::noinline]] void wmma_f32_any(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  u32* d[8];
  alignas(64) Fragment a, b, c;
  if (!gather_factor(wave, in.src[0], 8, a) || !gather_factor(wave, in.src[1], 8, b)) return;
  gather_sum(wave, in, in.src[2].is_vgpr() ? 0 : wave.scalar(in.src[2].code, in), c);
  flip_signs(a, 0, in);
  flip_signs(b, 1, in);
  modify_sum(c, in, 0x80000000);
  for (u32 v = 0; v < 8; v++) d[v] = c[v];
  silicon::wmma_f32(factor, pointers(a).row, pointers(b).row, pointers(c).row, d);
  scatter(wave, in, c);
}

template <silicon::Factor factor>
void v_wmma_f32(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  const bool plain = wave.lanes == 32 && in.neg == 0 && in.neg_hi == 0;
  if (factor != silicon::Factor::f16 || !plain || !silicon::has_wmma_avx512()) wave.wmma_factors->forget();
  else if (wmma_f32_quick(wave, step)) return;
  wmma_f32_any<factor>(wave, step);
}

// The steps of a 16-bit WMMA, one at a time. `d` holds what stays.
template <silicon::Factor factor>
void wmma_packed(const Fragment& a, const Fragment& b, const Fragment& c, u32 shift, bool to_max, Fragment& d) {
  for (u32 v = 0; v < 8; v++)
    for (u32 lane = 0; lane < half_lanes; lane++) {
      const u32 odd = lane >> 4, row = 2 * v + odd + 16 * odd;
      u16 sum = u16(c[v][lane] >> shift);
      for (u32 k = 0; k < 8; k++) sum = silicon::dot2_packed(factor, a[k][row], b[k][lane], sum, to_max);
      d[v][lane] = (d[v][lane] & ~(0xffffu << shift)) | u32(sum) << shift;
    }
}

bool wmma_half_quick(const Fragment& a, const Fragment& b, const Fragment& c, u32 shift, Fragment& d) {
  if (!silicon::has_wmma_avx512()) return false;
  silicon::WmmaRows rows;
  silicon::WmmaColumns columns;
  return silicon::split_wmma_rows(a[0], rows) && silicon::split_wmma_columns(b[0], columns) &&
         silicon::wmma_half_avx512(rows, columns, c[0], d[0], shift);
}

// 16-bit results: one half of each register, by OPSEL[2]; the other half stays. Narrowed after every step.
template <silicon::Factor factor>
void v_wmma_16(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  alignas(64) Fragment a, b, c, d;
  if (!gather_factor(wave, in.src[0], 8, a) || !gather_factor(wave, in.src[1], 8, b)) return;
  u32 constant = 0;
  if (!in.src[2].is_vgpr()) {
    constant = factor == silicon::Factor::f16 ? scalar_half(wave, in.src[2].code, in)
                                              : wave.scalar(in.src[2].code, in) >> 16;
    constant = (constant & 0xffff) | constant << 16;
  }
  gather_sum(wave, in, constant, c);
  for (u32 v = 0; v < 8; v++)
    for (u32 odd = 0; odd < 2; odd++) std::memcpy(&d[v][16 * odd], sixteen(wave, in.dst.vgpr(), v, odd), 64);
  flip_signs(a, 0, in);
  flip_signs(b, 1, in);
  const u32 shift = (in.opsel & 4) != 0 ? 16 : 0;
  modify_sum(c, in, 0x8000u << shift);
  if (factor != silicon::Factor::f16 || !wmma_half_quick(a, b, c, shift, d))
    wmma_packed<factor>(a, b, c, shift, (wave.mode >> 23 & 1) != 0, d);
  scatter(wave, in, d);
}

// iu8: four registers of four bytes; iu4: two of eight. NEG[0], NEG[1]: the factor is signed.
template <u32 bits>
void v_wmma_integer(Wave& wave, const Step& step) {
  const Instruction& in = step.in;
  if ((in.neg & 4) != 0 || in.neg_hi != 0) return wave.raise("undefined", "neg bits of an integer WMMA");
  constexpr u32 count = bits / 2;
  alignas(64) Fragment a, b, c, result;
  if (!gather_factor(wave, in.src[0], count, a) || !gather_factor(wave, in.src[1], count, b)) return;
  gather_sum(wave, in, in.src[2].is_vgpr() ? 0 : wave.scalar(in.src[2].code, in), c);
  const bool a_signed = (in.neg & 1) != 0, b_signed = (in.neg & 2) != 0;
  const auto part = [](u32 word, u32 i, bool is_signed) __attribute__((always_inline)) {
    const u32 up = word << (32 - bits - i * bits);
    return is_signed ? i32(up) >> (32 - bits) : i32(up >> (32 - bits));
  };
  alignas(64) i32 left[16][half_lanes], right[16][half_lanes];   // [k][lane]
  for (u32 k = 0; k < 16; k++)
    for (u32 lane = 0; lane < half_lanes; lane++) {
      left[k][lane] = part(a[k * bits / 32][lane], k % (32 / bits), a_signed);
      right[k][lane] = part(b[k * bits / 32][lane], k % (32 / bits), b_signed);
    }
  for (u32 v = 0; v < 8; v++)
    for (u32 odd = 0; odd < 2; odd++) {
      const u32 row = 2 * v + odd + 16 * odd, first = 16 * odd;
      i32 sum[16] = {};                                          // at most 16 * 255 * 255
      for (u32 k = 0; k < 16; k++)
        for (u32 j = 0; j < 16; j++) sum[j] += left[k][row] * right[k][first + j];
      for (u32 j = 0; j < 16; j++) {
        const u32 base = c[v][first + j];
        result[v][first + j] = in.clamp ? u32(arith::clamp_to<i32>(i64(i32(base)) + sum[j])) : base + u32(sum[j]);
      }
    }
  scatter(wave, in, result);
}

constexpr Binding bindings[] = {
    {Opcode::v_wmma_f32_16x16x16_f16, v_wmma_f32<silicon::Factor::f16>},
    {Opcode::v_wmma_f32_16x16x16_bf16, v_wmma_f32<silicon::Factor::bf16>},
    {Opcode::v_wmma_f16_16x16x16_f16, v_wmma_16<silicon::Factor::f16>},
    {Opcode::v_wmma_bf16_16x16x16_bf16, v_wmma_16<silicon::Factor::bf16>},
    {Opcode::v_wmma_i32_16x16x16_iu8, v_wmma_integer<8>},
    {Opcode::v_wmma_i32_16x16x16_iu4, v_wmma_integer<4>},
};

}  // namespace

std::span<const Binding> wmma_bindings() { return bindings; }

}  // namespace amlm::isa
