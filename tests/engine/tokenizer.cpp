// Tokenizers against llama.cpp's ids (stored in the demo model's reference.json), against a plain quadratic BPE, and on
// input that is meant to hurt.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/model/model.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/utf8.h"
#include "tests/engine/gguf_builder.h"
#include "tests/seed.h"

using namespace amlm;
using namespace amlm::tests;

namespace {

const std::string demo = AMLM_DEMO_FOLDER;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

const Model& demo_model() {
  static const auto model = Model::open(demo + "/fairytale-7m-q8_0.gguf");
  REQUIRE(model.has_value());
  return **model;
}

std::vector<u32> ids_of(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options = {}) {
  const auto ids = tokenizer.encode(text, options);
  REQUIRE(ids.has_value());
  return *ids;
}

std::string text_of(const Tokenizer& tokenizer, const std::vector<u32>& ids) {
  TokenStream stream(tokenizer);
  std::string out;
  for (const u32 id : ids) out += stream.push(id);
  return out + stream.finish();
}

u32 seed() { return static_cast<u32>(test_seed(7)); }

// A byte-level BPE vocabulary with these merges, and what is needed around it.
struct BpeModel {
  Bytes bytes;
  std::unique_ptr<Tokenizer> tokenizer;
  std::map<std::string, u32> ids;
  std::vector<std::pair<std::string, std::string>> merges;

  BpeModel(const std::string& pre, const std::vector<std::pair<std::string, std::string>>& pairs) : merges(pairs) {
    GgufBuilder builder;
    std::vector<std::string> texts, lines;
    for (u32 byte = 0; byte < 256; ++byte) texts.push_back(bpe_text_of_byte(static_cast<u8>(byte)));
    for (const auto& [left, right] : pairs) {
      texts.push_back(left + right);
      lines.push_back(left + " " + right);
    }
    texts.push_back("<|end|>");
    std::vector<i32> kinds(texts.size(), 1);
    kinds.back() = 3;
    for (u32 id = 0; id < texts.size(); ++id) ids[texts[id]] = id;
    builder.set_text("tokenizer.ggml.model", "gpt2").set_text("tokenizer.ggml.pre", pre);
    builder.set_strings("tokenizer.ggml.tokens", texts).set_strings("tokenizer.ggml.merges", lines);
    builder.set_array<i32>("tokenizer.ggml.token_type", kinds).set("tokenizer.ggml.add_bos_token", false);
    bytes = builder.build();
    auto file = GgufFile::parse(ByteSource::from_bytes(bytes, "test"));
    REQUIRE(file.has_value());
    auto loaded = Tokenizer::load(*file);
    REQUIRE(loaded.has_value());
    tokenizer = std::make_unique<Tokenizer>(*std::move(loaded));
  }

  // Joins the first pair of the best rank, again and again.
  std::vector<u32> plain(std::string_view word) const {
    std::vector<std::string> parts;
    for (const char c : word) parts.push_back(bpe_text_of_byte(static_cast<u8>(c)));
    for (const auto& [left, right] : repeat())
      for (size_t i = 0; i + 1 < parts.size();) {
        if (parts[i] == left && parts[i + 1] == right) {
          parts[i] += right;
          parts.erase(parts.begin() + static_cast<i64>(i) + 1);
        }
        ++i;
      }
    std::vector<u32> out;
    for (const std::string& part : parts) out.push_back(ids.at(part));
    return out;
  }
  const std::vector<std::pair<std::string, std::string>>& repeat() const { return merges; }
};

std::vector<std::string> words_of(const char* name, std::string_view text) {
  const auto pre = PreTokenizer::create(name);
  REQUIRE(pre.has_value());
  std::vector<std::string_view> views;
  REQUIRE(pre->split(text, views).has_value());
  return {views.begin(), views.end()};
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("llama.cpp's ids of the reference prompts") {
  const auto json = nlohmann::json::parse(read_text(demo + "/reference.json"));
  u32 seen = 0;
  for (const auto& entry : json["greedy"]) {
    REQUIRE(ids_of(demo_model().tokenizer(), entry["prompt"].get<std::string>()) ==
            entry["prompt_ids"].get<std::vector<u32>>());
    REQUIRE(text_of(demo_model().tokenizer(), entry["ids"].get<std::vector<u32>>()) == entry["text"]);
    ++seen;
  }
  REQUIRE(seen >= 4);
}

TEST_CASE("the whole of heldout.txt has 77,637 tokens and comes back") {
  std::string text = read_text(demo + "/heldout.txt");
  REQUIRE(text.back() == '\n');
  text.pop_back();
  const std::vector<u32> ids = ids_of(demo_model().tokenizer(), text);
  REQUIRE(ids.size() == 77'637);
  REQUIRE(ids[0] == demo_model().tokenizer().vocabulary().bos());
  REQUIRE(text_of(demo_model().tokenizer(), ids) == " " + text);       // the dummy prefix
}

TEST_CASE("special tokens in text are plain unless asked for") {
  const Tokenizer& tokenizer = demo_model().tokenizer();
  const auto plain = ids_of(tokenizer, "a</s>b");
  REQUIRE(std::count(plain.begin(), plain.end(), 2u) == 0);
  const auto parsed = ids_of(tokenizer, "a</s>b", {.special = SpecialText::tokens});
  REQUIRE(std::count(parsed.begin(), parsed.end(), 2u) == 1);
  const auto without = ids_of(tokenizer, "a", {.ends = Ends::none});
  REQUIRE(std::count(without.begin(), without.end(), 1u) == 0);
  REQUIRE(tokenizer.is_end_of_generation(2));
  REQUIRE_FALSE(tokenizer.is_end_of_generation(392));
  REQUIRE(tokenizer.piece(2).empty());
  REQUIRE(tokenizer.piece(2, SpecialText::tokens) == "</s>");
  REQUIRE(ids_of(tokenizer, "") == std::vector<u32>{1});
}

TEST_CASE("any bytes become tokens and come back") {
  const Tokenizer& tokenizer = demo_model().tokenizer();
  std::mt19937 random(seed());
  INFO("seed " << seed());
  for (u32 i = 0; i < 300; ++i) {
    std::string text;
    for (u32 n = random() % 40; n > 0; --n) text += static_cast<char>(random() % 4 ? 'a' + random() % 26 : random());
    const auto ids = ids_of(tokenizer, text, {.ends = Ends::none});
    std::string back;
    for (const u32 id : ids) back += tokenizer.piece(id);
    REQUIRE(back == (text.empty() ? "" : " " + text));
  }
}

TEST_CASE("a stream holds incomplete characters back") {
  const Tokenizer& tokenizer = demo_model().tokenizer();
  const auto byte = [](u8 value) { return 3u + value; };       // this model's byte tokens
  TokenStream stream(tokenizer);
  REQUIRE(stream.push(byte(0xf0)).empty());
  REQUIRE(stream.push(byte(0x9f)).empty());
  REQUIRE(stream.push(byte(0x98)).empty());
  REQUIRE(stream.push(byte(0x80)) == "\xf0\x9f\x98\x80");
  REQUIRE(stream.push(byte(0xe2)).empty());
  REQUIRE(stream.push(byte('a')) == "\xef\xbf\xbd" "a");
  REQUIRE(stream.push(byte(0xff)) == "\xef\xbf\xbd");
  REQUIRE(stream.push(byte(0xc3)).empty());
  REQUIRE(stream.finish() == "\xef\xbf\xbd");
  REQUIRE(stream.finish().empty());
}

TEST_CASE("pre-tokenizers cut where the models' own do") {
  REQUIRE(words_of("llama-bpe", "Hello  world, it's 12345!\n\n  x") ==
          Words{"Hello", " ", " world", ",", " it", "'s", " ", "123", "45", "!\n\n", " ", " x"});
  REQUIRE(words_of("qwen2", "Hello 123 I'LL") == Words{"Hello", " ", "1", "2", "3", " I", "'LL"});
  REQUIRE(words_of("llama-bpe", "\xc3\xa9t\xc3\xa9 \xe6\xbc\xa2\xe5\xad\x97") ==
          Words{"\xc3\xa9t\xc3\xa9", " \xe6\xbc\xa2\xe5\xad\x97"});
  REQUIRE(words_of("smollm", "I'm 42.") == Words{"I", "'m", " ", "4", "2", "."});
  REQUIRE(words_of("gpt-2", "I'm 42  ok") == Words{"I", "'m", " 42", " ", " ok"});
  // The default chain also cuts punctuation apart and numbers into threes.
  REQUIRE(words_of("default", "Hi, 12345 x") == Words{"Hi", ",", " ", "123", "45", " x"});
  REQUIRE(words_of("llama-bpe", "   ") == Words{"   "});
  REQUIRE(words_of("llama-bpe", "a\xff\xfe b") == Words{"a", "\xff\xfe", " b"});
  REQUIRE(words_of("llama-bpe", "").empty());
}

TEST_CASE("words cover every text without gaps") {
  std::mt19937 random(seed());
  INFO("seed " << seed());
  const char* parts[] = {"a", " ", "\n", "'", "s", "1", "\xc3\xa9", "\xff", ".", "\r", "\xe2\x80\x83",
                         "\xf0\x9f\x98\x80"};
  for (const char* name : {"llama-bpe", "qwen2", "gpt-2", "default"})
    for (u32 i = 0; i < 200; ++i) {
      std::string text, joined;
      for (u32 n = random() % 30; n > 0; --n) text += parts[random() % std::size(parts)];
      for (const std::string& word : words_of(name, text)) joined += word;
      REQUIRE(joined == text);
    }
}

TEST_CASE("byte-level BPE joins as the plain algorithm does") {
  std::mt19937 random(seed());
  INFO("seed " << seed());
  for (u32 round = 0; round < 20; ++round) {
    std::vector<std::pair<std::string, std::string>> merges;
    std::vector<std::string> known{"a", "b", "c"};
    for (u32 i = 0; i < 30; ++i) {
      const std::string left = known[random() % known.size()], right = known[random() % known.size()];
      if (left.size() + right.size() > 8) continue;
      if (std::find(known.begin(), known.end(), left + right) != known.end()) continue;
      merges.emplace_back(left, right);
      known.push_back(left + right);
    }
    const BpeModel model("qwen2", merges);
    for (u32 i = 0; i < 50; ++i) {
      std::string word;
      for (u32 n = 1 + random() % 40; n > 0; --n) word += static_cast<char>('a' + random() % 3);
      REQUIRE(ids_of(*model.tokenizer, word) == model.plain(word));
    }
  }
}

TEST_CASE("byte-level BPE: whole words first, specials, bytes") {
  // "abc" is a token, but no merge leads there from its parts in this order.
  const std::vector<std::pair<std::string, std::string>> merges{{"b", "c"}, {"a", "b"}, {"ab", "c"}};
  const BpeModel llama("llama-bpe", merges), qwen("qwen2", merges);
  REQUIRE(ids_of(*llama.tokenizer, "abc") == std::vector<u32>{llama.ids.at("abc")});
  REQUIRE(ids_of(*qwen.tokenizer, "abc") == std::vector<u32>{qwen.ids.at("a"), qwen.ids.at("bc")});
  REQUIRE(ids_of(*qwen.tokenizer, "a<|end|>", {.special = SpecialText::tokens}) ==
          std::vector<u32>{qwen.ids.at("a"), qwen.ids.at("<|end|>")});
  REQUIRE(ids_of(*qwen.tokenizer, "a<|end|>").size() == 8);
  REQUIRE(qwen.tokenizer->is_end_of_generation(qwen.ids.at("<|end|>")));
  const std::string text = "\xc3\xa9 \xff\n\t";
  REQUIRE(ids_of(*qwen.tokenizer, text).size() == text.size());
  std::string back;
  for (const u32 id : ids_of(*qwen.tokenizer, text)) back += qwen.tokenizer->piece(id);
  REQUIRE(back == text);
}

TEST_CASE("long input does not explode") {
  // Quadratic algorithms would need minutes here; the test's time limit is the check.
  const Tokenizer& tokenizer = demo_model().tokenizer();
  for (const char* unit : {"a", " ", "\n", "\xff", "the ", "\xe2\x96\x81", "ab\xf0\x9f\x98\x80"}) {
    std::string text;
    while (text.size() < 300'000) text += unit;
    REQUIRE_FALSE(ids_of(tokenizer, text).empty());
  }
  std::vector<std::pair<std::string, std::string>> merges;
  for (std::string left = "a"; left.size() < 200; left += "a") merges.emplace_back(left, "a");
  const BpeModel model("llama-bpe", merges);
  for (const char unit : {'a', ' ', '\n', '1', '\xff', '\''}) {
    REQUIRE_FALSE(ids_of(*model.tokenizer, std::string(300'000, unit)).empty());
  }
  REQUIRE_FALSE(tokenizer.encode(std::string(Tokenizer::text_limit_bytes + 1, 'a')).has_value());
}

TEST_CASE("UTF-8 as RFC 3629 has it") {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    REQUIRE(is_utf8(good));
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5", "\xc2", "\xe2\x82"})
    REQUIRE_FALSE(is_utf8(bad));
  REQUIRE(utf8_step("\xe2\x82").status == Utf8Status::incomplete);
  REQUIRE(utf8_step("\xe2\x28\xa1").status == Utf8Status::invalid);
}
