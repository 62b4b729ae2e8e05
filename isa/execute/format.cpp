#include "isa/execute/format.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "isa/execute/host_vectors.h"
#include "isa/execute/arithmetic.h"

namespace amlm::isa {

namespace {

using enum Number;
constexpr Number any[] = {unorm, snorm, uscaled, sscaled, uint, sint, floating}, four[] = {unorm, snorm, uint, sint},
                 wide[] = {uint, sint, floating}, floats[] = {floating};
constexpr std::span<const Number> integers{any, 6};

struct Formats {
  u32 first;
  std::array<u8, 4> bits;
  std::span<const Number> numbers;
};
constexpr Formats formats[] = {
    {1, {8}, integers},         {7, {16}, any},
    {14, {8, 8}, integers},     {20, {32}, wide},
    {23, {16, 16}, any},        {30, {11, 11, 10}, floats},          // 10_11_11
    {31, {10, 11, 11}, floats},   {32, {2, 10, 10, 10}, four},       // 11_11_10; 10_10_10_2
    {36, {10, 10, 10, 2}, integers},                               // 2_10_10_10
    {42, {8, 8, 8, 8}, integers}, {48, {32, 32}, wide},
    {51, {16, 16, 16, 16}, any}, {58, {32, 32, 32}, wide},
    {61, {32, 32, 32, 32}, wide},
};

u32 mask_of(u32 bits) { return bits == 32 ? ~0u : (1u << bits) - 1; }

// 10 and 11 bits: no sign, 5 exponent bits with bias 15.
f32 small_float(u32 field, u32 bits) {
  const i32 fraction_bits = i32(bits) - 5;
  const u32 exponent = field >> fraction_bits, fraction = field & mask_of(u32(fraction_bits));
  if (exponent == 31) return std::bit_cast<f32>(0x7f800000u | fraction << (23 - fraction_bits));
  const u32 significand = fraction | (exponent ? 1u << fraction_bits : 0);
  return std::ldexp(f32(significand), std::max(i32(exponent), 1) - 15 - fraction_bits);
}

// Rounded to nearest even; negative values are 0, too large finite ones the largest.
u32 to_small_float(f32 value, u32 bits) {
  const i32 fraction_bits = i32(bits) - 5;
  const u32 infinity = 31u << fraction_bits;
  if (std::isnan(value)) return infinity | 1u << (fraction_bits - 1);
  if (value <= 0) return 0;
  if (std::isinf(value)) return infinity;
  const f64 largest = small_float(infinity - 1, bits);
  if (value >= largest) return infinity - 1;
  const i32 exponent = std::max(std::ilogb(value), -14);
  const u32 significand = u32(arith::rndne(std::ldexp(f64(value), fraction_bits - exponent)));
  return (u32(exponent + 14) << fraction_bits) + significand;
}

u32 unpack(u32 field, u32 bits, Number number) {
  const i32 extended = i32(field << (32 - bits)) >> (32 - bits);
  switch (number) {
    case uint: return field;
    case sint: return u32(extended);
    case unorm: return std::bit_cast<u32>(f32(field) / f32(mask_of(bits)));
    case snorm: return std::bit_cast<u32>(std::max(-1.0f, f32(extended) / f32(mask_of(bits - 1))));
    case uscaled: return std::bit_cast<u32>(f32(field));
    case sscaled: return std::bit_cast<u32>(f32(extended));
    case floating: break;
  }
  if (bits == 32) return field;
  return std::bit_cast<u32>(bits == 16 ? _cvtsh_ss(u16(field)) : small_float(field, bits));
}

u32 pack(u32 value, u32 bits, Number number) {
  const f32 real = std::bit_cast<f32>(value);
  const f64 wide_value = std::isnan(real) ? 0.0 : f64(real), largest = mask_of(bits), largest_signed = mask_of(bits - 1);
  switch (number) {
    case uint: case sint: return value & mask_of(bits);
    case unorm: return u32(arith::rndne(std::clamp(wide_value, 0.0, 1.0) * largest));
    case snorm: return u32(i32(arith::rndne(std::clamp(wide_value, -1.0, 1.0) * largest_signed))) & mask_of(bits);
    case uscaled: return u32(std::clamp(wide_value, 0.0, largest));
    case sscaled: return u32(i32(std::clamp(wide_value, -largest_signed - 1, largest_signed))) & mask_of(bits);
    case floating: break;
  }
  if (bits == 32) return value;
  return bits == 16 ? u32(_cvtss_sh(real, _MM_FROUND_TO_NEAREST_INT)) : to_small_float(real, bits);
}

}  // namespace

std::optional<BufferFormat> buffer_format(u32 number) {
  for (const Formats& group : formats)
    if (number >= group.first && number - group.first < group.numbers.size())
      return BufferFormat{group.bits, group.numbers[number - group.first]};
  return std::nullopt;
}

std::array<u32, 4> unpack_components(const BufferFormat& format, u32 select, const u8* from) {
  std::array<u32, 4> channels{}, result{};
  u32 at = 0;
  for (u32 i = 0; i < 4 && from && format.bits[i]; at += format.bits[i++]) {
    u64 word = 0;
    std::memcpy(&word, from + at / 32 * 4, std::min(4u, format.bytes() - at / 32 * 4));
    channels[i] = unpack(u32(word >> at % 32) & mask_of(format.bits[i]), format.bits[i], format.number);
  }
  for (u32 i = 0; i < 4; ++i) {
    const u32 which = select >> 3 * i & 7;
    result[i] = which >= 4 ? channels[which - 4] : which == 0 ? 0 : format.integer() ? 1 : 0x3f800000;
  }
  return result;
}

void pack_components(const BufferFormat& format, u32 select, std::span<const u32> components, u8* to) {
  std::array<u32, 4> words{};
  u32 at = 0;
  for (u32 i = 0; i < 4 && format.bits[i]; at += format.bits[i++]) {
    u32 source = 0;
    while (source < 4 && (select >> 3 * source & 7) != i + 4) ++source;
    const u32 value = source == 4 ? 0 : components[source < components.size() ? source : 0];
    words[at / 32] |= pack(value, format.bits[i], format.number) << at % 32;
  }
  std::memcpy(to, words.data(), format.bytes());
}

// Only 32-bit floats are cut; everything else rounds to nearest even.
u16 narrowed_component(const BufferFormat& format, u32 value) {
  if (format.integer()) return u16(value);
  const f32 real = std::bit_cast<f32>(value);
  if (format.number == floating && format.bits[0] == 32) return u16(arith::to_f16_toward_zero(real));
  return _cvtss_sh(real, _MM_FROUND_TO_NEAREST_INT);
}

u32 widened_component(const BufferFormat& format, u16 value) {
  if (format.number == uint) return value;
  if (format.number == sint) return u32(i32(i16(value)));
  return std::bit_cast<u32>(_cvtsh_ss(value));
}

}  // namespace amlm::isa
