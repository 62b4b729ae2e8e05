// libFuzzer target: any bytes as a text, for a SentencePiece-style and a byte-level vocabulary. Bytes must come back.
#include <string>

#include "engine/tokenizer/tokenizer.h"
#include "tests/engine/gguf_builder.h"

namespace {

using namespace amlm;
using namespace amlm::tests;

Tokenizer load(GgufBuilder builder) {
  static std::vector<Bytes> kept;          // the tokenizer's views point here
  kept.reserve(8);
  kept.push_back(builder.build());
  const auto file = GgufFile::parse(ByteSource::from_bytes(kept.back(), "fuzz"));
  check(file.has_value(), "the builder's file is good");
  auto tokenizer = Tokenizer::load(*file);
  check(tokenizer.has_value(), "the builder's tokenizer is good");
  return *std::move(tokenizer);
}

Tokenizer byte_level(const char* pre) {
  GgufBuilder builder;
  std::vector<std::string> texts;
  for (u32 byte = 0; byte < 256; ++byte) texts.push_back(bpe_text_of_byte(static_cast<u8>(byte)));
  for (const char* text : {"ab", "abc", "11", "\xc4\xa0" "a"}) texts.emplace_back(text);
  builder.set_text("tokenizer.ggml.model", "gpt2").set_text("tokenizer.ggml.pre", pre);
  builder.set_strings("tokenizer.ggml.tokens", texts);
  builder.set_strings("tokenizer.ggml.merges", {"a b", "ab c", "1 1", "\xc4\xa0 a"});
  return load(builder.set("tokenizer.ggml.add_bos_token", false));
}

void round_trip(const Tokenizer& tokenizer, std::string_view text, const std::string& before) {
  const auto ids = tokenizer.encode(text, {.ends = Ends::none});
  if (!ids) return;                        // a regular expression's limit
  std::string back;
  TokenStream stream(tokenizer);
  for (const u32 id : *ids) {
    back += tokenizer.piece(id, SpecialText::tokens);
    (void)stream.push(id);
  }
  (void)stream.finish();
  check(back == (text.empty() ? "" : before + std::string(text)), "the text comes back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  static const Tokenizer spm = load(tiny_llama()), llama = byte_level("llama-bpe"), qwen = byte_level("qwen2"),
                         plain = byte_level("default");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find("\xe2\x96\x81") == std::string_view::npos) round_trip(spm, text, " ");      // it stands for a space
  round_trip(llama, text, "");
  round_trip(qwen, text, "");
  round_trip(plain, text, "");
  (void)spm.encode(text, {.special = SpecialText::tokens});
  return 0;
}
