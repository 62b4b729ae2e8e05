#include "driver/virtual/faults.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "driver/virtual/real.h"

namespace amlm::vgpu {

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (u8(c) < 0x20) {
      char escape[8];
      snprintf(escape, sizeof escape, "\\u%04x", unsigned(u8(c)));
      out += escape;
    } else out += c;
  }
  return out + '"';
}

void Faults::report(const FaultReport& fault) {
  char numbers[256];
  snprintf(numbers, sizeof numbers,
           ",\"pc\":\"0x%llx\",\"address\":\"0x%llx\",\"packet_va\":\"0x%llx\",\"group\":[%u,%u,%u],"
           "\"wave\":%u,\"lane\":%u,\"pid\":%d}",
           static_cast<unsigned long long>(fault.pc), static_cast<unsigned long long>(fault.address),
           static_cast<unsigned long long>(fault.packet_va), fault.group[0], fault.group[1], fault.group[2],
           fault.wave, fault.lane, int(getpid()));
  const std::string line = "{\"kind\":" + json_text(fault.kind) + ",\"sentence\":" + json_text(fault.sentence) +
                           ",\"label\":" + json_text(fault.label) + numbers;
  const std::lock_guard lock(mutex_);
  ++count_;
  last_ = line;
  fprintf(stderr, "amlm-vgpu: fault: %s\n", fault.sentence.c_str());
  if (path_.empty()) return;
  const int fd = real::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string with_end = line + "\n";
  if (fd < 0 || ::write(fd, with_end.data(), with_end.size()) != ssize_t(with_end.size()))
    fprintf(stderr, "amlm-vgpu: cannot write %s\n", path_.c_str());
  if (fd >= 0) real::close(fd);
}

u64 Faults::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::string Faults::last_json() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

void Faults::clear() {
  const std::lock_guard lock(mutex_);
  count_ = 0;
  last_.clear();
}

}  // namespace amlm::vgpu
