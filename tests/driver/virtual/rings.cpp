// The graphics and SDMA rings that AMLM_VGPU_RINGS adds: what they do, and what they refuse by name.
#include <errno.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

u32 low(u64 va) { return u32(va); }
u32 high(u64 va) { return u32(va >> 32); }

struct RingBench : Bench {
  explicit RingBench(u32 ring_ip) { ip = ring_ip; }
  int words(std::vector<u32> what) {
    Stream s;
    s.words = std::move(what);
    return run(std::move(s));
  }
  void refuses(const char* kind, std::vector<u32> what) {
    Stream s;
    s.words = std::move(what);
    run_bad(std::move(s), kind);
  }
};

}  // namespace

TEST_CASE("HW_IP_INFO shows the rings that were asked for") {
  Bench bench;
  drm_amdgpu_info_hw_ip ip{};
  REQUIRE(amdgpu_query_hw_ip_info(bench.device, AMDGPU_HW_IP_GFX, 0, &ip) == 0);
  CHECK(ip.available_rings == 1);
  REQUIRE(amdgpu_query_hw_ip_info(bench.device, AMDGPU_HW_IP_DMA, 0, &ip) == 0);
  CHECK(ip.available_rings == 1);
  CHECK(ip.hw_ip_version_major == 6);
  REQUIRE(amdgpu_query_hw_ip_info(bench.device, AMDGPU_HW_IP_COMPUTE, 0, &ip) == 0);
  CHECK(ip.available_rings == 15);
}

TEST_CASE("a graphics ring dispatches compute work and draws nothing") {
  RingBench bench(AMDGPU_HW_IP_GFX);
  Memory out = bench.memory(page);
  Stream s;
  s.words = {0xc0001200, 0x80000000, 0xc0012800, 0x80000000, 0x80000000};        // CLEAR_STATE, CONTEXT_CONTROL
  s.flush().acquire().state();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 100, .groups = 2});
  Stream without_type = s;
  REQUIRE(bench.run(s) == 0);
  for (u32 i = 0; i < 64; ++i) REQUIRE(out.words[i] == 100 + i);
  for (u32& word : without_type.words)
    if (word == 0xc0031502) word = 0xc0031500;
  out.words[63] = 0;
  REQUIRE(bench.run(without_type) == 0);                                // igt's sync-dependency dispatches so
  CHECK(out.words[63] == 163);
  bench.refuses("unsupported-packet", {0xc0012800, 0x80000001, 0x80000000});   // CONTEXT_CONTROL that loads
  Stream draw;
  draw.words = {0xc0012d00, 3, 2};
  CHECK(bench.run_bad(draw, "bad-packet").find("DRAW_INDEX_AUTO") != std::string::npos);
  bench.ip = AMDGPU_HW_IP_COMPUTE;
  bench.refuses("bad-packet", {0xc0012800, 0x80000000, 0x80000000});
  bench.free(out);
}

TEST_CASE("SDMA writes, fills, copies and fences") {
  RingBench bench(AMDGPU_HW_IP_DMA);
  Memory m = bench.memory(page);
  const auto at = [&](u64 offset) { return m.va + offset; };
  REQUIRE(bench.words({
              0x00000002, low(at(0)), high(at(0)), 2, 11, 22, 33,                       // WRITE_LINEAR of 3 words
              0x8000000b, low(at(64)), high(at(64)), 0xabcd, 63,                        // CONST_FILL of 64 bytes
              0x00000001, 11, 0, low(at(0)), high(at(0)), low(at(256)), high(at(256)),  // COPY_LINEAR of 12 bytes
              0x00020000, 0xdead, 0xbeef,                                               // NOP of three words
              0x00000005, low(at(512)), high(at(512)), 77,                              // FENCE
              0xb0000008, low(at(512)), high(at(512)), 77, ~0u, 0x0fff000a,             // POLL_REGMEM: equal
              0x0000020d, low(at(520)), high(at(520)),                                  // TIMESTAMP
              0x1e00000a, low(at(528)), high(at(528)), 5, 0, 0, 0, 0,                   // ATOMIC add
              0x00000006, 0,                                                            // TRAP
          }) == 0);
  CHECK(m.words[0] == 11);
  CHECK(m.words[2] == 33);
  CHECK(m.words[3] == 0);
  CHECK(m.words[15] == 0);
  CHECK(m.words[16] == 0xabcd);
  CHECK(m.words[31] == 0xabcd);
  CHECK(m.words[32] == 0);
  CHECK(m.words[64] == 11);
  CHECK(m.words[66] == 33);
  CHECK(m.words[67] == 0);
  CHECK(m.words[128] == 77);
  CHECK(m.words[130] != 0);
  CHECK(m.words[132] == 5);
  bench.free(m);
}

TEST_CASE("SDMA refuses what it does not model, and obeys the page tables") {
  RingBench bench(AMDGPU_HW_IP_DMA);
  Memory m = bench.memory(page), read_only = bench.memory(page, readable);
  bench.refuses("unsupported-packet", {0x00000101, 0, 0, 0, 0, 0, 0});             // a tiled copy
  bench.refuses("unsupported-packet", {0x00000004, 0, 0, 0, 0, 0});                // INDIRECT: the kernel's
  bench.refuses("unsupported-packet", {0x00000008, 0, 0, 0, 0, 0});                // POLL_REGMEM of a register
  bench.refuses("unsupported-packet", {0x0000000b, low(m.va), high(m.va), 1, 3});  // a fill by bytes
  bench.refuses("reserved-bits", {0x02000001, 3, 0, low(m.va), high(m.va), low(m.va), high(m.va)});   // backwards
  bench.refuses("reserved-bits", {0x00000001, 3, 1, low(m.va), high(m.va), low(m.va), high(m.va)});
  bench.refuses("bad-packet", {0x00000002, low(m.va), high(m.va), 9, 1});          // runs past the end
  bench.refuses("bad-packet", {0x00000005, low(m.va) + 2, high(m.va), 1});
  bench.refuses("unmapped", {0x00000005, 0x7000'0000, 0, 1});
  bench.refuses("no-write", {0x00000005, low(read_only.va), high(read_only.va), 1});
  bench.refuses("unmapped", {0x00000001, page, 0, low(m.va), high(m.va), low(m.va), high(m.va)});
  bench.free(m);
  bench.free(read_only);
}

TEST_CASE("a copy by SDMA sees what a dispatch wrote once it has waited for it") {
  RingBench bench(AMDGPU_HW_IP_COMPUTE);
  Memory out = bench.memory(page), copy = bench.memory(page);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 7, .groups = 1});
  s.flush();
  REQUIRE(bench.run(s) == 0);
  bench.ip = AMDGPU_HW_IP_DMA;
  REQUIRE(bench.words({0x00000001, 127, 0, low(out.va), high(out.va), low(copy.va), high(copy.va)}) == 0);
  CHECK(copy.words[31] == 38);
  bench.free(out);
  bench.free(copy);
}

TEST_CASE("on-chip memory is a name: it can be held, not mapped by the CPU, not reached by the GPU") {
  RingBench bench(AMDGPU_HW_IP_DMA);
  const auto create = [&](u64 domain, u64 size) {
    drm_amdgpu_gem_create args{};
    args.in = {.bo_size = size, .alignment = 1, .domains = domain, .domain_flags = 0};
    const int error = call(bench.fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
    return error ? error : int(args.out.handle);
  };
  CHECK(create(AMDGPU_GEM_DOMAIN_GWS, 65) == -ENOMEM);
  CHECK(create(AMDGPU_GEM_DOMAIN_OA, 16) > 0);
  const int gds = create(AMDGPU_GEM_DOMAIN_GDS, 1024);
  REQUIRE(gds > 0);
  drm_amdgpu_gem_mmap map{};
  map.in.handle = u32(gds);
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &map) == -EPERM);
  drm_amdgpu_gem_va va{};
  va.handle = u32(gds);
  va.operation = AMDGPU_VA_OP_MAP;
  va.flags = u32(readable | writeable | executable);
  va.va_address = 0x2'0000'0000;
  va.map_size = page;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_VA, &va) == 0);
  bench.refuses("no-write", {0x00000005, 0, 2, 1});
  va.va_address = 0xffff'ffff'ffbf'd000;                               // the last page below what the kernel keeps
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_VA, &va) == 0);
  va.va_address += page;
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_GEM_VA, &va) == -EINVAL);
}
