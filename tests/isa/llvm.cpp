#include "tests/isa/llvm.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <unistd.h>

namespace amlm::isa::test {
namespace {

// After each sample comes s_mov_b32 s0, 0x5a000000 + index: llvm-mc goes on decoding a sample's tail, and prints
// nothing for what it refuses, so only such a mark says where a sample ends.
constexpr u32 mark_code = 0xbe8000ff, mark_base = 0x5a000000, mark_limit = 1 << 24;

std::string run_llvm(const std::string& flags, const std::string& input) {
  char path[] = "/tmp/amlm-llvm-XXXXXX";
  const int fd = mkstemp(path);
  check(fd >= 0, "temporary file for llvm-mc");
  close(fd);
  std::ofstream(path) << input;
  const std::string command = std::string(AMLM_LLVM_MC) + " -triple=amdgcn-amd-amdhsa -mcpu=gfx1151 " + flags +
                              " -show-encoding " + path + " 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  check(pipe != nullptr, "llvm-mc runs");
  std::string output;
  char block[1 << 16];
  for (std::size_t n; (n = std::fread(block, 1, sizeof block, pipe)) > 0;) output.append(block, n);
  pclose(pipe);
  unlink(path);
  return output;
}

struct Line {
  std::string text;
  std::vector<u8> bytes;
  u32 size_dw() const { return u32(bytes.size() / 4); }
  u32 word(u32 i) const {
    u32 value = 0;
    for (u32 b = 0; b < 4 && 4 * i + b < bytes.size(); ++b) value |= u32(bytes[4 * i + b]) << 8 * b;
    return value;
  }
  bool is_mark(u32 index) const { return bytes.size() == 8 && word(0) == mark_code && word(1) == mark_base + index; }
};

std::vector<Line> parse(const std::string& output) {
  static constexpr std::string_view comment = "; encoding: [";
  std::vector<Line> lines;
  for (std::size_t at = 0; at < output.size();) {
    std::size_t end = output.find('\n', at);
    if (end == std::string::npos) end = output.size();
    const std::string_view line = std::string_view(output).substr(at, end - at);
    at = end + 1;
    const std::size_t code = line.find(comment);
    if (code == line.npos) continue;
    Line parsed;
    std::string_view text = line.substr(0, code);
    while (!text.empty() && (text.front() == '\t' || text.front() == ' ')) text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    parsed.text = text;
    for (std::size_t hex = code + comment.size(); hex + 4 <= line.size(); hex += 5)
      parsed.bytes.push_back(u8(std::strtoul(std::string(line.substr(hex, 4)).c_str(), nullptr, 16)));
    lines.push_back(std::move(parsed));
  }
  return lines;
}

// The first line of each sample; null where there is none.
std::vector<const Line*> first_lines(const std::vector<Line>& lines, std::size_t count) {
  std::vector<const Line*> first(count, nullptr);
  u32 index = 0;
  for (const Line& line : lines) {
    if (index < count && line.is_mark(index)) ++index;
    else if (index < count && !first[index]) first[index] = &line;
  }
  check(index == count, "llvm-mc printed every mark");
  return first;
}

void append_block(std::string& input, std::span<const u32> words) {
  char byte[8];
  input += '[';
  for (const u32 word : words)
    for (u32 shift = 0; shift < 32; shift += 8) {
      std::snprintf(byte, sizeof byte, "0x%02x ", word >> shift & 255);
      input += byte;
    }
  input += "]\n";
}

template <class Sample>
std::vector<Disassembled> disassemble_blocks(std::span<const Sample> samples) {
  check(samples.size() < mark_limit, "samples of one run");
  std::string input;
  for (u32 i = 0; i < samples.size(); ++i) {
    append_block(input, samples[i]);
    append_block(input, std::array{mark_code, mark_base + i});
  }
  const std::vector<Line> lines = parse(run_llvm("--disassemble", input));
  std::vector<Disassembled> result;
  for (const Line* line : first_lines(lines, samples.size()))
    result.push_back(line ? Disassembled{line->text.find("/*") == line->text.npos, line->size_dw(), line->text}
                          : Disassembled{});
  return result;
}

}  // namespace

std::vector<Disassembled> llvm_disassemble(std::span<const std::vector<u32>> samples) {
  return disassemble_blocks(samples);
}

std::vector<Disassembled> llvm_disassemble(std::span<const Words> samples) { return disassemble_blocks(samples); }

std::vector<Assembled> llvm_assemble(std::span<const std::string> source, const std::string& features) {
  check(source.size() < mark_limit, "samples of one run");
  std::string input;
  for (u32 i = 0; i < source.size(); ++i) {
    char mark[64];
    std::snprintf(mark, sizeof mark, "\ns_mov_b32 s0, 0x%x\n", mark_base + i);
    input += source[i] + mark;
  }
  const std::vector<Line> lines = parse(run_llvm(features.empty() ? "" : "-mattr=" + features, input));
  std::vector<Assembled> result;
  for (const Line* line : first_lines(lines, source.size())) {
    Assembled assembled;
    if (line && line->size_dw() <= 3) {
      assembled.size_dw = line->size_dw();
      for (u32 i = 0; i < 3; ++i) assembled.words[i] = line->word(i);
    }
    result.push_back(assembled);
  }
  return result;
}

}  // namespace amlm::isa::test
