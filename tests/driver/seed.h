// Where random tests start: AMLM_TEST_SEED, else somewhere new each time. They print it when they fail.
#pragma once

#include <cstdlib>
#include <random>

#include "driver/base.h"

inline amlm::u32 test_seed() {
  const char* given = std::getenv("AMLM_TEST_SEED");
  return given != nullptr ? amlm::u32(std::strtoul(given, nullptr, 0)) : std::random_device{}();
}
