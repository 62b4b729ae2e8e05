// Weight matrices in GGUF's blocks: random ones, what they are worth, and the planes kernels.h splits them into.
#pragma once

#include <array>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace amlm::reference {

enum class Fill : u8 {
  typical,      // quants over their whole range, scales of one size
  worst,        // the largest quants and scales' bits of one sign, in long runs
  large,        // scales so large that products reach 1e6
};

struct Weights {
  kernels::WeightType type;
  u32 rows = 0, columns = 0;
  std::vector<u8> blocks;                        // as in the file
  std::vector<f32> values;                       // [rows][columns]
};

Weights random_weights(std::mt19937_64& random, kernels::WeightType type, u32 rows, u32 columns, Fill fill);

// The bytes of each plane (kernels.h, Matrix).
std::array<std::vector<u8>, 4> split_planes(const Weights& weights);

}  // namespace amlm::reference
