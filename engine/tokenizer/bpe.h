// Byte-level BPE (GPT-2's): bytes are written as printable characters, and inside each word the neighbours whose pair
// stands first in the list of merges are joined (ties: the leftmost), until none is left.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"
#include "engine/gguf/file.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/vocabulary.h"

namespace amlm {

class BpeEncoder {
 public:
  static constexpr u32 merge_limit = 1u << 20;
  // bad_model when a byte has no token, or when a merge names or makes something that is no token.
  static Result<BpeEncoder> create(const GgufFile& file, const Vocabulary& vocabulary);
  // Appends the tokens of `text`. O(n log n) in its bytes.
  Result<void> encode(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const;

 private:
  struct Merge { u64 pair = ~u64{0}; u32 rank = 0, joined = 0; };     // pair: left id << 32 | right id
  Result<void> load_merges(const GgufFile& file, const Vocabulary& vocabulary);
  const Merge* find(u32 left, u32 right) const;
  size_t slot_of(u64 pair) const;
  void encode_word(std::string_view word, std::vector<u32>& out) const;

  PreTokenizer pre_tokenizer_;
  std::array<u32, 256> byte_tokens_{};
  std::vector<Merge> slots_;                    // open addressing, a power of two
  u64 hash_seed_ = 0;
};

// The bytes that a token's text stands for; characters that stand for no byte are taken as they are.
std::string bytes_of_bpe_text(std::string_view text);
// A byte as the character that stands for it.
std::string bpe_text_of_byte(u8 byte);

}  // namespace amlm
