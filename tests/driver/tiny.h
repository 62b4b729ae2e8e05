// The code object of tiny.s.
#pragma once

#include <fstream>
#include <iterator>
#include <vector>

#include "driver/base.h"

inline std::vector<amlm::u8> tiny_code_object() {
  std::ifstream file(TINY_CODE_OBJECT, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
