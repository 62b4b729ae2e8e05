// Perplexity by llama.cpp's definition: the text's tokens are cut into windows of the session's context length; the
// first token of each window is replaced by BOS; the second half of each window is counted.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "engine/session.h"

namespace amlm {

struct PerplexityProgress { u32 chunks_done = 0, chunks_total = 0; f64 perplexity = 0, tokens_per_second = 0; };

struct PerplexityOptions {
  u32 chunks = 0;                                        // 0 = all whole windows
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const PerplexityProgress&)> on_progress;
};

struct PerplexityReport {
  f64 perplexity = 0, standard_error = 0;                // as llama-perplexity prints them
  u32 chunks = 0;
  u64 tokens_counted = 0;
  f64 tokens_per_second = 0;                             // all tokens of the windows over wall time
};

// The session was made with all_logits and batch = context. too_long-like errors: a text shorter than two windows'
// worth is refused with its token count.
Result<PerplexityReport> measure_perplexity(Session& session, const Model& model, std::string_view text,
                                            const PerplexityOptions& options);

}  // namespace amlm
