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
std::string hash_of(const std::vector<u32>& words) {
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

void Trace::keep_code(const std::string& hash, const u8* code, u64 size_bytes) {
  if (!kept_.insert(hash).second) return;
  const std::string path = code_folder_ + "/" + hash + ".bin";
  const int fd = real::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, code, size_bytes) != ssize_t(size_bytes)) fatal("cannot write " + path);
  real::close(fd);
}

void Trace::dispatch(const isa::Dispatch& d, const isa::RunReport& report, const isa::AddressSpace& space,
                     const TracePlace& place) {
  const bool first = !file_;
  if (first) open();
  const std::vector<u32> code = code_of(space, d.code_va);
  const std::string hash = hash_of(code);
  if (!code_folder_.empty()) keep_code(hash, reinterpret_cast<const u8*>(code.data()), code.size() * 4);
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
