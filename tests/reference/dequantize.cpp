#include "tests/reference/dequantize.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace amlm::reference {

namespace {

using kernels::WeightType;

u16 u16_at(const u8* bytes) { return static_cast<u16>(bytes[0] | bytes[1] << 8); }
f32 f16_at(const u8* bytes) { return f16_to_f32(u16_at(bytes)); }

void q8_0(const u8* block, f32* out) {
  const f32 d = f16_at(block);
  for (u32 i = 0; i < 32; ++i) out[i] = d * static_cast<f32>(static_cast<i8>(block[2 + i]));
}

void q4_0(const u8* block, f32* out) {
  const f32 d = f16_at(block);
  for (u32 i = 0; i < 16; ++i) {
    out[i] = d * static_cast<f32>((block[2 + i] & 15) - 8);
    out[i + 16] = d * static_cast<f32>((block[2 + i] >> 4) - 8);
  }
}

// 8 scales and 8 minimums of 6 bits in 12 bytes: the first four lie in the low bits of bytes 0-3 and 4-7, of the
// others the low four bits in bytes 8-11 and the top two above those of the first four.
void q4_k_scale(const u8* s, u32 i, u32& scale, u32& minimum) {
  if (i < 4) {
    scale = s[i] & 63u;
    minimum = s[i + 4] & 63u;
  } else {
    scale = (s[i + 4] & 15u) | (s[i - 4] >> 6u) << 4u;
    minimum = (s[i + 4] >> 4u) | (s[i] >> 6u) << 4u;
  }
}

void q4_k(const u8* block, f32* out) {
  const f32 d = f16_at(block), dmin = f16_at(block + 2);
  const u8* scales = block + 4;
  const u8* nibbles = block + 16;
  for (u32 element = 0; element < 256; ++element) {
    const u32 group = element / 32;                    // two groups share 32 bytes: low, then high nibbles
    const u8 byte = nibbles[group / 2 * 32 + element % 32];
    const u32 q = group % 2 ? byte >> 4u : byte & 15u;
    u32 scale = 0, minimum = 0;
    q4_k_scale(scales, group, scale, minimum);
    out[element] = d * static_cast<f32>(scale) * static_cast<f32>(q) - dmin * static_cast<f32>(minimum);
  }
}

void q6_k(const u8* block, f32* out) {
  const u8* ql = block;
  const u8* qh = block + 128;
  const u8* scales = block + 192;
  const f32 d = f16_at(block + 208);
  for (u32 element = 0; element < 256; ++element) {
    const u32 half = element / 128, quarter = element % 128 / 32, lane = element % 32;
    const u8 low_byte = ql[half * 64 + quarter % 2 * 32 + lane];
    const u32 low = quarter / 2 ? low_byte >> 4u : low_byte & 15u;
    const u32 high = qh[half * 32 + lane] >> (2 * quarter) & 3u;
    const i32 q = static_cast<i32>(low | high << 4) - 32;
    out[element] = d * static_cast<f32>(static_cast<i8>(scales[element / 16])) * static_cast<f32>(q);
  }
}

}  // namespace

f32 f16_to_f32(u16 bits) {
  const f32 sign = bits & 0x8000 ? -1.0f : 1.0f;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 0x3ff;
  if (exponent == 31) return fraction ? std::nanf("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(static_cast<f32>(fraction), -24);
  return sign * std::ldexp(static_cast<f32>(fraction + 1024), exponent - 25);
}

u16 f32_to_f16(f32 value) {
  const u16 sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return static_cast<u16>(sign | 0x7e00);
  const f64 magnitude = std::fabs(static_cast<f64>(value));
  if (magnitude >= 65520) return static_cast<u16>(sign | 0x7c00);
  int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  const f64 scaled = std::ldexp(magnitude, 10 - exponent);        // 1024..2048, less for subnormals
  const u32 fraction = static_cast<u32>(std::nearbyint(scaled));  // the default mode rounds to even
  if (fraction < 1024) return static_cast<u16>(sign | fraction);
  return static_cast<u16>(sign | ((static_cast<u32>(exponent + 14) << 10) + fraction));
}

f32 bf16_to_f32(u16 bits) { return std::bit_cast<f32>(static_cast<u32>(bits) << 16); }

u32 block_bytes(WeightType type) {
  switch (type) {
    case WeightType::f32: return 4;
    case WeightType::f16: return 2;
    case WeightType::bf16: return 2;
    case WeightType::q8_0: return 34;
    case WeightType::q4_0: return 18;
    case WeightType::q4_k: return 144;
    case WeightType::q6_k: return 210;
  }
  return 0;
}

u32 block_elements(WeightType type) {
  switch (type) {
    case WeightType::f32:
    case WeightType::f16:
    case WeightType::bf16: return 1;
    case WeightType::q8_0:
    case WeightType::q4_0: return 32;
    case WeightType::q4_k:
    case WeightType::q6_k: return 256;
  }
  return 0;
}

std::vector<f32> dequantize(WeightType type, std::span<const u8> blocks) {
  const u32 bytes = block_bytes(type), elements = block_elements(type);
  check(blocks.size() % bytes == 0, "whole blocks");
  std::vector<f32> out(blocks.size() / bytes * elements);
  for (u64 b = 0; b < blocks.size() / bytes; ++b) {
    const u8* block = blocks.data() + b * bytes;
    f32* target = out.data() + b * elements;
    switch (type) {
      case WeightType::f32: std::memcpy(target, block, 4); break;
      case WeightType::f16: *target = f16_at(block); break;
      case WeightType::bf16: *target = bf16_to_f32(u16_at(block)); break;
      case WeightType::q8_0: q8_0(block, target); break;
      case WeightType::q4_0: q4_0(block, target); break;
      case WeightType::q4_k: q4_k(block, target); break;
      case WeightType::q6_k: q6_k(block, target); break;
    }
  }
  return out;
}

}  // namespace amlm::reference
