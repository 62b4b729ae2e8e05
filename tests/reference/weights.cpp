#include "tests/reference/weights.h"

#include <algorithm>
#include <cstring>

#include "tests/reference/dequantize.h"

namespace amlm::reference {

namespace {

using kernels::WeightType;

struct Part { u32 offset, bytes; };

// Where in a block the parts are that become planes 0, 1, ...
std::vector<Part> parts(WeightType type) {
  switch (type) {
    case WeightType::q8_0: return {{2, 32}, {0, 2}};
    case WeightType::q4_0: return {{2, 16}, {0, 2}};
    case WeightType::q6_k: return {{0, 128}, {128, 64}, {192, 16}, {208, 2}};
    default: return {{0, block_bytes(type)}};
  }
}

void put_f16(u8* at, f32 value) {
  const u16 bits = f32_to_f16(value);
  std::memcpy(at, &bits, 2);
}

struct Filler {
  std::mt19937_64& random;
  Fill fill;
  f32 unit() { return static_cast<f32>(static_cast<i32>(random() >> 40) - (1 << 23)) * 0x1p-23f; }
  // A scale of about `size`, or at the worst the largest; now and then negative.
  f32 scale(f32 size) {
    if (fill == Fill::large) size *= 4096;
    const f32 value = fill == Fill::worst ? size : size * (0.25f + 0.75f * unit() * unit());
    return random() % 8 ? value : -value;
  }
  void bytes(u8* at, u32 count) {
    static constexpr u8 extremes[] = {0x00, 0xff, 0x80, 0x7f, 0x0f, 0xf0};
    const u8 same = extremes[random() % 6];
    for (u32 i = 0; i < count; ++i) at[i] = fill == Fill::worst ? same : static_cast<u8>(random());
  }
  void block(WeightType type, u8* at) {
    bytes(at, block_bytes(type));
    switch (type) {
      case WeightType::f32: {
        const f32 value =
            fill == Fill::worst ? (random() % 2 ? 1.0f : -0x1p-20f) : unit() * (fill == Fill::large ? 1e6f : 1);
        std::memcpy(at, &value, 4);
        break;
      }
      case WeightType::f16: {
        const u64 choice = random() % 8;
        const f32 worst = choice == 0 ? 0x1p-24f : choice == 1 ? 0x1p-15f : choice == 2 ? 60000.0f : unit();
        put_f16(at, fill == Fill::worst ? worst : unit() * (fill == Fill::large ? 4096 : 1));
        break;
      }
      case WeightType::bf16: at[1] = static_cast<u8>((fill == Fill::large ? 0x44 : 0x3c) | (at[1] & 0x83)); break;
      case WeightType::q8_0: put_f16(at, scale(1.0f / 128)); break;
      case WeightType::q4_0: put_f16(at, scale(1.0f / 8)); break;
      case WeightType::q4_k: put_f16(at, scale(1.0f / 512)); put_f16(at + 2, scale(1.0f / 64)); break;
      case WeightType::q6_k: put_f16(at + 208, scale(1.0f / 4096)); break;
    }
  }
};

}  // namespace

Weights random_weights(std::mt19937_64& random, WeightType type, u32 rows, u32 columns, Fill fill) {
  const u64 blocks = static_cast<u64>(rows) * columns / block_elements(type);
  Weights out{.type = type,
              .rows = rows,
              .columns = columns,
              .blocks = std::vector<u8>(blocks * block_bytes(type)),
              .values = {}};
  Filler filler{random, fill};
  for (u64 b = 0; b < blocks; ++b) filler.block(type, out.blocks.data() + b * block_bytes(type));
  out.values = dequantize(type, out.blocks);
  return out;
}

std::array<std::vector<u8>, 4> split_planes(const Weights& weights) {
  std::array<std::vector<u8>, 4> planes;
  const std::vector<Part> layout = parts(weights.type);
  for (u64 at = 0; at < weights.blocks.size(); at += block_bytes(weights.type)) {
    for (std::size_t p = 0; p < layout.size(); ++p) {
      const u8* source = weights.blocks.data() + at + layout[p].offset;
      planes[p].insert(planes[p].end(), source, source + layout[p].bytes);
    }
  }
  if (weights.type == WeightType::q8_0) {
    for (u8& quant : planes[0]) quant ^= 0x80;             // q + 128
  }
  return planes;
}

}  // namespace amlm::reference
