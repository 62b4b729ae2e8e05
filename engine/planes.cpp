#include "engine/planes.h"

#include <cstring>

namespace amlm {

namespace {

using kernels::WeightType;

// Where a part of a block goes: `bytes` bytes at `offset` of the block are the block's share of a plane.
struct Part { u32 offset, bytes; };
struct Block { u32 elements, bytes, parts; Part part[4]; };

// ggml-common.h: block_q8_0 {f16 d; i8 qs[32]}, block_q4_0 {f16 d; u8 qs[16]}, block_q4_K (144 bytes, kept whole),
// block_q6_K {u8 ql[128]; u8 qh[64]; i8 scales[16]; f16 d}.
constexpr Block block_of(WeightType type) {
  switch (type) {
    case WeightType::f32: return {1, 4, 1, {{0, 4}}};
    case WeightType::f16:
    case WeightType::bf16: return {1, 2, 1, {{0, 2}}};
    case WeightType::q8_0: return {32, 34, 2, {{2, 32}, {0, 2}}};
    case WeightType::q4_0: return {32, 18, 2, {{2, 16}, {0, 2}}};
    case WeightType::q4_k: return {256, 144, 1, {{0, 144}}};
    case WeightType::q6_k: return {256, 210, 4, {{0, 128}, {128, 64}, {192, 16}, {208, 2}}};
  }
  return {};
}

constexpr u64 plane_alignment_bytes = 256;

// A compile-time length, so that each copy is a few moves.
template <u32 bytes> void copy_part(u8* target, const u8* source, u64 blocks, u32 block_bytes) {
  for (u64 b = 0; b < blocks; ++b) std::memcpy(target + b * bytes, source + b * block_bytes, bytes);
}

void copy_part(const Part& part, u8* target, const u8* source, u64 blocks, u32 block_bytes) {
  switch (part.bytes) {
    case 2: return copy_part<2>(target, source, blocks, block_bytes);
    case 16: return copy_part<16>(target, source, blocks, block_bytes);
    case 32: return copy_part<32>(target, source, blocks, block_bytes);
    case 64: return copy_part<64>(target, source, blocks, block_bytes);
    case 128: return copy_part<128>(target, source, blocks, block_bytes);
    default: check(false, "a part of a block that no type has");
  }
}

// An exponent of all ones is an infinity or no number.
template <class Word, Word exponent> BlockScan scan(std::span<const u8> blocks, u32 stride, u32 offset) {
  constexpr Word magnitude = static_cast<Word>(~Word{0}) >> 1;
  Word any = 0;
  bool bad = false;
  for (u64 at = offset; at < blocks.size(); at += stride) {
    Word word;
    std::memcpy(&word, blocks.data() + at, sizeof word);
    any = static_cast<Word>(any | (word & magnitude));
    bad |= (word & exponent) == exponent;
  }
  return {!bad, any != 0};
}

}  // namespace

u64 PlaneLayout::packed_row_bytes() const {
  u64 sum = 0;
  for (u32 p = 0; p < count; ++p) sum += planes[p].row_bytes;
  return sum;
}

u32 block_bytes(WeightType type) { return block_of(type).bytes; }
u32 block_elements(WeightType type) { return block_of(type).elements; }

PlaneLayout plane_layout(WeightType type, u64 rows, u64 columns) {
  const Block block = block_of(type);
  check(columns % block.elements == 0, "columns are whole blocks");
  PlaneLayout out;
  out.count = block.parts;
  for (u32 p = 0; p < block.parts; ++p) {
    out.planes[p].offset_bytes = out.size_bytes;
    out.planes[p].row_bytes = columns / block.elements * block.part[p].bytes;
    const u64 bytes = out.planes[p].row_bytes * rows;
    out.size_bytes += (bytes + plane_alignment_bytes - 1) / plane_alignment_bytes * plane_alignment_bytes;
  }
  return out;
}

kernels::Matrix matrix_at(const PlaneLayout& layout, u64 va) {
  kernels::Matrix out;
  for (u32 p = 0; p < layout.count; ++p) out.plane[p] = va + layout.planes[p].offset_bytes;
  return out;
}

void pack_rows(WeightType type, const PlaneLayout& layout, std::span<const u8> blocks, u64 rows,
               const std::array<u8*, 4>& planes) {
  const Block block = block_of(type);
  check(blocks.size() == layout.packed_row_bytes() * rows, "whole rows");
  if (block.parts == 1) {
    std::memcpy(planes[0], blocks.data(), blocks.size());
    return;
  }
  const u64 count = blocks.size() / block.bytes;
  for (u32 p = 0; p < block.parts; ++p)
    copy_part(block.part[p], planes[p], blocks.data() + block.part[p].offset, count, block.bytes);
  if (type == WeightType::q8_0)                          // kernels want q + 128
    for (u64 i = 0; i < count * 32; ++i) planes[0][i] ^= 0x80;
}

BlockScan scan_blocks(WeightType type, std::span<const u8> blocks) {
  constexpr u16 f16_exponent = 0x7c00, bf16_exponent = 0x7f80;
  switch (type) {
    case WeightType::f32: return scan<u32, 0x7f800000u>(blocks, 4, 0);
    case WeightType::f16: return scan<u16, f16_exponent>(blocks, 2, 0);
    case WeightType::bf16: return scan<u16, bf16_exponent>(blocks, 2, 0);
    case WeightType::q8_0: return scan<u16, f16_exponent>(blocks, 34, 0);
    case WeightType::q4_0: return scan<u16, f16_exponent>(blocks, 18, 0);
    case WeightType::q6_k: return scan<u16, f16_exponent>(blocks, 210, 208);
    case WeightType::q4_k: {
      const BlockScan scale = scan<u16, f16_exponent>(blocks, 144, 0);
      const BlockScan minimum = scan<u16, f16_exponent>(blocks, 144, 2);
      return {scale.finite && minimum.finite, scale.nonzero || minimum.nonzero};
    }
  }
  return {};
}

}  // namespace amlm
