// Keys and their spelling: Linux amdgpu_fdinfo.c and drm_file.c (drm_print_memory_stats), Documentation drm-usage-stats.
#include "driver/virtual/fdinfo.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "driver/virtual/file.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

struct Use { u64 total = 0, shared = 0, requested = 0; };

std::string size_text(u64 bytes) {
  static constexpr const char* units[] = {"", " KiB", " MiB", " GiB"};
  u32 unit = 0;
  for (; unit < 3 && bytes != 0 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  return std::to_string(bytes) + units[unit];
}

std::string line(const std::string& key, const std::string& value) { return key + ":\t" + value + "\n"; }
std::string kib(const std::string& key, u64 bytes) { return line(key, std::to_string(bytes / 1024) + " KiB"); }

// Buffers that ask for VRAM lie in GTT too (gem.cpp).
std::string memory_text(const File& file, const KernelVersion& kernel) {
  Use gtt, vram;
  for (const auto& [handle, bo] : file.bos.rows()) {
    gtt.total += bo->size_bytes;
    if (bo->is_shared) gtt.shared += bo->size_bytes;
    (bo->domains & AMDGPU_GEM_DOMAIN_VRAM ? vram : gtt).requested += bo->size_bytes;
  }
  std::string text;
  const auto stats = [&](const std::string& region, const Use& use) {
    text += line("drm-total-" + region, size_text(use.total)) + line("drm-shared-" + region, size_text(use.shared)) +
            line("drm-resident-" + region, size_text(use.total)) + line("drm-purgeable-" + region, "0");
  };
  if (kernel.has_user_queues) {                  // a newer amdgpu_fdinfo.c
    stats("cpu", {});
    stats("gtt", gtt);
    stats("vram", {});
  }
  text += kib("drm-memory-vram", 0) + kib("drm-memory-gtt", gtt.total) + kib("drm-memory-cpu", 0);
  text += kib("amd-evicted-vram", 0) + kib("amd-requested-vram", vram.requested) + kib("amd-requested-gtt", gtt.requested);
  return text;
}

std::string text_of(const File& file) {
  Gpu& gpu = Gpu::instance();
  const Lock lock(gpu.mutex);
  std::string text = line("drm-driver", "amdgpu") + line("drm-client-id", std::to_string(file.client_id)) +
                     line("drm-pdev", "0000:c5:00.0") + line("pasid", std::to_string(0x8000 + file.client_id));
  text += memory_text(file, *gpu.config.kernel);
  if (file.vm->busy_ns) text += line("drm-engine-compute", std::to_string(file.vm->busy_ns) + " ns");
  return text;
}

// The number at the end of .../fdinfo/N of this process, or -1.
int number_of(int folder, const char* path) {
  std::string whole = path;
  if (path[0] != '/') {
    if (!isdigit(u8(path[0])) || folder == AT_FDCWD) return -1;
    char link[64] = {};
    const std::string place = "/proc/self/fd/" + std::to_string(folder);
    if (readlink(place.c_str(), link, sizeof link - 1) < 0) return -1;
    whole = std::string(link) + "/" + path;
  }
  const std::string mine = "/proc/" + std::to_string(getpid());
  for (const std::string& start : {std::string("/proc/self"), std::string("/proc/thread-self"), mine}) {
    const std::string prefix = start + "/fdinfo/";
    if (!whole.starts_with(prefix)) continue;
    char* end = nullptr;
    const long number = strtol(whole.c_str() + prefix.size(), &end, 10);
    return *end == 0 && end != whole.c_str() + prefix.size() ? int(number) : -1;
  }
  return -1;
}

}  // namespace

int open_fdinfo(int folder, const char* path) {
  if (!path || (path[0] == '/' && strncmp(path, "/proc/", 6) != 0)) return -1;
  const int number = number_of(folder, path);
  const auto what = number < 0 ? nullptr : descriptor(number);
  if (!what || !what->file) return -1;
  const std::string real_path = "/proc/self/fdinfo/" + std::to_string(number);
  std::string text;
  if (const int fd = real::open(real_path.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {   // pos, flags, mnt_id, ino
    char bytes[512];
    for (ssize_t got; (got = ::read(fd, bytes, sizeof bytes)) > 0;) text.append(bytes, size_t(got));
    real::close(fd);
  }
  text += text_of(*what->file);
  const int fd = memfd_create("amlm-vgpu-fdinfo", MFD_CLOEXEC);
  if (fd >= 0 && (::write(fd, text.data(), text.size()) != ssize_t(text.size()) || lseek(fd, 0, SEEK_SET) != 0)) {
    real::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace amlm::vgpu
