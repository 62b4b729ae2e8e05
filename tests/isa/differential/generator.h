// Random C programs for the differential test.
#pragma once

#include <string>
#include <vector>

#include "isa/base.h"

namespace amlm::isa::differential {

struct Program {
  u64 seed = 0;
  u32 phases = 1;         // functions NAME_phase0 .. ; a workgroup barrier stands between two of them
  std::string source;     // the phases; names start with `name`
  std::string name;
  std::vector<std::string> exchanges;   // before phase 1, 2, ...: NAME, ARGUMENTS of exchange.h
};

Program generate(u64 seed, const std::string& name);

// One translation unit. The gfx1151 side has kernels NAME, the x86 side functions NAME_group.
std::string unit_for_gpu(const std::vector<Program>& programs);
std::string unit_for_host(const std::vector<Program>& programs);

}  // namespace amlm::isa::differential
