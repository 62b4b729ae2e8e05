#include "engine/tokenizer/utf8.h"

namespace amlm {

Utf8Step utf8_step(std::string_view text) {
  check(!text.empty(), "utf8_step of nothing");
  const auto byte = [&](size_t i) { return static_cast<u8>(text[i]); };
  const u8 lead = byte(0);
  if (lead < 0x80) return {Utf8Status::complete, 1};
  u32 length = 0;
  u8 low = 0x80, high = 0xbf;                     // bounds of the second byte (RFC 3629, section 4)
  if (lead >= 0xc2 && lead <= 0xdf) length = 2;
  else if (lead >= 0xe0 && lead <= 0xef) length = 3;
  else if (lead >= 0xf0 && lead <= 0xf4) length = 4;
  else return {Utf8Status::invalid, 1};
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  for (u32 i = 1; i < length; ++i) {
    if (i >= text.size()) return {Utf8Status::incomplete, i};
    if (byte(i) < low || byte(i) > high) return {Utf8Status::invalid, i};
    low = 0x80;
    high = 0xbf;
  }
  return {Utf8Status::complete, length};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.status != Utf8Status::complete) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

void append_utf8(std::string& out, u32 code_point) {
  check(code_point <= 0x10ffff && !(code_point >= 0xd800 && code_point <= 0xdfff), "not a Unicode scalar value");
  const auto put = [&](u32 value) { out += static_cast<char>(value); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 63));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 63));
    put(0x80 | (code_point & 63));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 63));
    put(0x80 | (code_point >> 6 & 63));
    put(0x80 | (code_point & 63));
  }
}

}  // namespace amlm
