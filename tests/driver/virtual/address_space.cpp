// GEM_VA: the kernel's checks (driver.md 3.2), and what a dispatch may then reach.
#include <errno.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

struct Range { u64 va, offset, size; };

int va_op(const Bench& bench, u32 handle, u32 operation, u64 flags, const Range& range) {
  drm_amdgpu_gem_va args{};
  args.handle = handle;
  args.operation = operation;
  args.flags = u32(flags);
  args.va_address = range.va;
  args.offset_in_bo = range.offset;
  args.map_size = range.size;
  return call(bench.fd, DRM_IOCTL_AMDGPU_GEM_VA, &args);
}

constexpr u64 base = 0x40'0000'0000, access_rw = readable | writeable;

}  // namespace

TEST_CASE("a 64-byte GEM_VA of newer headers works like the 40-byte one") {
  Bench bench;
  Memory m = bench.memory(4096);
  struct { drm_amdgpu_gem_va old; u64 point; u32 syncobj, count; u64 inputs; } args{};
  args.old = {.handle = m.handle, ._pad = 0, .operation = AMDGPU_VA_OP_MAP, .flags = u32(access_rw),
              .va_address = base, .offset_in_bo = 0, .map_size = 4096};
  static_assert(sizeof args == 64);
  CHECK(call(bench.fd, DRM_IOW(DRM_COMMAND_BASE + DRM_AMDGPU_GEM_VA, decltype(args)), &args) == 0);
  CHECK(call(bench.fd, DRM_IOW(DRM_COMMAND_BASE + DRM_AMDGPU_GEM_VA, decltype(args)), &args) == -EINVAL);   // overlap
  bench.free(m);
}

TEST_CASE("REPLACE and CLEAR cut mappings in pieces") {
  Bench bench;
  Memory a = bench.memory(16 << 10), b = bench.memory(4096);
  REQUIRE(va_op(bench, a.handle, AMDGPU_VA_OP_MAP, access_rw, {base, 0, 16 << 10}) == 0);
  REQUIRE(va_op(bench, b.handle, AMDGPU_VA_OP_REPLACE, access_rw, {base + 4096, 0, 4096}) == 0);
  Stream s = bench.begun();
  const u32 values[] = {1, 2, 3};
  for (u64 i = 0; i < 3; ++i)
    s.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = base + i * 4096, .data = {&values[i], 1}});
  CHECK(bench.run(s) == 0);
  CHECK(a.words[0] == 1);
  CHECK(b.words[0] == 2);
  CHECK(a.words[1024] == 0);
  CHECK(a.words[2048] == 3);
  REQUIRE(va_op(bench, 0, AMDGPU_VA_OP_CLEAR, 0, {base, 0, 12 << 10}) == 0);
  Stream into_hole = bench.begun();
  into_hole.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = base + 4096, .data = {values, 1}});
  bench.run_bad(into_hole, "unmapped");
  Stream into_rest = bench.begun();
  into_rest.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = base + (12 << 10), .data = {values, 1}});
  CHECK(bench.run(into_rest) == 0);
  CHECK(a.words[3072] == 1);
  bench.free(a);
  bench.free(b);
}

TEST_CASE("sparse ranges read as zero, and writes there are told") {
  Bench bench;
  Memory out = bench.memory(page);
  out.words[0] = 77;
  REQUIRE(va_op(bench, 0, AMDGPU_VA_OP_MAP, AMDGPU_VM_PAGE_PRT, {base, 0, 1 << 20}) == 0);
  Stream reads = bench.begun();
  bench.launch(reads, {.kernel = "add", .out = out.va, .in = base + 8192, .number = 5});
  REQUIRE(bench.run(reads) == 0);
  CHECK(out.words[0] == 5);
  Stream writes = bench.begun();
  bench.launch(writes, {.kernel = "fill", .out = base});
  bench.run_bad(writes, "no-write");
  REQUIRE(va_op(bench, out.handle, AMDGPU_VA_OP_REPLACE, access_rw, {base, 0, page}) == 0);     // bound
  Stream bound = bench.begun();
  bench.launch(bound, {.kernel = "fill", .out = base, .number = 9});
  CHECK(bench.run(bound) == 0);
  CHECK(out.words[0] == 9);
  bench.free(out);
}

TEST_CASE("rights of pages: write, read and execute") {
  Bench bench;
  Memory out = bench.memory(page), no_write = bench.memory(page, readable), no_read = bench.memory(page, writeable);
  Stream writes = bench.begun();
  bench.launch(writes, {.kernel = "fill", .out = no_write.va});
  CHECK(bench.run_bad(writes, "no-write").find("fill") != std::string::npos);
  Stream reads = bench.begun();
  bench.launch(reads, {.kernel = "add", .out = out.va, .in = no_read.va});
  bench.run_bad(reads, "no-read");
  // The same code, mapped once more without the execute right.
  REQUIRE(va_op(bench, bench.code.handle, AMDGPU_VA_OP_MAP, readable, {base, 0, 64 << 10}) == 0);
  auto kernels = bench.kernels;
  for (auto& kernel : kernels) kernel.second.va += base - bench.code.va;
  Stream runs = bench.begun();
  runs.launch(kernels, {.kernel = "fill", .out = out.va});
  bench.run_bad(runs, "no-exec");
  bench.free(out);
  bench.free(no_write);
  bench.free(no_read);
}

TEST_CASE("one element past a buffer, and freed memory, are page faults that the kernel can tell") {
  Bench bench;
  Memory out = bench.memory(page);
  Stream past = bench.begun();
  bench.launch(past, {.kernel = "fill", .out = out.va + 4, .groups = 32});    // 1024 elements from the second on
  const std::string fault = bench.run_bad(past, "unmapped");
  CHECK(fault.find("fill") != std::string::npos);
  struct { u64 address; u32 status, vmhub; } last{};
  REQUIRE(amdgpu_query_info(bench.device, 0x23, sizeof last, &last) == 0);
  CHECK(last.address == out.va + page);
  CHECK((last.status >> 18 & 1) == 1);                                        // a write
  const u64 gone = out.va;
  bench.free(out);
  Stream freed = bench.begun();
  bench.launch(freed, {.kernel = "fill", .out = gone});
  bench.run_bad(freed, "unmapped");
}
