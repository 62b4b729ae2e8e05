#include "engine/model/config.h"

#include <cmath>

namespace amlm {

namespace {

constexpr u32 layer_limit = 512, width_limit = 1u << 20, head_limit = 1024, context_limit = 1u << 24;
constexpr u32 head_size_step = 32, head_size_limit = 256;      // kernels/kernels.h

struct Range { u32 low, high; };

Result<u32> number(const GgufFile& file, std::string_view key, Range range) {
  // Some converters write one number a layer; amlm runs models whose layers are alike.
  const GgufPair* pair = file.find(key);
  if (pair && pair->type == GgufValueType::array)
    return fail(ErrorCode::unsupported, "the metadata key " + quoted(key) +
                                            " gives each layer its own number; amlm runs models of equal layers");
  const u32 value = TRY(file.require<u32>(key));
  if (value < range.low || value > range.high)
    return fail(ErrorCode::bad_model, "the metadata key " + quoted(key) + " is " + std::to_string(value) +
                                          "; it must be from " + std::to_string(range.low) + " to " +
                                          std::to_string(range.high));
  return value;
}

Result<u32> number_or(const GgufFile& file, std::string_view key, u32 fallback, Range range) {
  if (!file.find(key)) return fallback;
  return number(file, key, range);
}

Result<f32> positive(std::string_view key, f32 value, f32 high) {
  if (std::isfinite(value) && value > 0 && value <= high) return value;
  return fail(ErrorCode::bad_model, "the metadata key " + quoted(key) + " is " + std::to_string(value) +
                                        "; it must be above 0 and at most " + std::to_string(high));
}

Result<void> read_heads(const GgufFile& file, ModelConfig& out) {
  out.heads = TRY(number(file, "llama.attention.head_count", {1, head_limit}));
  out.kv_heads = TRY(number_or(file, "llama.attention.head_count_kv", out.heads, {1, head_limit}));
  if (out.kv_heads > out.heads || out.heads % out.kv_heads != 0)
    return fail(ErrorCode::bad_model, std::to_string(out.heads) + " attention heads cannot share " +
                                          std::to_string(out.kv_heads) + " KV heads: it must divide evenly");
  if (!file.find("llama.attention.key_length") && out.embedding % out.heads != 0)
    return fail(ErrorCode::bad_model, "the embedding length " + std::to_string(out.embedding) +
                                          " does not divide by the " + std::to_string(out.heads) + " heads");
  out.head_size = TRY(number_or(file, "llama.attention.key_length", out.embedding / out.heads, {1, width_limit}));
  const u32 value_size = TRY(number_or(file, "llama.attention.value_length", out.head_size, {1, width_limit}));
  if (value_size != out.head_size)
    return fail(ErrorCode::unsupported, "keys have " + std::to_string(out.head_size) + " elements and values " +
                                            std::to_string(value_size) + "; amlm needs them alike");
  if (out.head_size % head_size_step != 0 || out.head_size > head_size_limit)
    return fail(ErrorCode::unsupported, "the head size is " + std::to_string(out.head_size) +
                                            "; amlm's kernels take multiples of 32 up to 256");
  return {};
}

Result<void> read_rope(const GgufFile& file, ModelConfig& out) {
  out.rope_dimensions = TRY(number_or(file, "llama.rope.dimension_count", out.head_size, {1, width_limit}));
  if (out.rope_dimensions % 2 != 0 || out.rope_dimensions > out.head_size)
    return fail(ErrorCode::bad_model, "llama.rope.dimension_count is " + std::to_string(out.rope_dimensions) +
                                          "; it must be even and at most the head size " +
                                          std::to_string(out.head_size));
  const f32 base = TRY(file.get_or<f32>("llama.rope.freq_base", 10000.0f));
  out.rope_base = TRY(positive("llama.rope.freq_base", base, 1e12f));
  const auto scaling = TRY(file.get_or<std::string_view>("llama.rope.scaling.type", "none"));
  if (scaling == "linear") {
    const f32 factor = TRY(file.require<f32>("llama.rope.scaling.factor"));
    out.rope_scale = TRY(positive("llama.rope.scaling.factor", factor, 1e6f));
  } else if (scaling != "none") {
    return fail(ErrorCode::unsupported, "the RoPE scaling " + quoted(scaling) +
                                            " is not supported; amlm has none, linear, and per-frequency factors");
  } else if (file.find("llama.rope.scale_linear")) {           // the key's name before "scaling"
    const f32 factor = TRY(file.require<f32>("llama.rope.scale_linear"));
    out.rope_scale = TRY(positive("llama.rope.scale_linear", factor, 1e6f));
  }
  return {};
}

}  // namespace

Result<ModelConfig> read_config(const GgufFile& file, u32 vocabulary) {
  const auto architecture = TRY(file.require<std::string_view>("general.architecture"));
  if (architecture != "llama")
    return fail(ErrorCode::unsupported, "the model's architecture is " + quoted(architecture) +
                                            "; amlm runs 'llama' (Llama 2 and 3, Mistral, SmolLM and their kin)");
  ModelConfig out;
  const auto name = TRY(file.get_or<std::string_view>("general.name", ""));
  out.name = std::string(name);
  if (const u32 experts = TRY(file.get_or<u32>("llama.expert_count", 0)); experts != 0)
    return fail(ErrorCode::unsupported, "the model has " + std::to_string(experts) +
                                            " experts; amlm runs dense models only");
  out.layers = TRY(number(file, "llama.block_count", {1, layer_limit}));
  out.embedding = TRY(number(file, "llama.embedding_length", {32, width_limit}));
  out.feed_forward = TRY(number(file, "llama.feed_forward_length", {32, width_limit}));
  out.trained_context = TRY(number(file, "llama.context_length", {1, context_limit}));
  TRY_VOID(read_heads(file, out));
  TRY_VOID(read_rope(file, out));
  const f32 epsilon = TRY(file.require<f32>("llama.attention.layer_norm_rms_epsilon"));
  out.epsilon = TRY(positive("llama.attention.layer_norm_rms_epsilon", epsilon, 1.0f));
  out.vocabulary = TRY(number_or(file, "llama.vocab_size", vocabulary, {1, width_limit}));
  if (out.vocabulary != vocabulary)
    return fail(ErrorCode::bad_model, "llama.vocab_size is " + std::to_string(out.vocabulary) +
                                          ", but the tokenizer has " + std::to_string(vocabulary) + " tokens");
  if (out.embedding % 32 != 0 || out.feed_forward % 32 != 0)
    return fail(ErrorCode::unsupported, "the embedding length " + std::to_string(out.embedding) +
                                            " and the feed-forward length " + std::to_string(out.feed_forward) +
                                            " must be multiples of 32 for amlm's kernels");
  return out;
}

}  // namespace amlm
