// Types, errors and assertions of everything above isa/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <source_location>
#include <string>
#include <utility>

namespace amlm {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using f32 = float;
using f64 = double;

// The exit codes of the amlm command, and the kind of every Error. Listed in `amlm --help`.
enum class ErrorCode : int {
  ok = 0,
  failed = 1,              // anything without a code of its own; a test or selftest that does not hold
  usage = 2,               // command line
  no_device = 3,           // no render node, or none that is a gfx1151
  permission = 4,          // the render node may not be opened
  kernel = 5,              // an ioctl or the kernel refused
  memory = 6,              // the plan does not fit GTT
  gpu_fault = 7,           // page fault, timeout, reset
  file = 8,                // cannot be opened, read or written
  bad_model = 9,           // not a GGUF, damaged, or its contents do not make sense
  unsupported = 10,        // a good file, but an architecture, type or tokenizer that amlm does not have
  too_long = 11,           // the prompt does not fit the context
  interrupted = 130,       // Ctrl-C
};

struct Error {
  ErrorCode code = ErrorCode::failed;
  int errno_value = 0;      // 0 when no system call was involved
  std::string sentence;     // for a person: what is wrong, where, what to do
};

// std::expected that may not be dropped (libstdc++ 12's may).
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

inline std::unexpected<Error> fail(ErrorCode code, std::string sentence, int errno_value = 0) {
  return std::unexpected(Error{code, errno_value, std::move(sentence)});
}

// A bug of the caller: abort, in release builds too.
void check(bool holds, const char* what = "", std::source_location where = std::source_location::current());

// printf into a string (libstdc++ 12 has no <format>).
[[gnu::format(printf, 1, 2)]] std::string text(const char* pattern, ...);

}  // namespace amlm

// Evaluates a Result; returns its Error from the enclosing function, or yields its value.
#define TRY(expression)                                                   \
  ({                                                                      \
    auto try_result_ = (expression);                                      \
    if (!try_result_) return std::unexpected(std::move(try_result_).error()); \
    *std::move(try_result_);                                              \
  })
#define TRY_VOID(expression)                                              \
  do {                                                                    \
    auto try_result_ = (expression);                                      \
    if (!try_result_) return std::unexpected(std::move(try_result_).error()); \
  } while (0)
