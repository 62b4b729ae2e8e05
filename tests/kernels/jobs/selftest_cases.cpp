#include "tools/selftest_cases.h"

extern "C" const amlm::u8 amlm_selftest_begin[], amlm_selftest_end[];   // selftest_cases.s

namespace amlm::tools {

std::span<const u8> selftest_cases() { return {amlm_selftest_begin, amlm_selftest_end}; }

}  // namespace amlm::tools
