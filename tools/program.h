// Runs llvm-mc and ld.lld for `amlm asm`. The only place where amlm starts another program than itself.
#pragma once

#include <string>
#include <vector>

#include "driver/base.h"

namespace amlm::tools {

struct Finished { int exit_code = 0; std::string output; };   // stdout and stderr together, at most 1 MiB

// Arguments go to the program as they are; no shell. ErrorCode::file when it cannot be started.
Result<Finished> run_program(const std::vector<std::string>& arguments);

// The first of `names` on PATH whose --version says 19 or later; else an error that names the package.
Result<std::string> find_llvm_program(const std::vector<std::string>& names);

}  // namespace amlm::tools
