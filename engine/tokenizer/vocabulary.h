// The vocabulary of a model: token texts, kinds and scores, as views into the GGUF header, and the way back from a
// text to its token. Checked: counts agree, scores are finite, byte tokens are bytes, special ids are tokens.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/file.h"

namespace amlm {

// Numbers of tokenizer.ggml.token_type.
enum class TokenKind : u8 { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
enum class TokenizerModel : u8 {
  llama,       // SentencePiece-style BPE: merges by score, bytes as a fallback
  gpt2,        // byte-level BPE: merges by rank inside words that a pre-tokenizer cuts
};

class Vocabulary {
 public:
  static constexpr u32 size_limit = 1u << 20;
  static constexpr u32 none = ~0u;

  static Result<Vocabulary> load(const GgufFile& file);

  TokenizerModel model() const { return model_; }
  std::string_view pre_tokenizer() const { return pre_tokenizer_; }     // "" when the file does not say
  u32 size() const { return static_cast<u32>(offsets_.size()); }
  std::string_view text(u32 id) const;
  TokenKind kind(u32 id) const { return kinds_[id]; }
  f32 score(u32 id) const { return scores_.size() ? scores_[id] : 0.0f; }
  // The token of this very text, or none; of several the last, as llama.cpp has it.
  u32 find(std::string_view text) const;
  u32 longest_text_bytes() const { return longest_text_bytes_; }
  // Of a `byte` token <0xHH>: none when the vocabulary lacks it.
  u32 byte_token(u8 byte) const { return byte_tokens_[byte]; }
  u8 byte_of(u32 id) const;                                             // check: kind is byte

  u32 bos() const { return bos_; }                                      // each may be none
  u32 eos() const { return eos_; }
  u32 unknown() const { return unknown_; }
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }
  bool add_space_prefix() const { return add_space_prefix_; }
  // Tokens after which generation ends: EOS, end of turn, end of message.
  const std::vector<u32>& stop_tokens() const { return stop_tokens_; }
  bool is_stop(u32 id) const;

 private:
  Result<void> load_texts(const GgufFile& file);
  Result<void> load_kinds(const GgufFile& file);
  Result<void> load_specials(const GgufFile& file);
  void build_index();

  std::shared_ptr<ByteSource> source_;        // keeps the header alive
  const u8* strings_ = nullptr;
  std::vector<u32> offsets_;                  // of each token's 8-byte length in strings_
  std::vector<TokenKind> kinds_;
  GgufArray<f32> scores_;
  std::vector<u32> slots_;                    // open addressing, a power of two
  u64 hash_seed_ = 0;
  std::array<u32, 256> byte_tokens_{};
  u32 longest_text_bytes_ = 0;
  TokenizerModel model_ = TokenizerModel::llama;
  std::string_view pre_tokenizer_;
  u32 bos_ = none, eos_ = none, unknown_ = none;
  bool add_bos_ = false, add_eos_ = false, add_space_prefix_ = false;
  std::vector<u32> stop_tokens_;
};

}  // namespace amlm
