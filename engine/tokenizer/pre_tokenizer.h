// Cuts a text into the words inside which byte-level BPE joins: regular expressions, one after the other, each applied
// to what the one before has cut (PCRE2 with Unicode properties).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "driver/base.h"

namespace amlm {

class PreTokenizer {
 public:
  // "llama-bpe" (also llama3, llama-v3), "qwen2", "smollm", "gpt-2", "default" or "" (the file does not say).
  // unsupported otherwise: cutting at other places would give other tokens and quietly worse text.
  static Result<PreTokenizer> create(std::string_view name);
  // Appends the words, views into `text`, in order and without gaps. Bytes that are not UTF-8 are in no match and so
  // stay as they are, in words of their own. failed when a match would need more than its limits.
  Result<void> split(std::string_view text, std::vector<std::string_view>& words) const;
  // A word that is itself a token is taken whole, without joining (Llama 3's tokenizer.json: ignore_merges).
  bool whole_words_first() const { return whole_words_first_; }

 private:
  struct Code;
  std::vector<std::shared_ptr<const Code>> patterns_;
  bool whole_words_first_ = false;
};

}  // namespace amlm
