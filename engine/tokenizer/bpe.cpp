#include "engine/tokenizer/bpe.h"

#include <xxhash.h>

#include <queue>
#include <random>

#include "engine/tokenizer/utf8.h"

namespace amlm {

namespace {

// GPT-2's encoder.py: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up, in order.
constexpr std::array<u16, 256> make_code_points() {
  std::array<u16, 256> out{};
  u16 next = 256;
  for (u32 byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    out[byte] = printable ? static_cast<u16>(byte) : next++;
  }
  return out;
}
constexpr std::array<u16, 256> code_points = make_code_points();

constexpr std::array<i16, 324> make_bytes() {
  std::array<i16, 324> out{};
  out.fill(-1);
  for (u32 byte = 0; byte < 256; ++byte) out[code_points[byte]] = static_cast<i16>(byte);
  return out;
}
constexpr std::array<i16, 324> bytes_by_code_point = make_bytes();

std::string bpe_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(out, code_points[static_cast<u8>(c)]);
  return out;
}

struct Symbol { u32 id = 0; i32 before = -1, after = -1; };      // id none: joined into another
struct Candidate {
  u32 rank = 0, left = 0, left_id = 0, right_id = 0, joined = 0;
  bool operator<(const Candidate& other) const {                  // the queue gives the greatest first
    return rank > other.rank || (rank == other.rank && left > other.left);
  }
};

}  // namespace

std::string bpe_text_of_byte(u8 byte) {
  std::string out;
  append_utf8(out, code_points[byte]);
  return out;
}

std::string bytes_of_bpe_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    const std::string_view character = text.substr(0, step.length);
    u32 code_point = ~0u;
    if (step.status == Utf8Status::complete && step.length == 1) code_point = static_cast<u8>(text[0]);
    if (step.status == Utf8Status::complete && step.length == 2)
      code_point = (static_cast<u8>(text[0]) & 31u) << 6 | (static_cast<u8>(text[1]) & 63u);
    const i16 byte = code_point < bytes_by_code_point.size() ? bytes_by_code_point[code_point] : i16{-1};
    if (byte >= 0) out += static_cast<char>(byte);
    else out += character;
    text.remove_prefix(step.length);
  }
  return out;
}

Result<BpeEncoder> BpeEncoder::create(const GgufFile& file, const Vocabulary& vocabulary) {
  BpeEncoder out;
  out.pre_tokenizer_ = TRY(PreTokenizer::create(vocabulary.pre_tokenizer()));
  for (u32 byte = 0; byte < 256; ++byte) {
    const u32 id = vocabulary.find(bpe_text_of_byte(static_cast<u8>(byte)));
    if (id == Vocabulary::none)
      return fail(ErrorCode::bad_model, "the vocabulary has no token for byte " + std::to_string(byte) +
                                            ", which byte-level BPE needs");
    out.byte_tokens_[byte] = id;
  }
  TRY_VOID(out.load_merges(file, vocabulary));
  return out;
}

Result<void> BpeEncoder::load_merges(const GgufFile& file, const Vocabulary& vocabulary) {
  const GgufStrings merges = TRY(file.require_strings("tokenizer.ggml.merges"));
  if (merges.size() > merge_limit)
    return fail(ErrorCode::unsupported, "the tokenizer has " + std::to_string(merges.size()) +
                                            " merges; amlm reads at most 1048576");
  hash_seed_ = std::random_device{}();
  size_t slots = 16;
  while (slots < merges.size() * 2) slots *= 2;
  slots_.assign(slots, {});
  std::string joined;
  u64 offset = 0;
  for (u32 rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges.next(offset);
    const auto bad = [&](const char* what) {
      return fail(ErrorCode::bad_model, "merge " + std::to_string(rank) + " " + quoted(merge) + " " + what);
    };
    const size_t space = merge.find(' ', 1);         // a merge may begin with a space, not end with one
    if (merge.empty() || space == std::string_view::npos || space + 1 == merge.size())
      return bad("is not two texts with a space between");
    const u32 left = vocabulary.find(merge.substr(0, space)), right = vocabulary.find(merge.substr(space + 1));
    if (left == Vocabulary::none || right == Vocabulary::none) return bad("names a text that is no token");
    joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const u32 result = vocabulary.find(joined);
    if (result == Vocabulary::none) return bad("makes a text that is no token");
    const u64 pair = u64{left} << 32 | right;
    size_t slot = slot_of(pair);
    while (slots_[slot].pair != ~u64{0} && slots_[slot].pair != pair) slot = (slot + 1) & (slots - 1);
    if (slots_[slot].pair != pair) slots_[slot] = {pair, rank, result};       // of duplicates the first counts
  }
  return {};
}

size_t BpeEncoder::slot_of(u64 pair) const { return XXH3_64bits_withSeed(&pair, 8, hash_seed_) & (slots_.size() - 1); }

const BpeEncoder::Merge* BpeEncoder::find(u32 left, u32 right) const {
  const u64 pair = u64{left} << 32 | right;
  for (size_t slot = slot_of(pair); slots_[slot].pair != ~u64{0}; slot = (slot + 1) & (slots_.size() - 1))
    if (slots_[slot].pair == pair) return &slots_[slot];
  return nullptr;
}

Result<void> BpeEncoder::encode(const Vocabulary& vocabulary, std::string_view text, std::vector<u32>& out) const {
  std::vector<std::string_view> words;
  TRY_VOID(pre_tokenizer_.split(text, words));
  for (const std::string_view word : words) {
    if (pre_tokenizer_.whole_words_first() && word.size() <= vocabulary.longest_text_bytes()) {
      const u32 id = vocabulary.find(bpe_text(word));
      if (id != Vocabulary::none && vocabulary.kind(id) == TokenKind::normal) {
        out.push_back(id);
        continue;
      }
    }
    encode_word(word, out);
  }
  return {};
}

void BpeEncoder::encode_word(std::string_view word, std::vector<u32>& out) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const i32 index = static_cast<i32>(symbols.size());
    symbols.push_back({byte_tokens_[static_cast<u8>(c)], index - 1, index + 1});
  }
  if (symbols.empty()) return;
  symbols.back().after = -1;
  std::priority_queue<Candidate> queue;
  const auto propose = [&](i32 left, i32 right) {
    if (left < 0 || right < 0) return;
    const u32 left_id = symbols[static_cast<u32>(left)].id, right_id = symbols[static_cast<u32>(right)].id;
    if (const Merge* merge = find(left_id, right_id))
      queue.push({merge->rank, static_cast<u32>(left), left_id, right_id, merge->joined});
  };
  for (i32 i = 1; i < static_cast<i32>(symbols.size()); ++i) propose(i - 1, i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    if (left.id != best.left_id || left.after < 0) continue;
    Symbol& right = symbols[static_cast<u32>(left.after)];
    if (right.id != best.right_id) continue;
    left.id = best.joined;
    right.id = Vocabulary::none;
    left.after = right.after;
    if (left.after >= 0) symbols[static_cast<u32>(left.after)].before = static_cast<i32>(best.left);
    propose(left.before, static_cast<i32>(best.left));
    propose(static_cast<i32>(best.left), left.after);
  }
  for (i32 i = 0; i >= 0; i = symbols[static_cast<u32>(i)].after) out.push_back(symbols[static_cast<u32>(i)].id);
}

}  // namespace amlm
