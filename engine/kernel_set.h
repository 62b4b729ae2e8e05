// The kernels a model needs, looked up once at load.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "driver/base.h"
#include "driver/code_object.h"
#include "engine/model/model.h"

namespace amlm {

struct KernelSet {
  static constexpr u32 types = 7;                            // of kernels::WeightType
  using ByType = std::array<const Kernel*, types>;           // null: the model has no such matrix

  ByType embed{}, qkv{}, attn_out{}, gate_up{}, down{}, logits{}, gemm_store{}, gemm_add{};
  const Kernel* attn_decode = nullptr;
  const Kernel* argmax_final = nullptr;
  const Kernel* rmsnorm_f16 = nullptr;
  const Kernel* swiglu_f16 = nullptr;
  const Kernel* rope_kv = nullptr;
  const Kernel* attn_prefill = nullptr;

  // unsupported, with the kernel's name, when the code object lacks one that the model needs.
  static Result<KernelSet> resolve(const CodeObject& code, const Model& model);
};

// The types among these matrices, each once.
std::vector<kernels::WeightType> distinct_types(std::initializer_list<Weight> weights);

}  // namespace amlm
