// Metadata that make no sense: divide by zero, ranges, vocabularies. The numbers are those of the list of bad inputs.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "engine/model/model.h"
#include "tests/engine/gguf_builder.h"

using namespace amlm;
using namespace amlm::tests;

namespace {

void refused(const GgufBuilder& builder, ErrorCode code, std::string_view part) {
  const Bytes bytes = builder.build();
  auto file = GgufFile::parse(ByteSource::from_bytes(bytes, "test"));
  REQUIRE(file.has_value());
  const auto model = Model::load(*std::move(file));
  REQUIRE_FALSE(model.has_value());
  INFO(model.error().sentence);
  REQUIRE(static_cast<int>(model.error().code) == static_cast<int>(code));
  REQUIRE(model.error().sentence.find(part) != std::string::npos);
}

template <class T> void refused_value(const char* key, T value, ErrorCode code, std::string_view part) {
  GgufBuilder builder = tiny_llama();
  refused(builder.set<T>(key, value), code, part);
}

constexpr auto bad = ErrorCode::bad_model;
constexpr auto unsupported = ErrorCode::unsupported;
constexpr f32 not_a_number = std::numeric_limits<f32>::quiet_NaN(), infinity = std::numeric_limits<f32>::infinity();

}  // namespace

TEST_CASE("27 block_count") {
  for (const u32 value : {0u, 513u, ~0u}) refused_value<u32>("llama.block_count", value, bad, "llama.block_count");
  refused_value<u32>("llama.block_count", 2, bad, "no tensor 'blk.1.attn_norm.weight'");
}

TEST_CASE("28 heads") {
  refused_value<u32>("llama.attention.head_count", 0, bad, "head_count");
  refused_value<u32>("llama.attention.head_count_kv", 0, bad, "head_count_kv");
  refused_value<u32>("llama.attention.head_count_kv", 2, bad, "divide evenly");
  GgufBuilder uneven = tiny_llama();
  refused(uneven.set<u32>("llama.attention.head_count", 3).set<u32>("llama.attention.head_count_kv", 2), bad, "evenly");
  GgufBuilder three = tiny_llama();
  refused(three.set<u32>("llama.attention.head_count", 3), bad, "does not divide by the 3 heads");
  refused_value<u32>("llama.attention.value_length", 64, unsupported, "values 64");
  refused_value<u32>("llama.attention.key_length", 48, unsupported, "");
  GgufBuilder array = tiny_llama();
  refused(array.set_array<u32>("llama.attention.head_count", {1, 1}), unsupported, "its own number");
}

TEST_CASE("29 embedding_length") {
  refused_value<u32>("llama.embedding_length", 0, bad, "embedding_length");
  refused_value<u32>("llama.embedding_length", 64, bad, "token_embd.weight");
  refused_value<u32>("llama.embedding_length", ~0u, bad, "embedding_length");
  refused_value<u32>("llama.feed_forward_length", 0, bad, "feed_forward_length");
}

TEST_CASE("30 experts") {
  for (const u32 value : {1u, 8u, 1'000'000u}) refused_value<u32>("llama.expert_count", value, unsupported, "experts");
  GgufBuilder none = tiny_llama();
  const Bytes bytes = none.set<u32>("llama.expert_count", 0).build();
  REQUIRE(Model::load(*GgufFile::parse(ByteSource::from_bytes(bytes, "test"))).has_value());
}

TEST_CASE("31 rope") {
  for (const u32 value : {0u, 31u, 34u, ~0u})
    refused_value<u32>("llama.rope.dimension_count", value, bad, "llama.rope.dimension_count");
  for (const f32 value : {0.0f, -1.0f, not_a_number, infinity})
    refused_value<f32>("llama.rope.freq_base", value, bad, "freq_base");
  GgufBuilder yarn = tiny_llama();
  refused(yarn.set_text("llama.rope.scaling.type", "yarn"), unsupported, "'yarn'");
  GgufBuilder linear = tiny_llama();
  refused(linear.set_text("llama.rope.scaling.type", "linear"), bad, "scaling.factor");
  refused(linear.set<f32>("llama.rope.scaling.factor", 0), bad, "scaling.factor");
}

TEST_CASE("32-33 epsilon and context") {
  for (const f32 value : {0.0f, -1e-5f, not_a_number, infinity})
    refused_value<f32>("llama.attention.layer_norm_rms_epsilon", value, bad, "epsilon");
  refused_value<u32>("llama.context_length", 0, bad, "context_length");
  refused_value<u64>("llama.context_length", u64{1} << 63, bad, "must be of type u32");
}

TEST_CASE("34-35 vocabulary") {
  refused_value<u32>("llama.vocab_size", 263, bad, "the tokenizer has 264");
  GgufBuilder fewer = tiny_llama();
  std::vector<std::string> texts = fewer.token_texts;
  texts.pop_back();
  refused(fewer.set_strings("tokenizer.ggml.tokens", texts), bad, "entries for 263 tokens");
  fewer.set_array<f32>("tokenizer.ggml.scores", std::vector<f32>(263)).remove("tokenizer.ggml.token_type");
  refused(fewer, bad, "token_embd.weight");
  refused_value<u32>("tokenizer.ggml.bos_token_id", 264, bad, "bos_token_id");
  refused_value<u32>("tokenizer.ggml.eos_token_id", 1u << 31, bad, "eos_token_id");
  GgufBuilder empty = tiny_llama();
  refused(empty.set_strings("tokenizer.ggml.tokens", {}), bad, "0 tokens");
  GgufBuilder no_score = tiny_llama();
  refused(no_score.remove("tokenizer.ggml.scores"), bad, "tokenizer.ggml.scores");
  std::vector<f32> scores(264, 0);
  scores[5] = not_a_number;
  GgufBuilder nan_score = tiny_llama();
  refused(nan_score.set_array<f32>("tokenizer.ggml.scores", scores), bad, "score");
}

TEST_CASE("36 byte tokens, kinds, empty tokens") {
  for (const char* text : {"<0x-1>", "<0xZZ>", "<0x1>", "<0x123>", ""}) {
    GgufBuilder builder = tiny_llama();
    std::vector<std::string> texts = builder.token_texts;
    texts[10] = text;
    refused(builder.set_strings("tokenizer.ggml.tokens", texts), bad, "marked as a byte");
  }
  for (const i32 kind : {0, 7, -1}) {
    GgufBuilder builder = tiny_llama();
    std::vector<i32> kinds(264, 1);
    kinds[3] = kind;
    refused(builder.set_array<i32>("tokenizer.ggml.token_type", kinds), bad, "unknown kind " + std::to_string(kind));
  }
  GgufBuilder builder = tiny_llama();
  std::vector<std::string> texts = builder.token_texts;
  texts[260] = "";
  const Bytes bytes = builder.set_strings("tokenizer.ggml.tokens", texts).build();
  const auto model = Model::load(*GgufFile::parse(ByteSource::from_bytes(bytes, "test")));
  REQUIRE(model.has_value());
  REQUIRE((*model)->tokenizer().encode("ab").has_value());
}

TEST_CASE("36 merges") {
  const auto with = [](const std::vector<std::string>& merges) {
    GgufBuilder builder = tiny_llama();
    std::vector<std::string> texts;
    for (u32 byte = 0; byte < 256; ++byte) texts.push_back(bpe_text_of_byte(static_cast<u8>(byte)));
    while (texts.size() < 264) texts.push_back("extra" + std::to_string(texts.size()));
    builder.set_text("tokenizer.ggml.model", "gpt2").set_strings("tokenizer.ggml.tokens", texts);
    builder.remove("tokenizer.ggml.token_type").remove("tokenizer.ggml.scores");
    return builder.set_strings("tokenizer.ggml.merges", merges);
  };
  refused(with({"a b"}), bad, "makes a text that is no token");
  refused(with({"nowhere b"}), bad, "names a text that is no token");
  for (const char* merge : {"", "ab", " ", "a ", "\xff\xfe"}) refused(with({merge}), bad, "");
  refused(with({}).remove("tokenizer.ggml.merges"), bad, "tokenizer.ggml.merges");
  GgufBuilder other = with({});
  refused(other.set_text("tokenizer.ggml.pre", "tekken"), unsupported, "'tekken'");
  GgufBuilder model = with({});
  refused(model.set_text("tokenizer.ggml.model", "rwkv"), unsupported, "'rwkv'");
  GgufBuilder byte = with({});
  refused(byte.set_strings("tokenizer.ggml.tokens", std::vector<std::string>(264, "x")), bad, "no token for byte 0");
}

TEST_CASE("36-37 a million merges too many, a large chat template") {
  GgufBuilder merges = tiny_llama();
  std::vector<std::string> texts;
  for (u32 byte = 0; byte < 256; ++byte) texts.push_back(bpe_text_of_byte(static_cast<u8>(byte)));
  texts.push_back("ab");
  merges.set_text("tokenizer.ggml.model", "gpt2").set_strings("tokenizer.ggml.tokens", texts);
  merges.remove("tokenizer.ggml.token_type").remove("tokenizer.ggml.scores");
  merges.set_strings("tokenizer.ggml.merges", std::vector<std::string>(BpeEncoder::merge_limit + 1, "a b"));
  refused(merges, unsupported, "1048577 merges");
  // Templates are not read: nothing in one can do harm.
  GgufBuilder chat = tiny_llama();
  const Bytes bytes = chat.set_text("tokenizer.chat_template", std::string(10 << 20, '{')).build();
  REQUIRE(Model::load(*GgufFile::parse(ByteSource::from_bytes(bytes, "test"))).has_value());
}

TEST_CASE("tensors and architectures that are missing or too many") {
  for (const auto& tensor : tiny_llama().tensors) {
    GgufBuilder builder = tiny_llama();
    std::erase_if(builder.tensors, [&](const auto& t) { return t.name == tensor.name; });
    refused(builder, bad, "'" + tensor.name + "'");
  }
  GgufBuilder bias = tiny_llama();
  refused(bias.add("blk.0.attn_q.bias", {32}, 0, bias.tensor("output_norm.weight").data), unsupported,
          "'blk.0.attn_q.bias'");
  GgufBuilder qwen = tiny_llama();
  refused(qwen.set_text("general.architecture", "qwen35moe"), unsupported, "'qwen35moe'");
  for (const auto& pair : tiny_llama().pairs) {
    const bool optional = pair.key == "general.name" || pair.key == "llama.attention.head_count_kv" ||
                          pair.key.starts_with("llama.rope") || pair.key == "tokenizer.ggml.token_type" ||
                          pair.key.ends_with("_token_id");
    GgufBuilder builder = tiny_llama();
    builder.remove(pair.key);
    if (!optional) refused(builder, bad, "");
  }
}
