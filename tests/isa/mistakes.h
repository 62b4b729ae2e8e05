// The matrix of mistakes: for each kind, a good kernel that must pass strict mode and a mutant of it that must not. The rows
// are in mistakes_*.cpp; mistakes.cpp runs them and prints who was caught.
#pragma once

#include <span>
#include <string>

#include "tests/isa/machine.h"

namespace amlm::isa::test {

// Kernels start with s[4:5] = out (4 KiB), s[6:7] = in (4 KiB, read only), s[8:9] = memory that was freed, s2 = workgroup,
// v0 = lane, v1 = 4 * lane.
struct Mistake {
  const char* name;
  const char* kind;       // Fault::kind of the mutant
  const char* mutant;
  const char* good;
  Launch launch{};
};

std::span<const Mistake> wait_mistakes();
std::span<const Mistake> order_mistakes();
std::span<const Mistake> memory_mistakes();
std::span<const Mistake> value_mistakes();
std::span<const Mistake> sequence_mistakes();

}  // namespace amlm::isa::test
