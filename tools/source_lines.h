// From an address of a code object to the line of assembly it comes from, by the object's DWARF line table (llvm-mc -g
// writes it; llvm-dwarfdump reads it).
#pragma once

#include <map>
#include <string>

#include "driver/base.h"

namespace amlm::tools {

class SourceLines {
 public:
  SourceLines() = default;
  // The table as `llvm-dwarfdump --debug-line` prints it; what is not a table is skipped.
  explicit SourceLines(const std::string& dump);
  // "scale.s:31", or "" when the table has no row for exactly this address.
  std::string at(u64 address) const;

 private:
  std::map<u64, std::string> lines_;
};

// Empty when the object has no line table, or llvm-dwarfdump is not installed: lines are a help, not a need.
SourceLines read_source_lines(const std::string& code_object_path);

}  // namespace amlm::tools
