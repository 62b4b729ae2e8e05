#include "driver/base.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace amlm {

void check(bool holds, const char* what, std::source_location where) {
  if (holds) return;
  std::fprintf(stderr, "amlm: %s:%u: check failed in %s: %s\n", where.file_name(), unsigned(where.line()),
               where.function_name(), what);
  std::abort();
}

std::string text(const char* pattern, ...) {
  va_list first, second;
  va_start(first, pattern);
  va_copy(second, first);
  const int length = std::vsnprintf(nullptr, 0, pattern, first);
  va_end(first);
  check(length >= 0, pattern);
  std::string out(std::size_t(length), '\0');
  std::vsnprintf(out.data(), out.size() + 1, pattern, second);
  va_end(second);
  return out;
}

}  // namespace amlm
