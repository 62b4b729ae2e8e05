#include "driver/virtual/inject.h"

#include <errno.h>
#include <stdlib.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace amlm::vgpu {

namespace {

struct Rule {
  std::string name;
  u64 nth = 0, every = 0;
  int error = 0;
  u64 calls = 0;
};

struct Word { const char* name; int value; };
constexpr Word errors[] = {
    {"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EINTR", EINTR},   {"EIO", EIO},     {"EAGAIN", EAGAIN},
    {"ENOMEM", ENOMEM}, {"EACCES", EACCES}, {"EFAULT", EFAULT}, {"EBUSY", EBUSY}, {"ENODEV", ENODEV},
    {"EINVAL", EINVAL}, {"ENOSPC", ENOSPC}, {"ENODATA", ENODATA}, {"ETIME", ETIME}, {"ECANCELED", ECANCELED},
    {"ENOTTY", ENOTTY}, {"EOPNOTSUPP", EOPNOTSUPP},
};

std::mutex mutex;
std::vector<Rule> rules;
std::atomic<bool> any{false};

bool set_word(Rule& rule, const std::string& key, const std::string& value) {
  if (key == "ioctl") rule.name = value;
  else if (key == "nth") rule.nth = strtoull(value.c_str(), nullptr, 0);
  else if (key == "every") rule.every = strtoull(value.c_str(), nullptr, 0);
  else if (key == "errno") {
    for (const auto& word : errors)
      if (value == word.name) rule.error = word.value;
  } else return false;
  return true;
}

}  // namespace

bool set_injections(const std::string& text, std::string* why) {
  std::vector<Rule> fresh;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(';', start), text.size());
    Rule rule;
    for (size_t at = start; at < end;) {
      const size_t stop = std::min(text.find(',', at), end);
      const std::string pair = text.substr(at, stop - at);
      const size_t equals = pair.find('=');
      if (equals == std::string::npos || !set_word(rule, pair.substr(0, equals), pair.substr(equals + 1))) {
        *why = "injection rule: \"" + pair + "\" is not ioctl=, nth=, every= or errno=";
        return false;
      }
      at = stop + 1;
    }
    if (rule.name.empty() || rule.error == 0) {
      *why = "injection rule \"" + text.substr(start, end - start) + "\" lacks ioctl= or a known errno=";
      return false;
    }
    fresh.push_back(std::move(rule));
    start = end + 1;
  }
  const std::lock_guard lock(mutex);
  rules = std::move(fresh);
  any.store(!rules.empty());
  return true;
}

int injected(const char* name) {
  if (!any.load(std::memory_order_relaxed)) return 0;
  const std::lock_guard lock(mutex);
  int error = 0;
  for (Rule& rule : rules) {
    if (rule.name != name) continue;
    ++rule.calls;
    const bool hit = rule.nth ? rule.calls == rule.nth : rule.every ? rule.calls % rule.every == 0 : true;
    if (hit && !error) error = rule.error;
  }
  return error;
}

}  // namespace amlm::vgpu
