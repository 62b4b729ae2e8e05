#include "engine/tokenizer/spm.h"

#include <queue>

#include "engine/tokenizer/utf8.h"

namespace amlm {

namespace {

// Plain text never becomes a control, unknown or byte token by joining characters.
bool may_join_to(TokenKind kind) {
  return kind == TokenKind::normal || kind == TokenKind::user_defined || kind == TokenKind::unused;
}

u32 find_joined(const Vocabulary& vocabulary, std::string_view text) {
  const u32 id = vocabulary.find(text);
  return id != Vocabulary::none && may_join_to(vocabulary.kind(id)) ? id : Vocabulary::none;
}

struct Symbol { u32 start = 0, length = 0; i32 before = -1, after = -1; };     // length 0: joined into another

struct Candidate {
  f32 score = 0;
  u32 left = 0, right = 0, length = 0;      // length tells whether either has changed since
  bool operator<(const Candidate& other) const {
    return score < other.score || (score == other.score && left > other.left);
  }
};

bool has_inner_space(std::string_view text) {
  bool other = false;
  while (!text.empty()) {
    if (text.starts_with(spm_space)) {
      if (other) return true;
      text.remove_prefix(spm_space.size());
    } else {
      other = true;
      text.remove_prefix(1);
    }
  }
  return false;
}

}  // namespace

Result<SpmEncoder> SpmEncoder::create(const Vocabulary& vocabulary) {
  SpmEncoder out;
  out.words_are_separate_ = true;
  for (u32 id = 0; id < vocabulary.size(); ++id)
    if (may_join_to(vocabulary.kind(id)) && has_inner_space(vocabulary.text(id))) out.words_are_separate_ = false;
  if (vocabulary.unknown() != Vocabulary::none) return out;
  for (u32 byte = 0; byte < 256; ++byte)
    if (vocabulary.byte_token(static_cast<u8>(byte)) == Vocabulary::none)
      return fail(ErrorCode::bad_model, "the vocabulary has neither an unknown token nor a token for byte " +
                                            std::to_string(byte));
  return out;
}

void SpmEncoder::encode(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const {
  size_t start = 0;
  bool other = false;
  for (size_t at = 0; words_are_separate_ && at < text.size();) {
    if (!text.substr(at).starts_with(spm_space)) {
      other = true;
      ++at;
      continue;
    }
    if (other) {
      encode_segment(vocabulary, text.substr(start, at - start), out);
      start = at;
      other = false;
    }
    at += spm_space.size();
  }
  if (start < text.size()) encode_segment(vocabulary, text.substr(start), out);
}

void SpmEncoder::encode_segment(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const {
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text.substr(at));
    const u32 length = step.status == Utf8Status::complete ? step.length : 1;
    const i32 index = static_cast<i32>(symbols.size());
    symbols.push_back({static_cast<u32>(at), length, index - 1, index + 1});
    at += length;
  }
  if (symbols.empty()) return;
  symbols.back().after = -1;

  std::priority_queue<Candidate> queue;
  const auto propose = [&](i32 left, i32 right) {
    if (left < 0 || right < 0) return;
    const Symbol& first = symbols[static_cast<u32>(left)];
    const u32 length = first.length + symbols[static_cast<u32>(right)].length;
    const u32 id = find_joined(vocabulary, text.substr(first.start, length));
    if (id == Vocabulary::none) return;
    queue.push({vocabulary.score(id), static_cast<u32>(left), static_cast<u32>(right), length});
  };
  for (i32 i = 1; i < static_cast<i32>(symbols.size()); ++i) propose(i - 1, i);

  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) continue;
    left.length = best.length;
    right.length = 0;
    left.after = right.after;
    if (left.after >= 0) symbols[static_cast<u32>(left.after)].before = static_cast<i32>(best.left);
    propose(left.before, static_cast<i32>(best.left));
    propose(static_cast<i32>(best.left), left.after);
  }

  for (i32 i = 0; i >= 0; i = symbols[static_cast<u32>(i)].after) {
    const std::string_view piece = text.substr(symbols[static_cast<u32>(i)].start, symbols[static_cast<u32>(i)].length);
    const u32 id = find_joined(vocabulary, piece);
    if (id != Vocabulary::none) {
      out.push_back(id);
      continue;
    }
    for (const char c : piece) {
      const u32 byte = vocabulary.byte_token(static_cast<u8>(c));
      out.push_back(byte != Vocabulary::none ? byte : vocabulary.unknown());
    }
  }
}

}  // namespace amlm
