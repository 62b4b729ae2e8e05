#include "driver/base.h"

#include <cstdio>
#include <cstdlib>

namespace amlm {

void check(bool holds, const char* what, std::source_location where) {
  if (holds) return;
  std::fprintf(stderr, "amlm: %s:%u: check failed in %s: %s\n", where.file_name(), unsigned(where.line()),
               where.function_name(), what);
  std::abort();
}

}  // namespace amlm
