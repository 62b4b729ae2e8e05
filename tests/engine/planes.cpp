// Planes against the plain dequantization of the file's blocks: every element comes back from where kernels read it.
#include "engine/planes.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "tests/reference/dequantize.h"
#include "tests/seed.h"

using namespace amlm;
using kernels::WeightType;

namespace {

constexpr WeightType types[] = {WeightType::f32,  WeightType::f16,  WeightType::bf16, WeightType::q8_0,
                                WeightType::q4_0, WeightType::q4_k, WeightType::q6_k};

u32 seed() { return static_cast<u32>(test_seed(5)); }

// A block of the file put together again from the planes, by the layout in kernels/kernels.h.
std::vector<u8> block_from_planes(WeightType type, const PlaneLayout& layout, const std::vector<u8>& memory, u64 row,
                                  u64 block) {
  std::vector<u8> out(block_bytes(type));
  const auto part = [&](u32 plane, u32 bytes, u32 at) {
    const auto& p = layout.planes[plane];
    std::memcpy(out.data() + at, memory.data() + p.offset_bytes + row * p.row_bytes + block * bytes, bytes);
  };
  switch (type) {
    case WeightType::q8_0:
      part(0, 32, 2), part(1, 2, 0);
      for (u32 i = 0; i < 32; ++i) out[2 + i] = static_cast<u8>(out[2 + i] - 128);
      break;
    case WeightType::q4_0: part(0, 16, 2), part(1, 2, 0); break;
    case WeightType::q6_k: part(0, 128, 0), part(1, 64, 128), part(2, 16, 192), part(3, 2, 208); break;
    default: part(0, block_bytes(type), 0); break;
  }
  return out;
}

}  // namespace

TEST_CASE("planes hold every block of the file") {
  std::mt19937 random(seed());
  INFO("seed " << seed());
  for (const WeightType type : types)
    for (const u64 rows : {1u, 3u, 17u})
      for (const u64 columns : {256u, 768u}) {
        const PlaneLayout layout = plane_layout(type, rows, columns);
        std::vector<u8> file(rows * columns / block_elements(type) * block_bytes(type));
        for (u8& byte : file) byte = static_cast<u8>(random());
        REQUIRE(layout.packed_row_bytes() * rows == file.size());
        std::vector<u8> memory(layout.size_bytes, 0xee);
        // In two steps, as the loader does it.
        const u64 first = rows / 2, row_bytes = layout.packed_row_bytes();
        const auto at_row = [&](u64 row) {
          std::array<u8*, 4> out{};
          for (u32 p = 0; p < layout.count; ++p)
            out[p] = memory.data() + layout.planes[p].offset_bytes + row * layout.planes[p].row_bytes;
          return out;
        };
        pack_rows(type, layout, std::span(file).first(first * row_bytes), first, at_row(0));
        pack_rows(type, layout, std::span(file).subspan(first * row_bytes), rows - first, at_row(first));
        const u64 blocks = columns / block_elements(type);
        for (u64 row = 0; row < rows; ++row)
          for (u64 block = 0; block < blocks; ++block) {
            const auto start = file.begin() + static_cast<i64>((row * blocks + block) * block_bytes(type));
            REQUIRE(block_from_planes(type, layout, memory, row, block) ==
                    std::vector<u8>(start, start + block_bytes(type)));
          }
      }
}

TEST_CASE("planes start on 256 bytes, do not overlap, and waste little") {
  for (const WeightType type : types)
    for (const u64 rows : {1u, 2u, 33u, 4096u}) {
      const PlaneLayout layout = plane_layout(type, rows, 512);
      u64 end = 0;
      for (u32 p = 0; p < layout.count; ++p) {
        REQUIRE(layout.planes[p].offset_bytes % 256 == 0);
        REQUIRE(layout.planes[p].offset_bytes >= end);
        end = layout.planes[p].offset_bytes + layout.planes[p].row_bytes * rows;
      }
      REQUIRE(end <= layout.size_bytes);
      REQUIRE(layout.size_bytes <= layout.packed_row_bytes() * rows + 256 * layout.count);
      const kernels::Matrix matrix = matrix_at(layout, 0x1000);
      for (u32 p = 0; p < 4; ++p)
        REQUIRE(matrix.plane[p] == (p < layout.count ? 0x1000 + layout.planes[p].offset_bytes : 0));
    }
}

TEST_CASE("blocks that hold no number are found") {
  for (const WeightType type : types) {
    std::vector<u8> file(8 * 256 / block_elements(type) * block_bytes(type), 0);
    REQUIRE(scan_blocks(type, file).finite);
    REQUIRE_FALSE(scan_blocks(type, file).nonzero);
    // The scale's place in the second block of the row (the second element, for plain types).
    const u32 scale = type == WeightType::q6_k ? 208 : 0;
    const u32 bytes = type == WeightType::f32 ? 4 : 2;
    const auto put = [&](f32 value) {
      const u16 half = type == WeightType::bf16 ? static_cast<u16>(std::bit_cast<u32>(value) >> 16)
                                                : reference::f32_to_f16(value);
      u8* at = file.data() + block_bytes(type) + scale;
      if (bytes == 4) std::memcpy(at, &value, 4);
      else std::memcpy(at, &half, 2);
    };
    put(1.5f);
    REQUIRE(scan_blocks(type, file).finite);
    REQUIRE(scan_blocks(type, file).nonzero);
    REQUIRE(reference::dequantize(type, file).size() == 8 * 256);
    for (const f32 value : {std::numeric_limits<f32>::quiet_NaN(), std::numeric_limits<f32>::infinity(),
                            -std::numeric_limits<f32>::infinity()}) {
      put(value);
      REQUIRE_FALSE(scan_blocks(type, file).finite);
    }
    put(-0.0f);
    REQUIRE_FALSE(scan_blocks(type, file).nonzero);
  }
}

TEST_CASE("f16 conversions of the reference agree with the compiler's") {
  for (u32 bits = 0; bits < 0x10000; ++bits) {
    const f32 value = reference::f16_to_f32(static_cast<u16>(bits));
    _Float16 half;
    std::memcpy(&half, &bits, 2);
    if (std::isnan(value)) {
      REQUIRE(std::isnan(static_cast<f32>(half)));
    } else {
      REQUIRE(std::bit_cast<u32>(value) == std::bit_cast<u32>(static_cast<f32>(half)));
      REQUIRE(reference::f32_to_f16(value) == bits);
    }
  }
  std::mt19937 random(seed());
  for (u32 i = 0; i < 100'000; ++i) {
    const f32 value = std::bit_cast<f32>(static_cast<u32>(random()));
    if (std::isnan(value)) continue;
    const _Float16 half = static_cast<_Float16>(value);
    u16 bits;
    std::memcpy(&bits, &half, 2);
    REQUIRE(reference::f32_to_f16(value) == bits);
  }
}
