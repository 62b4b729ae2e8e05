#include "driver/virtual/trace.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "driver/virtual/config.h"
#include "driver/virtual/faults.h"
#include "driver/virtual/real.h"
#include "isa/disasm.h"

namespace amlm::vgpu {

namespace {

constexpr u64 longest_program_bytes = 1 << 20;

std::vector<u32> code_of(const isa::AddressSpace& space, u64 va) {
  const isa::Mapping* mapping = space.find(va);
  if (!mapping) return {};
  const u64 left = std::min(mapping->va + mapping->size_bytes - va, longest_program_bytes);
  std::vector<u32> words(left / 4);
  memcpy(words.data(), mapping->host + (va - mapping->va), words.size() * 4);
  words.resize(isa::program_length(words));
  return words;
}

// FNV-1a, 64 bits: the same code has the same name in every run and process.
std::string hash_of(std::span<const u32> words) {
  u64 hash = 0xcbf29ce484222325;
  for (const u32 word : words)
    for (u32 shift = 0; shift < 32; shift += 8) hash = (hash ^ (word >> shift & 0xff)) * 0x100000001b3;
  char text[20];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace

void Trace::open() {
  std::string path = path_;
  if (const auto at = path.find("%p"); at != std::string::npos) path.replace(at, 2, std::to_string(getpid()));
  file_ = real::fopen(path.c_str(), "we");
  if (!file_) fatal("cannot write AMLM_VGPU_TRACE=" + path);
  setvbuf(file_, nullptr, _IOLBF, 1 << 16);
}

void Trace::keep(const std::string& name, std::span<const u32> words) const {
  const std::string path = code_folder_ + "/" + name;
  const int fd = real::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, words.data(), words.size_bytes()) != ssize_t(words.size_bytes())) fatal("cannot write " + path);
  real::close(fd);
}

void Trace::indirect_buffer(u64 va, std::span<const u32> words) {
  if (code_folder_.empty() || words.empty()) return;
  char place[32], name[64];
  snprintf(place, sizeof place, "0x%llx", static_cast<unsigned long long>(va));
  if (!kept_.insert(place + hash_of(words)).second) return;
  snprintf(name, sizeof name, "%d-%04u-%s.ib", int(getpid()), ++buffer_count_, place);
  keep(name, words);
}

void Trace::dispatch(const isa::Dispatch& d, const isa::RunReport& report, const isa::AddressSpace& space,
                     const TracePlace& place) {
  const bool first = !file_;
  if (first) open();
  const std::vector<u32> code = code_of(space, d.code_va);
  const std::string hash = hash_of(code);
  if (!code_folder_.empty() && kept_.insert(hash).second) keep(hash + ".bin", code);
  fprintf(file_,
          "%s{\"ph\":\"X\",\"pid\":%d,\"tid\":1,\"name\":%s,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"code\":\"%s\","
          "\"code_bytes\":%zu,\"code_va\":\"0x%llx\",\"groups\":[%u,%u,%u],\"group_lanes\":[%u,%u,%u],\"wave_lanes\":%u,"
          "\"barriers_before\":%llu,\"acquires_before\":%llu,\"fault\":%s,\"counts\":%s}}\n",
          first ? "[" : ",", int(getpid()), json_text(d.label).c_str(), double(place.start_ns) / 1e3,
          double(report.modelled_ns) / 1e3, hash.c_str(), code.size() * 4, static_cast<unsigned long long>(d.code_va),
          d.groups[0], d.groups[1], d.groups[2], d.group_lanes[0], d.group_lanes[1], d.group_lanes[2], d.wave_lanes,
          static_cast<unsigned long long>(place.barriers), static_cast<unsigned long long>(place.acquires),
          report.fault ? json_text(report.fault->sentence).c_str() : "null", counts_json(report.counters).c_str());
}

}  // namespace amlm::vgpu
