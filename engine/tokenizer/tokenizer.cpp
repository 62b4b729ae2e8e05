#include "engine/tokenizer/tokenizer.h"

#include <algorithm>

#include "engine/tokenizer/utf8.h"

namespace amlm {

namespace {

constexpr size_t special_text_limit_bytes = 512;     // longer names are not looked for in a text
constexpr std::string_view replacement = "\xef\xbf\xbd";

}  // namespace

Result<Tokenizer> Tokenizer::load(const GgufFile& file) {
  Tokenizer out;
  out.vocabulary_ = TRY(Vocabulary::load(file));
  const Vocabulary& vocabulary = out.vocabulary_;
  if (vocabulary.model() == TokenizerModel::llama) out.spm_ = TRY(SpmEncoder::create(vocabulary));
  else out.bpe_ = TRY(BpeEncoder::create(file, vocabulary));
  for (u32 id = 0; id < vocabulary.size(); ++id) {
    const TokenKind kind = vocabulary.kind(id);
    const std::string_view text = vocabulary.text(id);
    if (kind != TokenKind::control && kind != TokenKind::user_defined && kind != TokenKind::unknown) continue;
    if (text.empty() || text.size() > special_text_limit_bytes) continue;
    std::vector<u16>& lengths = out.special_lengths_[static_cast<u8>(text[0])];
    if (std::find(lengths.begin(), lengths.end(), text.size()) == lengths.end())
      lengths.push_back(static_cast<u16>(text.size()));
  }
  for (std::vector<u16>& lengths : out.special_lengths_) std::sort(lengths.rbegin(), lengths.rend());
  return out;
}

u32 Tokenizer::special_at(std::string_view text, SpecialText special, size_t& length) const {
  for (const u16 candidate : special_lengths_[static_cast<u8>(text[0])]) {
    if (candidate > text.size()) continue;
    const u32 id = vocabulary_.find(text.substr(0, candidate));
    if (id == Vocabulary::none) continue;
    const TokenKind kind = vocabulary_.kind(id);
    const bool control = kind == TokenKind::control || kind == TokenKind::unknown;
    if (kind != TokenKind::user_defined && !(control && special == SpecialText::tokens)) continue;
    length = candidate;
    return id;
  }
  return Vocabulary::none;
}

Result<void> Tokenizer::encode_plain(std::string_view text, std::vector<u32>& out) const {
  if (text.empty()) return {};
  if (bpe_) return bpe_->encode(vocabulary_, text, out);
  std::string escaped;
  escaped.reserve(text.size() + 16);
  // Plain text stands at the start or after a special token, and a space goes before it at both (as in llama.cpp).
  if (vocabulary_.add_space_prefix()) escaped += spm_space;
  for (const char c : text) {
    if (c == ' ') escaped += spm_space;
    else escaped += c;
  }
  spm_->encode(vocabulary_, escaped, out);
  return {};
}

Result<std::vector<u32>> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > text_limit_bytes)
    return fail(ErrorCode::too_long, "the text has " + std::to_string(text.size()) +
                                         " bytes; at most 33554432 are tokenized at once");
  std::vector<u32> out;
  const bool with_ends = options.ends == Ends::as_the_model_says;
  if (with_ends && vocabulary_.add_bos()) out.push_back(vocabulary_.bos());
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    const u32 id = special_at(text.substr(at), options.special, length);
    if (id == Vocabulary::none) {
      ++at;
      continue;
    }
    TRY_VOID(encode_plain(text.substr(start, at - start), out));
    out.push_back(id);
    start = at += length;
  }
  TRY_VOID(encode_plain(text.substr(start), out));
  if (with_ends && vocabulary_.add_eos()) out.push_back(vocabulary_.eos());
  return out;
}

std::string Tokenizer::piece(u32 id, SpecialText special) const {
  if (id >= vocabulary_.size()) return {};
  const std::string_view text = vocabulary_.text(id);
  switch (vocabulary_.kind(id)) {
    case TokenKind::control:
    case TokenKind::unknown: return special == SpecialText::tokens ? std::string(text) : std::string();
    case TokenKind::user_defined: return std::string(text);
    case TokenKind::byte: return std::string(1, static_cast<char>(vocabulary_.byte_of(id)));
    case TokenKind::normal:
    case TokenKind::unused: break;
  }
  if (bpe_) return bytes_of_bpe_text(text);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const bool space = text.substr(at).starts_with(spm_space);
    out += space ? ' ' : text[at];
    at += space ? spm_space.size() : 1;
  }
  return out;
}

std::string TokenStream::take_complete() {
  std::string out;
  size_t at = 0;
  while (at < held_.size()) {
    const Utf8Step step = utf8_step(std::string_view(held_).substr(at));
    if (step.status == Utf8Status::incomplete) break;
    if (step.status == Utf8Status::complete) out.append(held_, at, step.length);
    else out += replacement;
    at += step.length;
  }
  held_.erase(0, at);
  return out;
}

std::string TokenStream::push(u32 id) {
  held_ += tokenizer_->piece(id, special_);
  return take_complete();
}

std::string TokenStream::finish() {
  std::string out = take_complete();
  if (!held_.empty()) out += replacement;
  held_.clear();
  return out;
}

}  // namespace amlm
