// Checks of option values that several commands use.
#include <fmt/format.h>

#include <cstdlib>

#include "tools/commands.h"

namespace amlm::tools {

std::function<std::string(const std::string&)> between(double low, double high) {
  return [=](const std::string& word) {
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (end != word.c_str() && *end == 0 && value >= low && value <= high) return std::string();
    return fmt::format("'{}' is not a number from {} to {}", word, low, high);
  };
}

std::string not_empty(const std::string& word) { return word.empty() ? "the value is empty" : ""; }

}  // namespace amlm::tools
