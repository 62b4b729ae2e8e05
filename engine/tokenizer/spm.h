// SentencePiece-style BPE: of all neighbours whose joined text is a token the pair with the best score is joined
// (ties: the leftmost), until none is left; what is no token then becomes its bytes.
#pragma once

#include <string_view>
#include <vector>

#include "driver/base.h"
#include "engine/tokenizer/vocabulary.h"

namespace amlm {

class SpmEncoder {
 public:
  // bad_model when neither bytes nor an unknown token can stand for a text outside the vocabulary.
  static Result<SpmEncoder> create(const Vocabulary& vocabulary);
  // Appends the tokens of `text`, in which spaces are already U+2581. O(n log n) in its bytes.
  void encode(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const;

 private:
  void encode_segment(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const;
  // No token has U+2581 after anything else: then no pair is ever joined there, and a text may be cut there.
  bool words_are_separate_ = false;
};

inline constexpr std::string_view spm_space = "\xe2\x96\x81";     // U+2581

}  // namespace amlm
