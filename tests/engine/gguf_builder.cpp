#include "tests/engine/gguf_builder.h"

#include <algorithm>
#include <random>

namespace amlm::tests {

GgufBuilder& GgufBuilder::set(const std::string& key, u32 type, Bytes value) {
  for (Pair& pair : pairs)
    if (pair.key == key) {
      pair = {key, type, std::move(value)};
      return *this;
    }
  pairs.push_back({key, type, std::move(value)});
  return *this;
}

GgufBuilder& GgufBuilder::set_strings(const std::string& key, const std::vector<std::string>& values) {
  Bytes bytes;
  bytes.put(static_cast<u32>(GgufValueType::string)).put<u64>(values.size());
  for (const std::string& value : values) bytes.text(value);
  return set(key, static_cast<u32>(GgufValueType::array), bytes);
}

GgufBuilder& GgufBuilder::remove(const std::string& key) {
  std::erase_if(pairs, [&](const Pair& pair) { return pair.key == key; });
  return *this;
}

GgufBuilder::Tensor& GgufBuilder::tensor(const std::string& name) {
  const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
  check(at != tensors.end(), "no such tensor");
  return *at;
}

GgufBuilder& GgufBuilder::add(const std::string& name, std::vector<u64> ne, u32 type, Bytes data) {
  tensors.push_back({name, std::move(ne), type, std::move(data), {}, {}, {}});
  return *this;
}

Bytes GgufBuilder::build() const {
  Bytes out, data;
  for (const char c : magic) out.push_back(static_cast<u8>(c));
  out.put(version).put<u64>(tensor_count.value_or(tensors.size())).put<u64>(pair_count.value_or(pairs.size()));
  for (const Pair& pair : pairs) {
    out.text(pair.key).put(pair.type);
    out.insert(out.end(), pair.value.begin(), pair.value.end());
  }
  for (const Tensor& tensor : tensors) {
    out.put<u64>(tensor.size_of_name.value_or(tensor.name.size()));
    out.insert(out.end(), tensor.name.begin(), tensor.name.end());
    out.put<u32>(tensor.dimensions.value_or(static_cast<u32>(tensor.ne.size())));
    for (const u64 ne : tensor.ne) out.put(ne);
    out.put(tensor.type).put<u64>(tensor.offset.value_or(data.size()));
    data.insert(data.end(), tensor.data.begin(), tensor.data.end());
    data.resize((data.size() + alignment - 1) / alignment * alignment);
  }
  out.resize((out.size() + alignment - 1) / alignment * alignment);
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

u64 GgufBuilder::header_bytes() const {
  u64 data = 0;
  for (const Tensor& tensor : tensors) data += (tensor.data.size() + alignment - 1) / alignment * alignment;
  return build().size() - data;
}

GgufBuilder tiny_llama(u32 seed) {
  GgufBuilder out;
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  std::vector<i32> kinds{2, 3, 3};
  for (u32 byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    tokens.emplace_back(text);
    kinds.push_back(6);
  }
  for (const char* piece : {"\xe2\x96\x81", "a", "b", "ab", "\xe2\x96\x81" "ab"}) {
    tokens.emplace_back(piece);
    kinds.push_back(1);
  }
  std::vector<f32> scores(tokens.size());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<f32>(i);
  out.token_texts = tokens;
  out.set_text("general.architecture", "llama");
  out.set_text("general.name", "tiny");
  out.set<u32>("llama.context_length", 256).set<u32>("llama.embedding_length", 32).set<u32>("llama.block_count", 1);
  out.set<u32>("llama.feed_forward_length", 64).set<u32>("llama.attention.head_count", 1);
  out.set<u32>("llama.attention.head_count_kv", 1).set<f32>("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  out.set<u32>("llama.rope.dimension_count", 32).set<f32>("llama.rope.freq_base", 10000.0f);
  out.set_text("tokenizer.ggml.model", "llama");
  out.set_strings("tokenizer.ggml.tokens", tokens).set_array<f32>("tokenizer.ggml.scores", scores);
  out.set_array<i32>("tokenizer.ggml.token_type", kinds);
  out.set<u32>("tokenizer.ggml.bos_token_id", 1).set<u32>("tokenizer.ggml.eos_token_id", 2);

  std::mt19937 random(seed);
  std::uniform_real_distribution<f32> value(-0.5f, 0.5f);
  const auto add = [&](const char* name, std::vector<u64> ne) {
    u64 count = 1;
    for (const u64 n : ne) count *= n;
    Bytes data;
    for (u64 i = 0; i < count; ++i) data.put(value(random));
    out.add(name, std::move(ne), 0, std::move(data));
  };
  add("token_embd.weight", {32, tokens.size()});
  add("output_norm.weight", {32});
  add("blk.0.attn_norm.weight", {32});
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight",
                           "blk.0.attn_output.weight"})
    add(name, {32, 32});
  add("blk.0.ffn_norm.weight", {32});
  add("blk.0.ffn_gate.weight", {32, 64});
  add("blk.0.ffn_up.weight", {32, 64});
  add("blk.0.ffn_down.weight", {64, 32});
  return out;
}

}  // namespace amlm::tests
