// What the commands print besides their result: errors, progress bars, and Ctrl-C.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

#include "driver/base.h"

namespace amlm::tools {

// "amlm: SENTENCE" on stderr; returns the exit code of the error's kind.
int report(const Error& error);

// Text from outside (a model's metadata, a file name) made safe for a terminal: control characters become \xNN.
std::string printable(std::string_view text);

// Text to stdout at once; an Error when it cannot be written (a full disk, a closed descriptor).
Result<void> print_now(std::string_view text);
// What stdout still holds; an Error when that, or anything before, could not be written.
Result<void> finish_output();

// A bar on stderr that redraws itself when stderr is a terminal, and prints nothing otherwise.
class Progress {
 public:
  explicit Progress(std::string label);
  ~Progress();
  // `note` stands behind the bar: "1.2 GB/s, 3 s left".
  void update(double fraction, std::string_view note);
  void finish();

 private:
  std::string label_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// True once SIGINT or SIGTERM has come; the first one asks the command to end cleanly, a second one kills.
const std::atomic<bool>& interrupted();
void catch_interrupts();

}  // namespace amlm::tools
