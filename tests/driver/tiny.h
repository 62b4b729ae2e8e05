// The code objects of tiny.s.
#pragma once

#include <fstream>
#include <iterator>
#include <vector>

#include "driver/base.h"

inline std::vector<amlm::u8> read_bytes(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<amlm::u8> tiny_code_object() { return read_bytes(TINY_CODE_OBJECT); }
