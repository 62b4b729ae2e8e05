#include "engine/perplexity.h"

#include <chrono>
#include <cmath>

#include "engine/model/model.h"

namespace amlm {

namespace {

// -log of the probability that a row of logits gives to a token.
f64 surprise(std::span<const f32> logits, u32 token) {
  f32 greatest = logits[0];
  for (const f32 logit : logits) greatest = std::max(greatest, logit);
  f64 sum = 0;
  for (const f32 logit : logits) sum += std::exp(logit - greatest);
  return std::log(sum) - (logits[token] - greatest);
}

struct Tally {
  f64 sum = 0, squares = 0;
  u64 count = 0;
  void add(f64 value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  f64 perplexity() const { return std::exp(sum / static_cast<f64>(count)); }
  // Of exp(mean): the standard error of the mean times the perplexity.
  f64 standard_error() const {
    const f64 n = static_cast<f64>(count), mean = sum / n, variance = squares / n - mean * mean;
    return count > 1 && variance > 0 ? std::sqrt(variance / (n - 1)) * perplexity() : 0;
  }
};

}  // namespace

Result<PerplexityReport> measure_perplexity(Session& session, const Model& model, std::string_view text,
                                            const PerplexityOptions& options) {
  const u32 window = session.context(), vocabulary = model.config().vocabulary;
  if (text.ends_with('\n')) text.remove_suffix(1);       // as llama-perplexity does with a file
  const std::vector<u32> tokens = TRY(model.tokenizer().encode(text));
  if (tokens.size() < 2 * u64{window})
    return fail(ErrorCode::usage, "the text has " + std::to_string(tokens.size()) +
                                      " tokens; perplexity with windows of " + std::to_string(window) +
                                      " needs at least " + std::to_string(2 * u64{window}));
  const u64 whole = tokens.size() / window;
  const u32 chunks = static_cast<u32>(options.chunks == 0 ? whole : std::min<u64>(options.chunks, whole));
  const u32 first = window / 2;
  const auto start = std::chrono::steady_clock::now();
  const auto rate = [&](u32 done) {
    const std::chrono::duration<f64> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() > 0 ? static_cast<f64>(done) * window / elapsed.count() : 0;
  };
  session.keep_logits_from(first);
  Tally tally;
  std::vector<u32> piece(window);
  for (u32 chunk = 0; chunk < chunks; ++chunk) {
    if (options.cancelled && options.cancelled->load()) return fail(ErrorCode::interrupted, "interrupted");
    const auto begin = tokens.begin() + static_cast<i64>(u64{chunk} * window);
    piece.assign(begin, begin + window);
    if (model.tokenizer().vocabulary().add_bos()) piece[0] = model.tokenizer().vocabulary().bos();
    session.reset();
    TRY_VOID(session.prefill(piece));
    const std::span<const f32> logits = session.batch_logits();
    if (logits.size() != u64{window} * vocabulary)
      return fail(ErrorCode::failed, "perplexity needs a session with all_logits and batch = context");
    for (u32 i = first; i + 1 < window; ++i)
      tally.add(surprise(logits.subspan(u64{i} * vocabulary, vocabulary), piece[i + 1]));
    if (options.on_progress) options.on_progress({chunk + 1, chunks, tally.perplexity(), rate(chunk + 1)});
  }
  session.keep_logits_from(0);
  return PerplexityReport{tally.perplexity(), tally.standard_error(), chunks, tally.count, rate(chunks)};
}

}  // namespace amlm
