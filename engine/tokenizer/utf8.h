// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <string>
#include <string_view>

#include "driver/base.h"

namespace amlm {

enum class Utf8Status : u8 {
  complete,        // a whole code point of `length` bytes
  incomplete,      // the text ends inside a code point that could still become valid; `length` bytes so far
  invalid,         // `length` bytes can never start a code point (the maximal subpart: Unicode 3.9, U+FFFD practice)
};
struct Utf8Step { Utf8Status status = Utf8Status::complete; u32 length = 0; };

// Looks at the start of a text that is not empty (check).
Utf8Step utf8_step(std::string_view text);
bool is_utf8(std::string_view text);
// Appends a code point (check: a Unicode scalar value).
void append_utf8(std::string& out, u32 code_point);

}  // namespace amlm
