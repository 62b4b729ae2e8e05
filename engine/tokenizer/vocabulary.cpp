#include "engine/tokenizer/vocabulary.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace amlm {

namespace {

std::string token_name(u32 id, std::string_view text) { return "token " + std::to_string(id) + " " + quoted(text); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "<0x41>" -> 0x41, anything else -> -1.
int byte_of_text(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// Texts of end-of-turn and end-of-message tokens in files that do not name them by id.
constexpr std::string_view stop_texts[] = {"<|eot_id|>", "<|im_end|>",      "<|end|>",     "<end_of_turn>",
                                           "<|eom_id|>", "<|endoftext|>",   "<EOT>",       "<|end_of_text|>"};

}  // namespace

Result<Vocabulary> Vocabulary::load(const GgufFile& file) {
  Vocabulary out;
  out.source_ = file.source();
  const auto model = TRY(file.require<std::string_view>("tokenizer.ggml.model"));
  if (model == "llama") out.model_ = TokenizerModel::llama;
  else if (model == "gpt2") out.model_ = TokenizerModel::gpt2;
  else
    return fail(ErrorCode::unsupported, "the tokenizer model is " + quoted(model) +
                                            "; amlm has 'llama' (SentencePiece) and 'gpt2' (byte-level BPE)");
  out.pre_tokenizer_ = TRY(file.get_or<std::string_view>("tokenizer.ggml.pre", ""));
  TRY_VOID(out.load_texts(file));
  TRY_VOID(out.load_kinds(file));
  out.build_index();
  TRY_VOID(out.load_specials(file));
  return out;
}

Result<void> Vocabulary::load_texts(const GgufFile& file) {
  const GgufStrings texts = TRY(file.require_strings("tokenizer.ggml.tokens"));
  if (texts.size() == 0 || texts.size() > size_limit)
    return fail(ErrorCode::bad_model, "the vocabulary has " + std::to_string(texts.size()) +
                                          " tokens; 1 to 1048576 are possible");
  offsets_.reserve(texts.size());
  u64 offset = 0;
  for (u64 i = 0; i < texts.size(); ++i) {
    offsets_.push_back(static_cast<u32>(offset));       // the header has 32 MiB at most
    const std::string_view text = texts.next(offset);
    if (i == 0) strings_ = reinterpret_cast<const u8*>(text.data()) - 8;
    longest_text_bytes_ = std::max(longest_text_bytes_, static_cast<u32>(text.size()));
  }
  return {};
}

Result<void> Vocabulary::load_kinds(const GgufFile& file) {
  byte_tokens_.fill(none);
  kinds_.assign(size(), TokenKind::normal);
  if (file.find("tokenizer.ggml.token_type")) {
    const auto kinds = TRY(file.require_array<i32>("tokenizer.ggml.token_type"));
    if (kinds.size() != size())
      return fail(ErrorCode::bad_model, "tokenizer.ggml.token_type has " + std::to_string(kinds.size()) +
                                            " entries for " + std::to_string(size()) + " tokens");
    for (u32 id = 0; id < size(); ++id) {
      if (kinds[id] < 1 || kinds[id] > 6)
        return fail(ErrorCode::bad_model, token_name(id, text(id)) + " has the unknown kind " +
                                              std::to_string(kinds[id]));
      kinds_[id] = static_cast<TokenKind>(kinds[id]);
    }
  }
  for (u32 id = 0; id < size(); ++id) {
    if (kinds_[id] != TokenKind::byte) continue;
    const int byte = byte_of_text(text(id));
    if (byte < 0)
      return fail(ErrorCode::bad_model, token_name(id, text(id)) + " is marked as a byte but is not <0x00> to <0xFF>");
    byte_tokens_[static_cast<size_t>(byte)] = id;
  }
  if (!file.find("tokenizer.ggml.scores")) {
    if (model_ == TokenizerModel::llama)
      return fail(ErrorCode::bad_model, "the model has no tokenizer.ggml.scores, which its tokenizer needs");
    return {};
  }
  scores_ = TRY(file.require_array<f32>("tokenizer.ggml.scores"));
  if (scores_.size() != size())
    return fail(ErrorCode::bad_model, "tokenizer.ggml.scores has " + std::to_string(scores_.size()) +
                                          " entries for " + std::to_string(size()) + " tokens");
  for (u32 id = 0; id < size(); ++id)
    if (!std::isfinite(scores_[id]))
      return fail(ErrorCode::bad_model, token_name(id, text(id)) + " has a score that is not a finite number");
  return {};
}

void Vocabulary::build_index() {
  hash_seed_ = std::random_device{}();          // a file cannot aim at collisions
  size_t slots = 16;
  while (slots < size_t{size()} * 2) slots *= 2;
  slots_.assign(slots, none);
  for (u32 id = 0; id < size(); ++id) {
    const std::string_view wanted = text(id);
    if (wanted.empty()) continue;
    size_t slot = XXH3_64bits_withSeed(wanted.data(), wanted.size(), hash_seed_) & (slots - 1);
    while (slots_[slot] != none && text(slots_[slot]) != wanted) slot = (slot + 1) & (slots - 1);
    slots_[slot] = id;
  }
}

u32 Vocabulary::find(std::string_view wanted) const {
  if (wanted.empty() || wanted.size() > longest_text_bytes_) return none;
  const size_t mask = slots_.size() - 1;
  size_t slot = XXH3_64bits_withSeed(wanted.data(), wanted.size(), hash_seed_) & mask;
  while (slots_[slot] != none && text(slots_[slot]) != wanted) slot = (slot + 1) & mask;
  return slots_[slot];
}

std::string_view Vocabulary::text(u32 id) const {
  check(id < offsets_.size(), "token id");
  u64 length = 0;
  std::memcpy(&length, strings_ + offsets_[id], 8);
  return {reinterpret_cast<const char*>(strings_ + offsets_[id] + 8), length};
}

u8 Vocabulary::byte_of(u32 id) const {
  check(kind(id) == TokenKind::byte, "byte token");
  return static_cast<u8>(byte_of_text(text(id)));
}

Result<void> Vocabulary::load_specials(const GgufFile& file) {
  const auto special = [&](std::string_view key, u32 fallback) -> Result<u32> {
    const bool given = file.find(key) != nullptr;
    const u32 id = TRY(file.get_or<u32>(key, fallback));
    if (!given || id == none) return id < size() ? id : none;
    if (id >= size())
      return fail(ErrorCode::bad_model, std::string(key) + " is " + std::to_string(id) + ", but there are only " +
                                            std::to_string(size()) + " tokens");
    return id;
  };
  const bool spm = model_ == TokenizerModel::llama;
  // Defaults of llama.cpp for files without the keys: SentencePiece's 1, 2, 0; none for byte-level BPE.
  bos_ = TRY(special("tokenizer.ggml.bos_token_id", spm ? 1 : none));
  eos_ = TRY(special("tokenizer.ggml.eos_token_id", spm ? 2 : none));
  unknown_ = TRY(special("tokenizer.ggml.unknown_token_id", spm ? 0 : none));
  const bool llama3 = !spm && (pre_tokenizer_ == "llama-bpe" || pre_tokenizer_ == "llama3" ||
                               pre_tokenizer_ == "llama-v3");
  add_bos_ = TRY(file.get_or<bool>("tokenizer.ggml.add_bos_token", spm || llama3));
  add_eos_ = TRY(file.get_or<bool>("tokenizer.ggml.add_eos_token", false));
  add_space_prefix_ = TRY(file.get_or<bool>("tokenizer.ggml.add_space_prefix", spm));
  if (add_bos_ && bos_ == none)
    return fail(ErrorCode::bad_model, "the tokenizer is to put a BOS token first, but the file names none");
  if (add_eos_ && eos_ == none)
    return fail(ErrorCode::bad_model, "the tokenizer is to put an EOS token last, but the file names none");
  const auto add_stop = [&](u32 id) {
    if (id != none && !is_stop(id)) stop_tokens_.push_back(id);
  };
  add_stop(eos_);
  add_stop(TRY(special("tokenizer.ggml.eot_token_id", none)));
  add_stop(TRY(special("tokenizer.ggml.eom_token_id", none)));
  for (const std::string_view text : stop_texts) {
    const u32 id = find(text);
    if (id != none && kind(id) != TokenKind::normal) add_stop(id);
  }
  return {};
}

bool Vocabulary::is_stop(u32 id) const {
  return std::find(stop_tokens_.begin(), stop_tokens_.end(), id) != stop_tokens_.end();
}

}  // namespace amlm
