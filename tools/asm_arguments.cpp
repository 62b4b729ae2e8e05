#include "tools/asm_arguments.h"

#include <fmt/format.h>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

namespace amlm::tools {

namespace {

constexpr u64 largest_buffer_bytes = u64{16} << 30;

Result<u64> parse_whole(const std::string& text, const std::string& context) {
  errno = 0;
  char* end = nullptr;
  const bool negative = text.starts_with('-');
  const u64 value = negative ? static_cast<u64>(std::strtoll(text.c_str(), &end, 0)) : std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || *end != 0 || errno != 0)
    return fail(ErrorCode::usage, fmt::format("{}: \"{}\" is not a whole number", context, text));
  return value;
}

Result<f64> parse_real(const std::string& text, const std::string& context) {
  char* end = nullptr;
  const f64 value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != 0) return fail(ErrorCode::usage, fmt::format("{}: \"{}\" is not a number", context, text));
  return value;
}

Result<std::vector<u8>> buffer_contents(const std::string& source, u64 size_bytes) {
  std::vector<u8> contents;
  if (source == "random" || source == "iota" || source == "iota_f32") {
    contents.resize(size_bytes);
    u64 state = 1151;
    for (u64 at = 0; at + 4 <= size_bytes; at += 4) {
      state = state * 6364136223846793005ull + 1442695040888963407ull;
      const u32 number = static_cast<u32>(at / 4);
      const u32 word = source == "iota" ? number : source == "random" ? static_cast<u32>(state >> 32) :
                       std::bit_cast<u32>(static_cast<f32>(number));
      std::memcpy(contents.data() + at, &word, 4);
    }
    return contents;
  }
  std::ifstream file(source, std::ios::binary);
  if (!file) return fail(ErrorCode::file, fmt::format("{} cannot be opened: {}", source, std::strerror(errno)), errno);
  contents.assign(std::istreambuf_iterator<char>(file), {});
  if (contents.size() > size_bytes)
    return fail(ErrorCode::usage, fmt::format("{} has {} bytes, its buffer {}", source, contents.size(), size_bytes));
  return contents;
}

Result<KernelArgument> parse_buffer(const std::string& value, const std::string& text) {
  const auto equals = value.find('=');
  KernelArgument argument;
  argument.kind = KernelArgument::Kind::buffer;
  argument.size_bytes = argument.alignment_bytes = 8;
  argument.buffer_bytes = TRY(parse_whole(value.substr(0, equals), text));
  if (argument.buffer_bytes == 0 || argument.buffer_bytes > largest_buffer_bytes)
    return fail(ErrorCode::usage, fmt::format("{}: a buffer has 1 to {} bytes", text, largest_buffer_bytes));
  if (equals != std::string::npos)
    argument.contents = TRY(buffer_contents(value.substr(equals + 1), argument.buffer_bytes));
  return argument;
}

}  // namespace

Result<KernelArgument> parse_kernel_argument(const std::string& text) {
  const auto colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  const std::string value = colon == std::string::npos ? "" : text.substr(colon + 1);
  KernelArgument argument;
  const std::string context = fmt::format("--arg {}", text);
  if (kind == "buf") return parse_buffer(value, context);
  if (kind == "u32" || kind == "i32") {
    argument.bits = TRY(parse_whole(value, context));
    const i64 number = static_cast<i64>(argument.bits);
    const bool fits = kind == "u32" ? argument.bits <= 0xffffffffu : number >= -0x80000000ll && number <= 0x7fffffffll;
    if (!fits) return fail(ErrorCode::usage, context + ": does not fit 32 bits");
    argument.bits &= 0xffffffffu;
  } else if (kind == "u64") {
    argument.bits = TRY(parse_whole(value, context));
    argument.size_bytes = argument.alignment_bytes = 8;
  } else if (kind == "f32") {
    argument.bits = std::bit_cast<u32>(static_cast<f32>(TRY(parse_real(value, context))));
  } else if (kind == "f16") {
    const auto half = static_cast<_Float16>(TRY(parse_real(value, context)));
    argument.bits = std::bit_cast<u16>(half);
    argument.size_bytes = argument.alignment_bytes = 2;
  } else if (kind == "zero") {
    const u64 bytes = TRY(parse_whole(value, context));
    if (bytes == 0 || bytes > 4096) return fail(ErrorCode::usage, context + ": 1 to 4096 bytes");
    argument.size_bytes = static_cast<u32>(bytes);
    argument.alignment_bytes = 8;
  } else {
    return fail(ErrorCode::usage, fmt::format("--arg {}: the kinds are u32, i32, u64, f32, f16, zero and buf", text));
  }
  return argument;
}

Result<std::array<u32, 3>> parse_triple(const std::string& text, const char* option) {
  std::array<u32, 3> triple{1, 1, 1};
  std::size_t start = 0;
  for (u32 i = 0; start <= text.size(); ++i) {
    if (i == 3) return fail(ErrorCode::usage, fmt::format("{} {}: write X,Y,Z", option, text));
    const auto comma = std::min(text.find(',', start), text.size());
    const u64 value = TRY(parse_whole(text.substr(start, comma - start), option));
    if (value == 0 || value > 0xffffffffu)
      return fail(ErrorCode::usage, fmt::format("{} {}: each is at least 1", option, text));
    triple[i] = static_cast<u32>(value);
    start = comma + 1;
  }
  return triple;
}

}  // namespace amlm::tools
