// Text to tokens and back, as the model's file says.
//
//   Tokenizer tokenizer = TRY(Tokenizer::load(file));
//   std::vector<u32> ids = TRY(tokenizer.encode("Once upon a time"));
//   TokenStream stream(tokenizer);
//   for (u32 id : ids) std::cout << stream.push(id);
//   std::cout << stream.finish();
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/spm.h"
#include "engine/tokenizer/vocabulary.h"

namespace amlm {

// Whether BOS and EOS are put around the text where the model's metadata asks for them.
enum class Ends : u8 { as_the_model_says, none };
// Whether the names of control tokens inside a text ("<|eot_id|>") mean the tokens. Never for text from strangers.
enum class SpecialText : u8 { plain, tokens };

struct EncodeOptions { Ends ends = Ends::as_the_model_says; SpecialText special = SpecialText::plain; };

class Tokenizer {
 public:
  static constexpr u64 text_limit_bytes = u64{32} << 20;

  static Result<Tokenizer> load(const GgufFile& file);

  // Any bytes; what is not UTF-8 becomes byte tokens. too_long above text_limit_bytes.
  Result<std::vector<u32>> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The bytes a token stands for: perhaps a part of a character. "" for control and unknown tokens unless asked.
  std::string piece(u32 id, SpecialText special = SpecialText::plain) const;
  bool is_end_of_generation(u32 id) const { return vocabulary_.is_stop(id); }
  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  Result<void> encode_plain(std::string_view text, std::vector<u32>& out) const;
  // The special token that starts the text, and its length; the longest of several.
  u32 special_at(std::string_view text, SpecialText special, size_t& length) const;

  Vocabulary vocabulary_;
  std::optional<SpmEncoder> spm_;
  std::optional<BpeEncoder> bpe_;
  std::array<std::vector<u16>, 256> special_lengths_;      // by first byte, longest first
};

// Tokens come one by one; text goes out as whole characters. What can never become UTF-8 goes out as U+FFFD.
class TokenStream {
 public:
  explicit TokenStream(const Tokenizer& tokenizer, SpecialText special = SpecialText::plain)
      : tokenizer_(&tokenizer), special_(special) {}
  std::string push(u32 id);
  std::string finish();        // what was held back

 private:
  std::string take_complete();
  const Tokenizer* tokenizer_;
  SpecialText special_;
  std::string held_;
};

}  // namespace amlm
