// Weights as the kernels want them: a GGUF tensor's blocks taken apart into planes (kernels/kernels.h, Matrix), so that
// every load of a kernel is aligned. Sizes are in bytes; a row of a tensor becomes one row of each plane.
#pragma once

#include <array>
#include <span>

#include "driver/base.h"
#include "kernels/kernels.h"

namespace amlm {

struct PlaneLayout {
  struct Plane { u64 offset_bytes = 0, row_bytes = 0; };     // offset from the start of the matrix, on 256 bytes
  std::array<Plane, 4> planes{};
  u32 count = 0;
  u64 size_bytes = 0;                                        // of all planes, with the padding between them
  u64 packed_row_bytes() const;                              // of one row in all planes = of a row in the file
};

// Columns must be whole blocks of the type (check).
PlaneLayout plane_layout(kernels::WeightType type, u64 rows, u64 columns);

// The matrix that starts at `va`.
kernels::Matrix matrix_at(const PlaneLayout& layout, u64 va);

// Packs `rows` rows of file blocks. `planes[p]` receives rows * layout.planes[p].row_bytes bytes.
void pack_rows(kernels::WeightType type, const PlaneLayout& layout, std::span<const u8> blocks, u64 rows,
               const std::array<u8*, 4>& planes);

// What the numbers of a tensor's blocks say of its health: of block types the scales are looked at.
struct BlockScan { bool finite = true, nonzero = false; };
BlockScan scan_blocks(kernels::WeightType type, std::span<const u8> blocks);

// Of the type's block in the file.
u32 block_bytes(kernels::WeightType type);
u32 block_elements(kernels::WeightType type);

}  // namespace amlm
