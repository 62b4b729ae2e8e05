#include "driver/virtual/counters.h"

#include "driver/virtual/faults.h"

namespace amlm::vgpu {

namespace {

struct QueueField { const char* name; u64 QueueCounters::* member; };
constexpr QueueField queue_fields[] = {
    {"ioctls", &QueueCounters::ioctls},         {"submits", &QueueCounters::submits},
    {"jobs", &QueueCounters::jobs},             {"packets", &QueueCounters::packets},
    {"dispatches", &QueueCounters::dispatches}, {"barriers", &QueueCounters::barriers},
    {"acquires", &QueueCounters::acquires},     {"allocations", &QueueCounters::allocations},
    {"modelled_ns", &QueueCounters::modelled_ns},
};

struct CountField { const char* name; u64 isa::Counters::* member; };
constexpr CountField count_fields[] = {
    {"waves", &isa::Counters::waves},           {"instructions", &isa::Counters::instructions},
    {"valu", &isa::Counters::valu},             {"vopd", &isa::Counters::vopd},
    {"trans", &isa::Counters::trans},           {"wmma", &isa::Counters::wmma},
    {"dot", &isa::Counters::dot},               {"salu", &isa::Counters::salu},
    {"smem", &isa::Counters::smem},             {"vmem_load", &isa::Counters::vmem_load},
    {"vmem_store", &isa::Counters::vmem_store}, {"atomic", &isa::Counters::atomic},
    {"lds", &isa::Counters::lds},               {"branch", &isa::Counters::branch},
    {"wait", &isa::Counters::wait},             {"barrier", &isa::Counters::barrier},
    {"other", &isa::Counters::other},           {"global_read_bytes", &isa::Counters::global_read_bytes},
    {"global_write_bytes", &isa::Counters::global_write_bytes}, {"lds_bytes", &isa::Counters::lds_bytes},
    {"cache_lines", &isa::Counters::cache_lines},
};

void append(std::string& out, const char* name, u64 value) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += name;
  out += "\":" + std::to_string(value);
}

void append(std::string& out, const isa::Counters& counts, bool lines) {
  for (const auto& field : count_fields)
    if (lines || field.member != &isa::Counters::cache_lines) append(out, field.name, counts.*field.member);
}

}  // namespace

std::string counts_json(const isa::Counters& counts) {
  std::string out = "{";
  append(out, counts, true);
  return out + '}';
}

void Counters::add(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns,
                   const isa::AddressSpace& space) {
  const std::lock_guard lock(mutex_);
  ++queue_.dispatches;
  queue_.modelled_ns += report.modelled_ns;
  if (trace_.wanted()) {
    trace_.dispatch(dispatch, report, space, {.start_ns = start_ns, .barriers = queue_.barriers - traced_.barriers,
                                              .acquires = queue_.acquires - traced_.acquires});
    traced_ = queue_;
  }
  LabelCounters& row = labels_[dispatch.label];
  ++row.dispatches;
  row.modelled_ns += report.modelled_ns;
  row.counts.add(report.counters);
}

void Counters::indirect_buffer(u64 va, std::span<const u32> words) {
  const std::lock_guard lock(mutex_);
  trace_.indirect_buffer(va, words);
}

void Counters::count(u64 QueueCounters::* which, u64 amount) {
  const std::lock_guard lock(mutex_);
  queue_.*which += amount;
}

std::string Counters::json() const {
  const std::lock_guard lock(mutex_);
  const bool lines = lines_.exchange(true);
  std::string out = "{";
  for (const auto& field : queue_fields) append(out, field.name, queue_.*field.member);
  isa::Counters total;
  for (const auto& row : labels_) total.add(row.second.counts);
  append(out, total, lines);
  out += ",\"labels\":{";
  bool first = true;
  for (const auto& [label, row] : labels_) {
    if (!first) out += ',';
    first = false;
    out += json_text(label) + ":{";
    append(out, "dispatches", row.dispatches);
    append(out, "modelled_ns", row.modelled_ns);
    append(out, row.counts, lines);
    out += '}';
  }
  return out + "}}";
}

void Counters::clear() {
  const std::lock_guard lock(mutex_);
  lines_ = true;
  queue_ = traced_ = {};
  labels_.clear();
}

}  // namespace amlm::vgpu
