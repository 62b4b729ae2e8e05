#include "driver/virtual/hooks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/virtual/gpu.h"
#include "driver/virtual/fault_script.h"
#include "driver/virtual/real.h"

using namespace amlm::vgpu;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

size_t copy(const std::string& text, char* target, size_t size) {
  if (size) {
    const size_t length = text.size() < size ? text.size() : size - 1;
    memcpy(target, text.data(), length);
    target[length] = 0;
  }
  return text.size();
}

void write_counters(const Gpu& gpu) {
  if (gpu.config.counters_path.empty()) return;
  const std::string text = gpu.counters.json() + "\n";
  const int fd = real::open(gpu.config.counters_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != ssize_t(text.size()))
    fprintf(stderr, "amlm-vgpu: cannot write %s\n", gpu.config.counters_path.c_str());
  if (fd >= 0) real::close(fd);
}

// The library is preloaded, hence unloaded last: the client's own destructors have run.
__attribute__((destructor)) void at_exit() {
  Gpu* gpu = Gpu::present();
  if (!gpu) return;
  gpu->scheduler.stop();
  if (gpu->owner_pid == getpid()) write_counters(*gpu);
}

}  // namespace

EXPORT size_t amlm_vgpu_counters(char* json, size_t size) { return copy(Gpu::instance().counters.json(), json, size); }
EXPORT void amlm_vgpu_counters_clear(void) { Gpu::instance().counters.clear(); }
EXPORT size_t amlm_vgpu_fault_count(void) { return Gpu::instance().faults.count(); }
EXPORT size_t amlm_vgpu_last_fault(char* json, size_t size) {
  return copy(Gpu::instance().faults.last_json(), json, size);
}
EXPORT void amlm_vgpu_faults_clear(void) { Gpu::instance().faults.clear(); }

EXPORT size_t amlm_vgpu_ioctls(char* text, size_t size) { return copy(ioctl_errors(), text, size); }

EXPORT size_t amlm_vgpu_script_hits(void) { return script_hits(); }

EXPORT int amlm_vgpu_set(const char* key, const char* value) {
  Gpu& gpu = Gpu::instance();
  const std::string name = key;
  std::string why;
  if (name == "inject") {
    const bool good = set_script(value, {.seed = gpu.config.seed, .busy_ns = gpu.busy_ns}, &why);
    gpu.pool.others_used = 0;
    if (!good) fprintf(stderr, "amlm-vgpu: %s\n", why.c_str());
    return good ? 0 : -1;
  }
  const Lock lock(gpu.mutex);
  if (name == "job_timeout_ms" && strcmp(value, "never") == 0) return gpu.config.job_timeout_ms = 0;
  if (name == "mode") {
    if (strcmp(value, "strict") != 0 && strcmp(value, "fast") != 0) return -1;
    gpu.config.mode = strcmp(value, "fast") == 0 ? amlm::isa::Mode::fast : amlm::isa::Mode::strict;
    return 0;
  }
  char* end = nullptr;
  const amlm::u64 number = strtoull(value, &end, 0);
  if (*value == 0 || *end != 0) return -1;
  if (name == "seed") gpu.config.seed = number;
  else if (name == "job_timeout_ms" && number > 0) gpu.config.job_timeout_ms = number;
  else if (name == "gtt_mib" && number > 0) gpu.config.gtt_bytes = number << 20;
  else return -1;
  return 0;
}
