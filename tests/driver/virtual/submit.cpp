// What a good CS does; the refusals are in validation.cpp.
#include <errno.h>
#include <string.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

drm_amdgpu_cs_chunk_ib ib_chunk(const Memory& ib, u32 bytes = 32) {
  drm_amdgpu_cs_chunk_ib chunk{};
  chunk.va_start = ib.va;
  chunk.ib_bytes = bytes;
  chunk.ip_type = AMDGPU_HW_IP_COMPUTE;
  return chunk;
}

Memory nops(Bench& bench) {
  Memory ib = bench.memory(page);
  for (u32 i = 0; i < page / 4; ++i) ib.words[i] = 0xffff1000;
  return ib;
}

}  // namespace

TEST_CASE("a dispatch runs and its results are there after the fence") {
  Bench bench;
  Memory out = bench.memory(page);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 100, .groups = 4});
  REQUIRE(bench.run(s) == 0);
  for (u32 i = 0; i < 128; ++i) REQUIRE(out.words[i] == 100 + i);
  CHECK(out.words[128] == 0);
  CHECK(counters().find("\"fill\":{\"dispatches\":") != std::string::npos);
  bench.free(out);
}

TEST_CASE("a user fence gets the sequence number") {
  Bench bench;
  Memory ib = nops(bench), fence = bench.memory(page);
  const auto good = ib_chunk(ib);
  const Chunk ib_part{AMDGPU_CHUNK_ID_IB, sizeof good, &good};
  const drm_amdgpu_cs_chunk_fence chunk{.handle = fence.handle, .offset = 16};
  const int sequence = bench.submit_chunks({ib_part, {AMDGPU_CHUNK_ID_FENCE, sizeof chunk, &chunk}});
  REQUIRE(sequence == 1);
  REQUIRE(bench.wait(sequence) == 0);
  CHECK(fence.words[4] == 1);
  bench.free(ib);
  bench.free(fence);
}

TEST_CASE("a BO list keeps its buffers busy while a job runs") {
  Bench bench;
  Memory ib = nops(bench);
  const auto good = ib_chunk(ib);
  const Chunk ib_part{AMDGPU_CHUNK_ID_IB, sizeof good, &good};
  const drm_amdgpu_bo_list_entry known{ib.handle, 0};
  drm_amdgpu_bo_list args{};
  args.in = {.operation = AMDGPU_BO_LIST_OP_CREATE, .list_handle = 0, .bo_number = 1,
             .bo_info_size = sizeof known, .bo_info_ptr = u64(&known)};
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_BO_LIST, &args) == 0);
  const u32 list = args.out.list_handle;
  const int sequence = bench.submit_chunks({ib_part}, 0, list);
  CHECK(sequence == 1);
  bool busy = true;
  REQUIRE(amdgpu_bo_wait_for_idle(ib.bo, 10'000'000'000, &busy) == 0);
  CHECK_FALSE(busy);
  bench.free(ib);
}

TEST_CASE("WAIT_CS knows what was never submitted, and what is long done") {
  Bench bench;
  CHECK(bench.wait(1) == -EINVAL);
  for (u32 i = 0; i < 70; ++i) REQUIRE(bench.submit(bench.begun()) == i64(i + 1));
  CHECK(bench.wait(70) == 0);
  CHECK(bench.wait(1) == 0);
  CHECK(bench.wait(71) == -EINVAL);
}

TEST_CASE("at most 32 jobs are outstanding, in order; a wait can end before they do") {
  Bench bench;
  Memory flag = bench.memory(page);
  Stream waits = bench.begun();
  waits.packet(pm4::WaitRegMem{.function = pm4::WaitRegMem::equal, .mem_space = 1, .address = flag.va, .reference = 1,
                               .mask = ~0u});
  const i64 first = bench.submit(waits);
  Stream writes = bench.begun();
  const u32 two = 2;
  writes.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = flag.va + 8, .data = {&two, 1}});
  const i64 last = bench.submit(writes);
  CHECK(bench.wait(first, 20'000'000) == 1);
  CHECK(flag.words[2] == 0);                       // the second job has not overtaken the first
  const i64 other = bench.submit(bench.begun(), 1);
  CHECK(bench.wait(other, 5'000'000'000, 1) == 0);  // another entity is not held up
  *static_cast<volatile u32*>(flag.words) = 1;
  CHECK(bench.wait(last) == 0);
  CHECK(flag.words[2] == 2);
  bench.free(flag);
}
