#include "driver/virtual/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

namespace amlm::vgpu {

void fatal(const std::string& sentence) {
  fprintf(stderr, "amlm-vgpu: %s\n", sentence.c_str());
  _exit(120);
}

namespace {

std::string text(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

void number(const char* name, u64& target, u64 scale = 1, u64 lowest = 0) {
  const std::string value = text(name);
  if (value.empty()) return;
  char* end = nullptr;
  const u64 parsed = strtoull(value.c_str(), &end, 0);
  if (*end != 0 || parsed < lowest || parsed > ~0ull / scale)
    fatal(std::string(name) + "=" + value + " is not a usable number");
  target = parsed * scale;
}

// The kernel's default stands in no parameter. Where no version is pretended, whoever asks the host's uname must still
// learn this device's timeout.
void read_kernel(Config& config) {
  const std::string name = text("AMLM_VGPU_KERNEL"), timeout = text("AMLM_VGPU_JOB_TIMEOUT_MS");
  if (!name.empty()) config.kernel = find_kernel(name);
  if (!config.kernel) fatal("AMLM_VGPU_KERNEL=" + name + " is none of 6.12, 6.17 and 7.3");
  config.job_timeout_ms = config.kernel->job_timeout_ms;
  if (timeout == "never") config.job_timeout_ms = 0;
  else number("AMLM_VGPU_JOB_TIMEOUT_MS", config.job_timeout_ms, 1, 1);
  if (timeout == "never") config.lockup_timeout = "-1,-1";
  else if (name.empty() || !timeout.empty()) config.lockup_timeout = std::to_string(config.job_timeout_ms);
}

void choose_rings(Config& config) {
  std::string rest = text("AMLM_VGPU_RINGS");
  while (!rest.empty()) {
    const std::string ring = rest.substr(0, rest.find(','));
    rest.erase(0, std::min(rest.size(), ring.size() + 1));
    if (ring == "gfx") config.graphics_ring = true;
    else if (ring == "sdma") config.sdma_ring = true;
    else if (ring != "compute") fatal("AMLM_VGPU_RINGS names \"" + ring + "\": there are compute, gfx and sdma");
  }
}

}  // namespace

Config config_from_environment() {
  // isa/ is compiled for these; without the check an old host would die of SIGILL.
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    fatal("the virtual gfx1151 needs a host CPU with AVX2, FMA and F16C");
  Config config;
  const std::string mode = text("AMLM_VGPU_MODE");
  if (mode == "fast") config.mode = isa::Mode::fast;
  else if (!mode.empty() && mode != "strict") fatal("AMLM_VGPU_MODE=" + mode + " is neither strict nor fast");
  u64 threads = 0, primary = 0, padding = 1;
  number("AMLM_VGPU_SEED", config.seed);
  number("AMLM_VGPU_GTT_MIB", config.gtt_bytes, 1 << 20, 1);
  number("AMLM_VGPU_VRAM_MIB", config.vram_bytes, 1 << 20, 1);
  number("AMLM_VGPU_THREADS", threads);
  number("AMLM_VGPU_PRIMARY", primary);
  number("AMLM_VGPU_IB_PADDING", padding);
  choose_rings(config);
  config.ib_padding = padding != 0;
  config.host_threads = u32(threads);
  config.primary_node = primary != 0;
  config.faults_path = text("AMLM_VGPU_FAULTS");
  config.counters_path = text("AMLM_VGPU_COUNTERS");
  config.record_path = text("AMLM_VGPU_RECORD");
  config.trace_path = text("AMLM_VGPU_TRACE");
  config.trace_code_path = text("AMLM_VGPU_TRACE_CODE");
  config.firmware = text("AMLM_VGPU_FIRMWARE");
  read_kernel(config);
  config.inject = text("AMLM_VGPU_INJECT");
  return config;
}

}  // namespace amlm::vgpu
