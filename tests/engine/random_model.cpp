#include "tests/engine/random_model.h"

#include <bit>
#include <random>

#include "tests/reference/dequantize.h"

namespace amlm::tests {

namespace {

using kernels::WeightType;

u32 type_id(WeightType type) {
  switch (type) {
    case WeightType::f32: return gguf_type_id::f32;
    case WeightType::f16: return gguf_type_id::f16;
    case WeightType::bf16: return gguf_type_id::bf16;
    case WeightType::q8_0: return gguf_type_id::q8_0;
    case WeightType::q4_0: return gguf_type_id::q4_0;
    case WeightType::q4_k: return gguf_type_id::q4_k;
    case WeightType::q6_k: return gguf_type_id::q6_k;
  }
  return ~0u;
}

}  // namespace

Bytes random_blocks(WeightType type, u64 elements, u32 seed) {
  std::mt19937 random(seed);
  std::normal_distribution<f32> normal(0, 0.05f);
  std::uniform_real_distribution<f32> spread(0.5f, 1.5f);
  const u32 bytes = reference::block_bytes(type);
  Bytes out;
  out.resize(elements / reference::block_elements(type) * bytes);
  for (u8& byte : out) byte = static_cast<u8>(random());
  const auto put_half = [&](u64 at, f32 value) {
    const u16 half = reference::f32_to_f16(value);
    std::memcpy(out.data() + at, &half, 2);
  };
  for (u64 at = 0; at < out.size(); at += bytes) {
    const f32 value = normal(random), scale = spread(random);
    switch (type) {
      case WeightType::f32: std::memcpy(out.data() + at, &value, 4); break;
      case WeightType::f16: put_half(at, value); break;
      case WeightType::bf16: {
        const u16 upper = static_cast<u16>(std::bit_cast<u32>(value) >> 16);
        std::memcpy(out.data() + at, &upper, 2);
        break;
      }
      case WeightType::q8_0: put_half(at, scale * 0.05f / 73); break;
      case WeightType::q4_0: put_half(at, scale * 0.05f / 4.6f); break;
      case WeightType::q4_k:                       // minimums that take off what the nibbles are on average
        put_half(at, scale * 0.05f / 180);
        put_half(at + 2, scale * 0.05f / 180 * 7.5f);
        break;
      case WeightType::q6_k: put_half(at + 208, scale * 0.05f / 1300); break;      // a subnormal, as in real files
    }
  }
  return out;
}

GgufBuilder random_model(const RandomModel& shape) {
  GgufBuilder out = tiny_llama();
  std::vector<std::string> texts = out.token_texts;
  std::vector<f32> scores(shape.vocabulary);
  std::vector<i32> kinds(shape.vocabulary, 1);
  while (texts.size() < shape.vocabulary) texts.push_back("token" + std::to_string(texts.size()));
  for (u32 id = 0; id < 259; ++id) kinds[id] = id < 3 ? 3 : 6;
  out.set_strings("tokenizer.ggml.tokens", texts).set_array<f32>("tokenizer.ggml.scores", scores);
  out.set_array<i32>("tokenizer.ggml.token_type", kinds);
  out.set<u32>("llama.context_length", 4096).set<u32>("llama.embedding_length", shape.embedding);
  out.set<u32>("llama.block_count", shape.layers).set<u32>("llama.feed_forward_length", shape.feed_forward);
  out.set<u32>("llama.attention.head_count", shape.heads).set<u32>("llama.attention.head_count_kv", shape.kv_heads);
  out.set<u32>("llama.attention.key_length", shape.head_size).set<u32>("llama.attention.value_length", shape.head_size);
  out.set<u32>("llama.rope.dimension_count", shape.rope_dimensions);
  if (shape.rope_scale != 1)
    out.set_text("llama.rope.scaling.type", "linear").set<f32>("llama.rope.scaling.factor", shape.rope_scale);
  out.tensors.clear();
  u32 seed = shape.seed;
  const auto matrix = [&](const std::string& name, WeightType type, u64 columns, u64 rows) {
    out.add(name, {columns, rows}, type_id(type), random_blocks(type, columns * rows, ++seed));
  };
  const auto vector = [&](const std::string& name, u64 size) {
    Bytes data;
    std::mt19937 random(++seed);
    std::uniform_real_distribution<f32> value(0.5f, 1.5f);
    for (u64 i = 0; i < size; ++i) data.put(value(random));
    out.add(name, {size}, gguf_type_id::f32, std::move(data));
  };
  matrix("token_embd.weight", shape.type, shape.embedding, shape.vocabulary);
  vector("output_norm.weight", shape.embedding);
  if (!shape.tied) matrix("output.weight", shape.output, shape.embedding, shape.vocabulary);
  if (shape.rope_factors) vector("rope_freqs.weight", shape.rope_dimensions / 2);
  const u64 q = u64{shape.heads} * shape.head_size, kv = u64{shape.kv_heads} * shape.head_size;
  for (u32 i = 0; i < shape.layers; ++i) {
    const std::string layer = "blk." + std::to_string(i) + ".";
    vector(layer + "attn_norm.weight", shape.embedding);
    matrix(layer + "attn_q.weight", shape.type, shape.embedding, q);
    matrix(layer + "attn_k.weight", shape.type, shape.embedding, kv);
    matrix(layer + "attn_v.weight", shape.value, shape.embedding, kv);
    matrix(layer + "attn_output.weight", shape.type, q, shape.embedding);
    vector(layer + "ffn_norm.weight", shape.embedding);
    matrix(layer + "ffn_gate.weight", shape.type, shape.embedding, shape.feed_forward);
    matrix(layer + "ffn_up.weight", shape.up, shape.embedding, shape.feed_forward);
    matrix(layer + "ffn_down.weight", shape.type, shape.feed_forward, shape.embedding);
  }
  return out;
}

}  // namespace amlm::tests
