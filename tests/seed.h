// Where random tests start: AMLM_TEST_SEED. They print it when they fail.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

inline std::uint64_t test_seed(std::uint64_t usual) {
  const char* given = std::getenv("AMLM_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : usual;
}

// Somewhere new each time.
inline std::uint32_t test_seed() { return std::uint32_t(test_seed(std::random_device{}())); }
