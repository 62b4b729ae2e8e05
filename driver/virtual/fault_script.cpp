#include "driver/virtual/fault_script.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <optional>
#include <random>
#include <sstream>

namespace amlm::vgpu {

namespace {

struct Rule {
  std::string event, kernel;
  u64 first = 0, last = ~0ull;     // of the matching events, from 1
  u64 every = 0, from_ns = 0, after_ns = 0;
  double chance = 1;
  Action action;
  u64 count = 0;
  std::mt19937_64 random;

  bool hit(const ScriptEvent& what) {
    if (event != what.name || what.busy_ns < from_ns + after_ns) return false;
    if (!kernel.empty() && kernel != what.kernel) return false;
    ++count;
    if (count < first || count > last || (every && count % every != 0)) return false;
    return chance >= 1 || std::uniform_real_distribution<double>(0, 1)(random) < chance;
  }
};

struct Name { const char* text; int value; };
constexpr Name errors[] = {
    {"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EINTR", EINTR},   {"EIO", EIO},       {"EBADF", EBADF},
    {"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM}, {"EACCES", EACCES}, {"EFAULT", EFAULT}, {"EBUSY", EBUSY},
    {"ENODEV", ENODEV}, {"EINVAL", EINVAL}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"ENOSPC", ENOSPC},
    {"ENODATA", ENODATA}, {"ETIME", ETIME}, {"ECANCELED", ECANCELED}, {"ENOTTY", ENOTTY}, {"ENXIO", ENXIO},
    {"EOPNOTSUPP", EOPNOTSUPP}, {"EOVERFLOW", EOVERFLOW},
};
constexpr Name resets[] = {{"queue", int(Reset::queue)}, {"full", int(Reset::full)}, {"vram-lost", int(Reset::vram_lost)}};
struct Unit { const char* text; u64 factor; };
constexpr Unit times[] = {{"ns", 1}, {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}};
constexpr Unit sizes[] = {{"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"B", 1}};

// What may happen at which events: an action on a job needs one, and a call has none of its own.
bool is_job_event(const std::string& event) { return event == "JOB" || event == "DISPATCH"; }
bool is_event(const std::string& event) {
  return is_job_event(event) || event == "OPEN" || event == "MMAP" || is_ioctl_name(event);
}

std::string quoted(const std::string& word) { return std::string(1, '"').append(word).append(1, '"'); }

class Parser {
 public:
  explicit Parser(const ScriptStart& start) : seed_(start.seed), busy_ns_(start.busy_ns) {}
  bool run(const std::string& text);
  std::vector<Rule> rules;
  std::string why;

 private:
  bool statement();
  bool condition(Rule& rule);
  bool action(Rule& rule);
  bool job_action(Rule& rule, const std::string& verb);
  bool page_fault(Action& action);
  bool reset_word(Action& action);

  bool fail(const std::string& what) {
    why = "line " + std::to_string(line_) + ": " + what;
    return false;
  }
  bool more() const { return at_ < words_.size(); }
  std::string take() { return more() ? words_[at_++] : ""; }
  bool take_if(const char* word) {
    if (!more() || words_[at_] != word) return false;
    ++at_;
    return true;
  }
  std::optional<u64> number(const std::string& text, std::string* rest = nullptr);
  bool whole(u64& value, const char* after);
  template <size_t N> bool amount(u64& value, const char* after, const Unit (&units)[N], const char* example);

  u64 seed_;
  const u64 busy_ns_;
  u32 line_ = 1;
  std::vector<std::string> words_;
  size_t at_ = 0;
};

std::optional<u64> Parser::number(const std::string& text, std::string* rest) {
  if (text.empty() || !isdigit(u8(text[0]))) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const u64 value = strtoull(text.c_str(), &end, 0);
  if (errno != 0 || (!rest && *end != 0)) return std::nullopt;
  if (rest) *rest = end;
  return value;
}

bool Parser::whole(u64& value, const char* after) {
  const std::string word = take();
  const auto parsed = number(word);
  if (!parsed) return fail(std::string("after ") + after + " stands " + quoted(word) + ", not a number");
  value = *parsed;
  return true;
}

template <size_t N>
bool Parser::amount(u64& value, const char* after, const Unit (&units)[N], const char* example) {
  const std::string word = take();
  std::string unit;
  const auto parsed = number(word, &unit);
  for (const Unit& row : units)
    if (parsed && unit == row.text && *parsed <= ~0ull / row.factor) {
      value = *parsed * row.factor;
      return true;
    }
  return fail(std::string("after ") + after + " stands " + quoted(word) + ", not an amount such as " + example);
}

bool Parser::run(const std::string& text) {
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) words_.push_back(std::move(word));
    word.clear();
  };
  bool in_comment = false;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : '\n';
    if (c == '\n' || (c == ';' && !in_comment)) {
      end_word();
      if (!words_.empty() && !statement()) return false;
      words_.clear();
      at_ = 0;
      if (c == '\n') ++line_, in_comment = false;
    } else if (in_comment || c == '#') {
      in_comment = true;
    } else if (c == ':' || isspace(u8(c))) {
      end_word();
      if (c == ':') words_.push_back(":");
    } else {
      word += c;
    }
  }
  return true;
}

bool Parser::statement() {
  if (take_if("seed")) {
    if (!whole(seed_, "seed")) return false;
    return more() ? fail(quoted(take()) + " after the seed") : true;
  }
  Rule rule;
  rule.event = take();
  if (!is_event(rule.event))
    return fail(quoted(rule.event) + " is no event: write an ioctl's name such as CS, or OPEN, MMAP, JOB, DISPATCH");
  while (more() && !take_if(":"))
    if (!condition(rule)) return false;
  if (words_[at_ - 1] != ":") return fail("no \":\" and no action after " + rule.event);
  rule.from_ns = busy_ns_;
  rule.action.line = line_;
  if (!action(rule)) return false;
  if (more()) return fail(quoted(take()) + " after the end of the action");
  std::seed_seq mix{u32(seed_), u32(seed_ >> 32), u32(rules.size())};
  rule.random.seed(mix);
  rules.push_back(std::move(rule));
  return true;
}

bool Parser::condition(Rule& rule) {
  const std::string word = take();
  if (word == "nth") {
    const std::string range = take();
    std::string rest;
    const auto first = number(range, &rest);
    const auto last = rest.empty() ? first : rest[0] == '-' ? number(rest.substr(1)) : std::nullopt;
    if (!first || !last || *first == 0 || *last < *first)
      return fail("after nth stands " + quoted(range) + ", not a number from 1 or a range such as 2-5");
    rule.first = *first;
    rule.last = *last;
    return true;
  }
  if (word == "from") return whole(rule.first, "from");
  if (word == "every") {
    if (!whole(rule.every, "every")) return false;
    return rule.every ? true : fail("every 0");
  }
  if (word == "after") return amount(rule.after_ns, "after", times, "3ms");
  if (word == "chance") {
    const std::string text = take();
    char* end = nullptr;
    rule.chance = strtod(text.c_str(), &end);
    if (!text.empty() && *end == 0 && rule.chance >= 0 && rule.chance <= 1) return true;
    return fail("after chance stands " + quoted(text) + ", not a number from 0 to 1");
  }
  if (word == "kernel") {
    if (rule.event != "DISPATCH") return fail("kernel is a condition of DISPATCH only");
    rule.kernel = take();
    return rule.kernel.empty() || rule.kernel == ":" ? fail("kernel without a name") : true;
  }
  return fail(quoted(word) + " is no condition: write nth, from, every, after, chance or kernel");
}

bool Parser::reset_word(Action& action) {
  if (!more()) return true;
  const std::string word = take();
  for (const Name& name : resets)
    if (word == name.text) {
      action.reset = Reset(name.value);
      return true;
    }
  return fail(quoted(word) + " is no kind of reset: write queue, full or vram-lost");
}

bool Parser::page_fault(Action& action) {
  action.kind = Action::Kind::page_fault;
  u64 handle = 0;
  if (take_if("at")) {
    if (!whole(action.address, "at")) return false;
  } else if (take_if("in")) {
    if (!whole(handle, "in")) return false;
    if (handle == 0 || handle > ~0u) return fail("after in stands no handle of a buffer");
    action.buffer = u32(handle);
    if (take_if("offset") && !whole(action.address, "offset")) return false;
  } else {
    return fail("page-fault without a place: write at ADDRESS or in HANDLE");
  }
  action.is_write = take_if("write");
  return true;
}

bool Parser::job_action(Rule& rule, const std::string& verb) {
  Action& action = rule.action;
  if (verb == "hang") return action.kind = Action::Kind::hang, reset_word(action);
  if (verb == "soft-recovery") return action.kind = Action::Kind::soft, true;
  if (verb == "stuck") return action.kind = Action::Kind::stuck, true;
  if (verb == "page-fault") return page_fault(action);
  if (verb == "stall") return action.kind = Action::Kind::stall, amount(action.amount, "stall", times, "500ms");
  return fail(quoted(verb) + " is nothing that can happen at " + rule.event);
}

bool Parser::action(Rule& rule) {
  const std::string verb = take();
  if (verb.empty()) return fail("no action after the \":\"");
  const bool at_job = is_job_event(rule.event);
  if (verb == "fail" && !at_job) {
    const std::string word = take();
    for (const Name& name : errors)
      if (word == name.text) rule.action.error = name.value;
    return rule.action.error ? true : fail(quoted(word) + " is no errno that this device knows");
  }
  if (verb == "reset" && rule.event != "DISPATCH") return rule.action.kind = Action::Kind::reset, reset_word(rule.action);
  if (verb == "gtt" && rule.event != "DISPATCH")
    return rule.action.kind = Action::Kind::gtt, amount(rule.action.amount, "gtt", sizes, "60GiB");
  if (at_job) return job_action(rule, verb);
  return fail(quoted(verb) + " is nothing that can happen at " + rule.event);
}

std::mutex mutex;
std::vector<Rule> rules;
std::atomic<bool> any{false};
std::atomic<u64> hits{0};

}  // namespace

bool set_script(const std::string& text, const ScriptStart& start, std::string* why) {
  std::string script = text, place;
  if (text.starts_with("@")) {
    place = text.substr(1) + ", ";
    std::ifstream file(text.substr(1));
    std::stringstream content;
    content << file.rdbuf();
    if (!file) {
      *why = "the fault script " + text.substr(1) + " cannot be read";
      return false;
    }
    script = content.str();
  }
  Parser parser(start);
  if (!parser.run(script)) {
    *why = "fault script: " + place + parser.why;
    return false;
  }
  const std::lock_guard lock(mutex);
  rules = std::move(parser.rules);
  any.store(!rules.empty());
  hits = 0;
  return true;
}

std::vector<Action> scripted(const ScriptEvent& event) {
  std::vector<Action> actions;
  if (!any.load(std::memory_order_relaxed)) return actions;
  const std::lock_guard lock(mutex);
  for (Rule& rule : rules)
    if (rule.hit(event)) actions.push_back(rule.action);
  hits += actions.size();
  return actions;
}

u64 script_hits() { return hits; }

}  // namespace amlm::vgpu
