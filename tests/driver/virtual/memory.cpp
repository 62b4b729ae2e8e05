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

TEST_CASE("GEM_CREATE refuses what the kernel refuses") {
  Bench bench;
  CHECK(create(bench, 4096, 0x100, 0) == -EINVAL);
  CHECK(create(bench, 4096, AMDGPU_GEM_DOMAIN_GTT, 1ull << 40) == -EINVAL);
  CHECK(create(bench, 4096, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_CREATE_ENCRYPTED) == -EINVAL);
  CHECK(create(bench, 0, AMDGPU_GEM_DOMAIN_GTT, 0) == -EINVAL);
  CHECK(create(bench, 1ull << 50, AMDGPU_GEM_DOMAIN_GTT, 0) == -ENOMEM);
  CHECK(close_handle(bench, 4711) == -EINVAL);
  drm_amdgpu_gem_mmap args{};
  args.in.handle = 4711;
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &args) == -ENOENT);
  u32 hidden = 0;
  REQUIRE(create(bench, 4096, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_NO_CPU_ACCESS, &hidden) == 0);
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

TEST_CASE("USERPTR checks alignment, flags and rights") {
  Bench bench;
  void* mine = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  drm_amdgpu_gem_userptr args{};
  const auto attempt = [&](u64 address, u64 size, u32 flags) {
    args = {.addr = address, .size = size, .flags = flags, .handle = 0};
    return call(bench.fd, DRM_IOCTL_AMDGPU_GEM_USERPTR, &args);
  };
  constexpr u32 wanted = AMDGPU_GEM_USERPTR_ANONONLY | AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_VALIDATE;
  CHECK(attempt(u64(mine) + 8, 4096, wanted) == -EINVAL);
  CHECK(attempt(u64(mine), 100, wanted) == -EINVAL);
  CHECK(attempt(u64(mine), 4096, 1u << 9) == -EINVAL);
  CHECK(attempt(u64(mine), 4096, 0) == -EACCES);
  REQUIRE(attempt(u64(mine), 8192, wanted) == 0);
  CHECK(close_handle(bench, args.handle) == 0);
  munmap(mine, 8192);
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
