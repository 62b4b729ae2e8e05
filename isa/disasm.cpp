#include "isa/disasm.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "isa/tables.h"

namespace amlm::isa {

namespace {

// The byte offset a direct branch at `at_dw` goes to.
std::optional<u64> branch_target(const Instruction& instruction, u64 at_dw) {
  const OpInfo& row = info(instruction.opcode);
  for (u32 i = 0; i < row.src_count; i++)
    if (row.src[i].type == Type::LABEL) return u64(i64(at_dw) + instruction.size_dw + instruction.offset) * 4;
  return std::nullopt;
}

std::set<u64> branch_targets(std::span<const u32> code) {
  std::set<u64> targets;
  for (u64 at = 0; at < code.size();) {
    const auto instruction = decode(code.subspan(at));
    if (!instruction) {
      at++;
      continue;
    }
    if (const auto target = branch_target(*instruction, at); target && *target < code.size() * 4) targets.insert(*target);
    at += instruction->size_dw;
  }
  return targets;
}

}  // namespace

std::string disassemble(std::span<const u32> code, u64 va) {
  const std::set<u64> targets = branch_targets(code);
  std::string out;
  for (u64 at = 0; at < code.size();) {
    const u64 offset = at * 4;
    if (targets.contains(offset)) out += fmt::format(".L{:04x}:\n", offset);
    const auto instruction = decode(code.subspan(at));
    const u32 size_dw = instruction ? instruction->size_dw : 1;
    std::string words;
    for (u32 i = 0; i < size_dw; i++) words += fmt::format("{:08x} ", code[at + i]);
    std::string text = instruction ? print(*instruction, va + offset) : fmt::format(".long 0x{:08x}", code[at]);
    if (instruction)
      if (const auto target = branch_target(*instruction, at); target && targets.contains(*target))
        text += fmt::format("   // .L{:04x}", *target);
    out += fmt::format("  {:06x}  {:<28}{}\n", va + offset, words, text);
    at += size_dw;
  }
  return out;
}

std::size_t program_length(std::span<const u32> code) {
  u64 furthest = 0;      // in dwords: where a branch leads
  for (u64 at = 0; at < code.size();) {
    const auto instruction = decode(code.subspan(at));
    if (!instruction) return code.size();
    if (const auto target = branch_target(*instruction, at); target && *target / 4 < code.size())
      furthest = std::max(furthest, *target / 4);
    at += instruction->size_dw;
    const bool goes_on = instruction->opcode != Opcode::s_endpgm && instruction->opcode != Opcode::s_branch &&
                         instruction->opcode != Opcode::s_setpc_b64 && instruction->opcode != Opcode::s_code_end;
    if (!goes_on && at > furthest) return at;
  }
  return code.size();
}

}  // namespace amlm::isa
