#include "tools/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace amlm::tools {

namespace {

std::atomic<bool> interrupt_seen{false};

void on_interrupt(int signal_number) {
  if (interrupt_seen.exchange(true)) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
  }
}

}  // namespace

int report(const Error& error) {
  std::fprintf(stderr, "amlm: %s\n", printable(error.sentence).c_str());
  return static_cast<int>(error.code);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    const auto byte = static_cast<u8>(letter);
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02x", byte);
      out += hex;
    } else {
      out += letter;
    }
  }
  return out;
}

Result<void> print_now(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return finish_output();
}

Result<void> finish_output() {
  static int first_error = 0;
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  if (first_error == 0) first_error = errno;
  if (flushed && !std::ferror(stdout)) return {};
  return fail(ErrorCode::file, first_error == 0 ? std::string("standard output cannot be written")
                                                : fmt::format("standard output cannot be written: {}",
                                                              std::strerror(first_error)), first_error);
}

Progress::Progress(std::string label) : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { finish(); }

void Progress::update(double fraction, std::string_view note) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && fraction < 1 && now - last_ < std::chrono::milliseconds(50)) return;
  last_ = now;
  drawn_ = true;
  constexpr int width = 28;
  const int filled = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width);
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.append(static_cast<std::size_t>(width - filled), '.');
  std::fprintf(stderr, "\r\033[K%s [%s] %3.0f %%  %.*s", label_.c_str(), bar.c_str(), fraction * 100,
               static_cast<int>(note.size()), note.data());
  std::fflush(stderr);
}

void Progress::finish() {
  if (!drawn_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

const std::atomic<bool>& interrupted() { return interrupt_seen; }

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace amlm::tools
