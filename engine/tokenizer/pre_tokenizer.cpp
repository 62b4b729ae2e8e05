#include "engine/tokenizer/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "engine/gguf/source.h"

namespace amlm {

namespace {

// The expressions are those of the models' own tokenizer.json (Llama 3, Qwen2, SmolLM) and of GPT-2; "default" is the
// chain that llama.cpp falls back to, since that is what files without a name were made and tested with.
#define CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
constexpr const char* llama3_patterns[] = {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" REST};
constexpr const char* qwen2_patterns[] = {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" REST};
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
constexpr const char* smollm_patterns[] = {"\\p{N}", GPT2};
constexpr const char* gpt2_patterns[] = {GPT2 "|\\s+"};
constexpr const char* default_patterns[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"};
#undef CONTRACTIONS
#undef REST
#undef GPT2

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[128] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

struct MatchState {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = pcre2_match_data_create(4, nullptr);
  MatchState() {
    check(context && data, "no memory for a regular expression");
    pcre2_set_match_limit(context, 50'000'000);      // a run of n spaces needs about n steps, once
    pcre2_set_depth_limit(context, 10'000);
    pcre2_set_heap_limit(context, 20'000);           // KiB
  }
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

}  // namespace

struct PreTokenizer::Code {
  pcre2_code* code = nullptr;
  explicit Code(pcre2_code* owned) : code(owned) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Result<PreTokenizer> PreTokenizer::create(std::string_view name) {
  std::span<const char* const> patterns;
  PreTokenizer out;
  if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    patterns = llama3_patterns;
    out.whole_words_first_ = true;
  } else if (name == "qwen2") {
    patterns = qwen2_patterns;
  } else if (name == "smollm") {
    patterns = smollm_patterns;
  } else if (name == "gpt-2") {
    patterns = gpt2_patterns;
  } else if (name == "default" || name.empty()) {
    patterns = default_patterns;
  } else {
    return fail(ErrorCode::unsupported, "the pre-tokenizer " + quoted(name) +
                                            " is not supported; amlm has llama-bpe, qwen2, smollm, gpt-2 and default");
  }
  for (const char* pattern : patterns) {
    int error = 0;
    PCRE2_SIZE where = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
                                     &error, &where, nullptr);
    if (!code)
      return fail(ErrorCode::failed, "PCRE2 does not take a pre-tokenizer's expression at character " +
                                         std::to_string(where) + ": " + pcre2_message(error));
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);     // only speed: matching works without
    out.patterns_.push_back(std::make_shared<const Code>(code));
  }
  return out;
}

Result<void> PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  const MatchState state;
  std::vector<std::string_view> pieces{text}, cut;
  for (const auto& pattern : patterns_) {
    cut.clear();
    for (const std::string_view piece : pieces) {
      size_t done = 0, from = 0;
      while (from < piece.size()) {
        const auto subject = reinterpret_cast<PCRE2_SPTR>(piece.data());
        const int found = pcre2_match(pattern->code, subject, piece.size(), from, 0, state.data, state.context);
        if (found == PCRE2_ERROR_NOMATCH) break;
        if (found < 0)
          return fail(ErrorCode::failed, "the text cannot be cut into words near byte " +
                                             std::to_string(piece.data() + from - text.data()) + ": " +
                                             pcre2_message(found));
        const PCRE2_SIZE* range = pcre2_get_ovector_pointer(state.data);
        check(range[1] > range[0], "an empty match");
        if (range[0] > done) cut.push_back(piece.substr(done, range[0] - done));
        cut.push_back(piece.substr(range[0], range[1] - range[0]));
        done = from = range[1];
      }
      if (done < piece.size()) cut.push_back(piece.substr(done));
    }
    pieces.swap(cut);
  }
  words.insert(words.end(), pieces.begin(), pieces.end());
  return {};
}

}  // namespace amlm
