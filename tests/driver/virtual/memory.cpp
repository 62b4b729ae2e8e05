// Buffer objects: allocation, mapping, accounting, errors.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

u64 gtt_used(const Bench& bench) {
  u64 used = 0;
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_GTT_USAGE, 8, &used) == 0);
  return used;
}

int create(const Bench& bench, u64 size, u64 domains, u64 flags, u32* handle = nullptr) {
  drm_amdgpu_gem_create args{};
  args.in = {.bo_size = size, .alignment = 0, .domains = domains, .domain_flags = flags};
  const int error = call(bench.fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
  if (handle) *handle = args.out.handle;
  return error;
}

int close_handle(const Bench& bench, u32 handle) {
  drm_gem_close args{.handle = handle, .pad = 0};
  return call(bench.fd, DRM_IOCTL_GEM_CLOSE, &args);
}

}  // namespace

TEST_CASE("buffers are zero, counted, and freed") {
  Bench bench;
  const u64 before = gtt_used(bench);
  for (u32 round = 0; round < 2; ++round) {
    Memory m = bench.memory(1 << 20);
    CHECK(gtt_used(bench) == before + (1 << 20));
    CHECK(m.words[0] == 0);
    CHECK(m.words[(1 << 18) - 1] == 0);
    memset(m.words, 0xff, 1 << 20);               // must not be seen by the next round
    bench.free(m);
    CHECK(gtt_used(bench) == before);
  }
}

TEST_CASE("a mapping keeps the memory after the handle is closed") {
  Bench bench;
  u32 handle = 0;
  REQUIRE(create(bench, 8192, AMDGPU_GEM_DOMAIN_GTT, 0, &handle) == 0);
  drm_amdgpu_gem_mmap args{};
  args.in.handle = handle;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &args) == 0);
  void* mapped = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, bench.fd, off_t(args.out.addr_ptr));
  REQUIRE(mapped != MAP_FAILED);
  CHECK(mmap(nullptr, 12288, PROT_READ, MAP_SHARED, bench.fd, off_t(args.out.addr_ptr)) == MAP_FAILED);
  const u64 used = gtt_used(bench);
  auto* words = static_cast<volatile u32*>(mapped);
  words[2047] = 7;
  REQUIRE(close_handle(bench, handle) == 0);
  CHECK(words[2047] == 7);
  CHECK(gtt_used(bench) == used);
  munmap(mapped, 4096);
  CHECK(gtt_used(bench) == used);
  munmap(static_cast<u8*>(mapped) + 4096, 4096);
  CHECK(gtt_used(bench) == used - 8192);
  CHECK(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, bench.fd, off_t(args.out.addr_ptr)) == MAP_FAILED);
}

TEST_CASE("a buffer without CPU access cannot be mapped") {
  Bench bench;
  u32 hidden = 0;
  REQUIRE(create(bench, 4096, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_NO_CPU_ACCESS, &hidden) == 0);
  drm_amdgpu_gem_mmap args{};
  args.in.handle = hidden;
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &args) == -EPERM);
  CHECK(close_handle(bench, hidden) == 0);
}

TEST_CASE("GTT ends where it was told to") {
  Bench bench;
  REQUIRE(set_option("gtt_mib", "64"));
  u32 first = 0, second = 0;
  CHECK(create(bench, 40 << 20, AMDGPU_GEM_DOMAIN_GTT, 0, &first) == 0);
  CHECK(create(bench, 40 << 20, AMDGPU_GEM_DOMAIN_GTT, 0, &second) == -ENOMEM);
  CHECK(create(bench, 40 << 20, AMDGPU_GEM_DOMAIN_VRAM, 0, &second) == -ENOMEM);   // lands in GTT too
  CHECK(close_handle(bench, first) == 0);
  CHECK(create(bench, 40 << 20, AMDGPU_GEM_DOMAIN_GTT, 0, &second) == 0);
  CHECK(close_handle(bench, second) == 0);
  REQUIRE(set_option("gtt_mib", "65536"));
}

TEST_CASE("metadata, creation info, sharing") {
  Bench bench;
  Memory m = bench.memory(8192);
  amdgpu_bo_metadata metadata{.flags = 0, .tiling_info = 5, .size_metadata = 8, .umd_metadata = {1, 2}};
  REQUIRE(amdgpu_bo_set_metadata(m.bo, &metadata) == 0);
  amdgpu_bo_info info{};
  REQUIRE(amdgpu_bo_query_info(m.bo, &info) == 0);
  CHECK(info.alloc_size == 8192);
  CHECK(info.metadata.umd_metadata[1] == 2);
  u32 shared = 0;
  REQUIRE(amdgpu_bo_export(m.bo, amdgpu_bo_handle_type_dma_buf_fd, &shared) == 0);
  CHECK(lseek(int(shared), 0, SEEK_END) == 8192);
  const int other = open("/dev/dri/renderD128", O_RDWR);
  u32 handle = 0;
  REQUIRE(drmPrimeFDToHandle(other, int(shared), &handle) == 0);
  drm_amdgpu_gem_mmap args{};
  args.in.handle = handle;
  REQUIRE(call(other, DRM_IOCTL_AMDGPU_GEM_MMAP, &args) == 0);
  void* mapped = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, other, off_t(args.out.addr_ptr));
  REQUIRE(mapped != MAP_FAILED);
  m.words[5] = 99;
  CHECK(static_cast<u32*>(mapped)[5] == 99);
  munmap(mapped, 8192);
  close(int(shared));
  close(other);
  bench.free(m);
}

TEST_CASE("failures on demand") {
  Bench bench;
  REQUIRE(set_option("inject", "GEM_CREATE nth 2: fail ENOMEM; OPEN: fail EACCES"));
  u32 first = 0, third = 0;
  CHECK(create(bench, 4096, AMDGPU_GEM_DOMAIN_GTT, 0, &first) == 0);
  CHECK(create(bench, 4096, AMDGPU_GEM_DOMAIN_GTT, 0) == -ENOMEM);
  CHECK(create(bench, 4096, AMDGPU_GEM_DOMAIN_GTT, 0, &third) == 0);
  CHECK(open("/dev/dri/renderD128", O_RDWR) == -1);
  CHECK(errno == EACCES);
  REQUIRE(set_option("inject", ""));
  close_handle(bench, first);
  close_handle(bench, third);
}

TEST_CASE("fdinfo tells the client's memory and its time on the compute engine") {
  Bench bench;
  Memory m = bench.memory(4 << 20);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "busy", .number = 5000});
  REQUIRE(bench.run(s) == 0);
  const auto read_all = [](int fd) {
    char bytes[4096] = {};
    const ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    return std::string(bytes, size_t(std::max<ssize_t>(got, 0)));
  };
  const std::string name = std::to_string(bench.fd);
  const int folder = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
  const std::string text = read_all(openat(folder, name.c_str(), O_RDONLY));
  close(folder);
  const auto number = [&](const std::string& key) {
    const auto at = text.find("\n" + key + ":");
    return at == std::string::npos ? ~0ull : strtoull(text.c_str() + at + key.size() + 2, nullptr, 10);
  };
  INFO(text);
  CHECK(text.starts_with("pos:\t"));
  CHECK(text.find("\ndrm-driver:\tamdgpu\n") != std::string::npos);
  CHECK(text.find("\ndrm-pdev:\t0000:c5:00.0\n") != std::string::npos);
  CHECK(number("drm-client-id") != ~0ull);
  CHECK(number("drm-memory-gtt") == gtt_used(bench) / 1024);
  CHECK(number("amd-requested-gtt") == gtt_used(bench) / 1024);
  const u64 busy_ns = number("drm-engine-compute");
  CHECK(busy_ns > 0);
  CHECK(busy_ns != ~0ull);
  const std::string path = "/proc/" + std::to_string(getpid()) + "/fdinfo/" + name;
  CHECK(read_all(open(path.c_str(), O_RDONLY)).find("drm-engine-compute") != std::string::npos);
  const int other = open("/dev/dri/renderD128", O_RDWR);
  const std::string fresh = read_all(open(("/proc/self/fdinfo/" + std::to_string(other)).c_str(), O_RDONLY));
  CHECK(fresh.find("drm-memory-gtt:\t0 KiB") != std::string::npos);
  CHECK(fresh.find("drm-engine-compute") == std::string::npos);
  close(other);
  CHECK(read_all(open("/proc/self/fdinfo/0", O_RDONLY)).find("drm-driver") == std::string::npos);
  bench.free(m);
}
