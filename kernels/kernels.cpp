#include "kernels/kernels.h"

#include <array>

extern "C" const amlm::u8 amlm_kernels_begin[], amlm_kernels_end[];   // code_object.s

namespace amlm::kernels {

std::span<const u8> code_object() { return {amlm_kernels_begin, amlm_kernels_end}; }

std::string_view name(WeightType type) {
  static constexpr std::array<std::string_view, 7> names{"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k"};
  return names[static_cast<std::size_t>(type)];
}

}  // namespace amlm::kernels
