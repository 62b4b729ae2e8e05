// The argument structs of kernels.h lie in memory as the assembly reads them, for every kernel of the code object.
#include <catch2/catch.hpp>
#include <cstddef>
#include <map>
#include <set>

#include "driver/code_object.h"
#include "kernels/kernels.h"

namespace amlm::test {

namespace {

struct Field { std::string name; u32 offset; };
struct Family { u32 bytes; std::vector<Field> fields; };

#define FIELD(name) Field{#name, static_cast<u32>(offsetof(Args, name))}
template <class T> struct FieldsOf;
#define FIELDS(type, ...)                                             \
  template <> struct FieldsOf<kernels::type> {                        \
    using Args = kernels::type;                                       \
    static Family family() { return {sizeof(Args), {__VA_ARGS__}}; }  \
  };

FIELDS(EmbedArgs, FIELD(table), FIELD(tokens), FIELD(x), FIELD(columns), FIELD(rows))
FIELDS(QkvArgs, FIELD(wq), FIELD(wk), FIELD(wv), FIELD(x), FIELD(norm_weight), FIELD(rope), FIELD(state), FIELD(q),
       FIELD(k_cache), FIELD(v_cache), FIELD(columns), FIELD(q_rows), FIELD(k_rows), FIELD(v_rows), FIELD(head_size),
       FIELD(context), FIELD(epsilon), FIELD(padding))
FIELDS(AttnDecodeArgs, FIELD(q), FIELD(k_cache), FIELD(v_cache), FIELD(state), FIELD(partial_out), FIELD(partial_stat),
       FIELD(heads), FIELD(kv_heads), FIELD(head_size), FIELD(context), FIELD(splits), FIELD(padding))
FIELDS(AttnOutArgs, FIELD(wo), FIELD(partial_out), FIELD(partial_stat), FIELD(state), FIELD(x), FIELD(rows),
       FIELD(columns), FIELD(heads), FIELD(head_size), FIELD(splits), FIELD(padding))
FIELDS(GateUpArgs, FIELD(wg), FIELD(wu), FIELD(x), FIELD(norm_weight), FIELD(h), FIELD(rows), FIELD(columns),
       FIELD(epsilon), FIELD(padding))
FIELDS(DownArgs, FIELD(w), FIELD(h), FIELD(x), FIELD(rows), FIELD(columns))
FIELDS(LogitsArgs, FIELD(w), FIELD(x), FIELD(norm_weight), FIELD(logits), FIELD(best), FIELD(rows), FIELD(columns),
       FIELD(epsilon), FIELD(padding))
FIELDS(ArgmaxFinalArgs, FIELD(best), FIELD(state), FIELD(tokens), FIELD(count), FIELD(capacity))
FIELDS(RmsnormArgs, FIELD(x), FIELD(weight), FIELD(y), FIELD(columns), FIELD(epsilon))
FIELDS(GemmArgs, FIELD(w), FIELD(a), FIELD(c), FIELD(rows), FIELD(columns), FIELD(tokens), FIELD(row_stride))
FIELDS(SwigluArgs, FIELD(gate_up), FIELD(h), FIELD(rows), FIELD(padding))
FIELDS(RopeKvArgs, FIELD(qkv), FIELD(rope), FIELD(q), FIELD(k_cache), FIELD(v_cache), FIELD(heads), FIELD(kv_heads),
       FIELD(head_size), FIELD(context), FIELD(first_position), FIELD(padding))
FIELDS(AttnPrefillArgs, FIELD(q), FIELD(k_cache), FIELD(v_cache), FIELD(out), FIELD(heads), FIELD(kv_heads),
       FIELD(head_size), FIELD(context), FIELD(first_position), FIELD(tokens))

template <class T>
void add(std::map<std::string, Family>& out, const std::vector<std::string>& names) {
  for (const std::string& name : names) out.emplace(name, FieldsOf<T>::family());
}

std::vector<std::string> typed(const std::string& before, const std::string& after = "") {
  std::vector<std::string> out;
  for (u32 type = 0; type < 7; ++type) {
    out.push_back(before + std::string(kernels::name(static_cast<kernels::WeightType>(type))) + after);
  }
  return out;
}

std::map<std::string, Family> expected() {
  std::map<std::string, Family> out;
  add<kernels::EmbedArgs>(out, typed("embed_"));
  add<kernels::QkvArgs>(out, typed("qkv_"));
  add<kernels::AttnDecodeArgs>(out, {"attn_decode"});
  add<kernels::AttnOutArgs>(out, typed("attn_out_"));
  add<kernels::GateUpArgs>(out, typed("gate_up_"));
  add<kernels::DownArgs>(out, typed("down_"));
  add<kernels::LogitsArgs>(out, typed("logits_"));
  add<kernels::ArgmaxFinalArgs>(out, {"argmax_final"});
  add<kernels::RmsnormArgs>(out, {"rmsnorm_f16"});
  add<kernels::GemmArgs>(out, typed("gemm_", "_store"));
  add<kernels::GemmArgs>(out, typed("gemm_", "_add"));
  add<kernels::SwigluArgs>(out, {"swiglu_f16"});
  add<kernels::RopeKvArgs>(out, {"rope_kv"});
  add<kernels::AttnPrefillArgs>(out, {"attn_prefill_32", "attn_prefill_64", "attn_prefill_96", "attn_prefill_128"});
  return out;
}

}  // namespace

TEST_CASE("argument structs match the assembly", "[abi]") {
  const auto image = parse_code_object(kernels::code_object());
  REQUIRE(image.has_value());
  std::map<std::string, std::map<std::string, u32>> arguments;     // kernel -> field -> offset
  for (const auto& [name, value] : image->symbols) {
    const auto dot = name.find(".arg.");
    if (dot != std::string::npos) arguments[name.substr(0, dot)][name.substr(dot + 5)] = value;
  }
  const auto families = expected();
  std::set<std::string> seen;
  for (const Kernel& kernel : image->kernels) {
    INFO(kernel.name);
    seen.insert(kernel.name);
    const auto family = families.find(kernel.name);
    REQUIRE(family != families.end());
    CHECK(kernel.kernarg_bytes == family->second.bytes);
    CHECK(kernel.group_lanes >= 32);
    CHECK(kernel.wave_lanes == 32);
    CHECK(kernel.scratch_lane_bytes == 0);
    const auto& assembly = arguments[kernel.name];
    CHECK(assembly.size() == family->second.fields.size());
    for (const Field& field : family->second.fields) {
      INFO(field.name);
      const auto found = assembly.find(field.name);
      REQUIRE(found != assembly.end());
      CHECK(found->second == field.offset);
    }
  }
  for (const auto& [name, family] : families) {
    INFO(name);
    CHECK(seen.count(name) == 1);
  }
}

}  // namespace amlm::test
