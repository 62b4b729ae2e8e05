#include "driver/virtual/counters.h"

#include "driver/virtual/config.h"
#include "driver/virtual/faults.h"
#include "driver/virtual/real.h"

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

void append(std::string& out, const isa::Counters& counts) {
  for (const auto& field : count_fields) append(out, field.name, counts.*field.member);
}

}  // namespace

// Complete events of the trace format that Perfetto and chrome://tracing read, one a line.
void Counters::trace(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns) {
  if (!trace_file_) trace_file_ = real::fopen(trace_path_.c_str(), "we");
  if (!trace_file_) fatal("cannot write AMLM_VGPU_TRACE=" + trace_path_);
  fputs(ftell(trace_file_) == 0 ? "[" : ",", trace_file_);
  std::string counts = "{";
  append(counts, report.counters);
  fprintf(trace_file_,
          "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":%s,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"groups\":[%u,%u,%u],"
          "\"group_lanes\":[%u,%u,%u],\"wave_lanes\":%u,\"code_va\":\"0x%llx\",\"fault\":%s,\"counts\":%s}}}\n",
          json_text(dispatch.label).c_str(), double(start_ns) / 1e3, double(report.modelled_ns) / 1e3,
          dispatch.groups[0], dispatch.groups[1], dispatch.groups[2], dispatch.group_lanes[0], dispatch.group_lanes[1],
          dispatch.group_lanes[2], dispatch.wave_lanes, static_cast<unsigned long long>(dispatch.code_va),
          report.fault ? json_text(report.fault->sentence).c_str() : "null", counts.c_str());
}

void Counters::add(const isa::Dispatch& dispatch, const isa::RunReport& report, u64 start_ns) {
  const std::lock_guard lock(mutex_);
  ++queue_.dispatches;
  queue_.modelled_ns += report.modelled_ns;
  if (!trace_path_.empty()) trace(dispatch, report, start_ns);
  LabelCounters& row = labels_[dispatch.label];
  ++row.dispatches;
  row.modelled_ns += report.modelled_ns;
  row.counts.add(report.counters);
}

void Counters::count(u64 QueueCounters::* which, u64 amount) {
  const std::lock_guard lock(mutex_);
  queue_.*which += amount;
}

std::string Counters::json() const {
  const std::lock_guard lock(mutex_);
  std::string out = "{";
  for (const auto& field : queue_fields) append(out, field.name, queue_.*field.member);
  isa::Counters total;
  for (const auto& row : labels_) total.add(row.second.counts);
  append(out, total);
  out += ",\"labels\":{";
  bool first = true;
  for (const auto& [label, row] : labels_) {
    if (!first) out += ',';
    first = false;
    out += json_text(label) + ":{";
    append(out, "dispatches", row.dispatches);
    append(out, "modelled_ns", row.modelled_ns);
    append(out, row.counts);
    out += '}';
  }
  return out + "}}";
}

void Counters::clear() {
  const std::lock_guard lock(mutex_);
  queue_ = {};
  labels_.clear();
}

}  // namespace amlm::vgpu
