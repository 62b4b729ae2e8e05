#include "engine/kernel_set.h"

#include <algorithm>

namespace amlm {

namespace {

Result<const Kernel*> find(const CodeObject& code, const std::string& name) {
  if (const Kernel* kernel = code.find(name)) return kernel;
  return fail(ErrorCode::unsupported, "this build of amlm has no kernel '" + name + "', which the model needs");
}

Result<void> find_typed(const CodeObject& code, KernelSet::ByType& table, kernels::WeightType type,
                        const std::string& before, const std::string& after = "") {
  const Kernel*& entry = table[static_cast<u32>(type)];
  if (!entry) entry = TRY(find(code, before + std::string(kernels::name(type)) + after));
  return {};
}

}  // namespace

std::vector<kernels::WeightType> distinct_types(std::initializer_list<Weight> weights) {
  std::vector<kernels::WeightType> out;
  for (const Weight& weight : weights)
    if (std::find(out.begin(), out.end(), weight.type) == out.end()) out.push_back(weight.type);
  return out;
}

Result<KernelSet> KernelSet::resolve(const CodeObject& code, const Model& model) {
  KernelSet out;
  TRY_VOID(find_typed(code, out.embed, model.embedding().type, "embed_"));
  TRY_VOID(find_typed(code, out.logits, model.output().type, "logits_"));
  TRY_VOID(find_typed(code, out.gemm_store, model.output().type, "gemm_", "_store"));
  for (const LayerWeights& w : model.layers()) {
    for (const auto type : distinct_types({w.wq, w.wk, w.wv})) TRY_VOID(find_typed(code, out.qkv, type, "qkv_"));
    for (const auto type : distinct_types({w.wq, w.wk, w.wv, w.gate, w.up}))
      TRY_VOID(find_typed(code, out.gemm_store, type, "gemm_", "_store"));
    for (const auto type : distinct_types({w.wo, w.down}))
      TRY_VOID(find_typed(code, out.gemm_add, type, "gemm_", "_add"));
    TRY_VOID(find_typed(code, out.attn_out, w.wo.type, "attn_out_"));
    TRY_VOID(find_typed(code, out.down, w.down.type, "down_"));
    if (w.gate.type == w.up.type) {
      TRY_VOID(find_typed(code, out.gate_up, w.gate.type, "gate_up_"));
    } else {
      for (const auto type : {w.gate.type, w.up.type}) TRY_VOID(find_typed(code, out.logits, type, "logits_"));
    }
  }
  out.attn_decode = TRY(find(code, "attn_decode"));
  out.argmax_final = TRY(find(code, "argmax_final"));
  out.rmsnorm_f16 = TRY(find(code, "rmsnorm_f16"));
  out.swiglu_f16 = TRY(find(code, "swiglu_f16"));
  out.rope_kv = TRY(find(code, "rope_kv"));
  out.attn_prefill = TRY(find(code, "attn_prefill_" + std::to_string(model.config().head_size)));
  return out;
}

}  // namespace amlm
