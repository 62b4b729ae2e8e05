// The CS ioctl's checks and errors (driver.md 3.2), in order, and what a good one does.
#include <errno.h>
#include <string.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

struct Chunk { u32 id; u32 size; const void* data; };

int submit_chunks(const Bench& bench, const std::vector<Chunk>& wanted, u32 context = 0, u32 list = 0) {
  std::vector<drm_amdgpu_cs_chunk> chunks;
  std::vector<u64> pointers;
  for (const Chunk& chunk : wanted) chunks.push_back({chunk.id, chunk.size / 4, u64(chunk.data)});
  for (const auto& chunk : chunks) pointers.push_back(u64(&chunk));
  drm_amdgpu_cs args{};
  args.in = {.ctx_id = context ? context : bench.context, .bo_list_handle = list,
             .num_chunks = u32(chunks.size()), .flags = 0, .chunks = u64(pointers.data())};
  const int error = call(bench.fd, DRM_IOCTL_AMDGPU_CS, &args);
  return error ? error : int(args.out.handle);
}

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

TEST_CASE("CS refuses what the kernel refuses") {
  Bench bench;
  Memory ib = nops(bench);
  const auto good = ib_chunk(ib);
  const Chunk good_chunk{AMDGPU_CHUNK_ID_IB, sizeof good, &good};
  CHECK(submit_chunks(bench, {}) == -EINVAL);
  CHECK(submit_chunks(bench, {good_chunk}, 4711) == -EINVAL);
  CHECK(submit_chunks(bench, {{0x77, 4, &good}}) == -EINVAL);
  CHECK(submit_chunks(bench, {{AMDGPU_CHUNK_ID_IB, 16, &good}}) == -EINVAL);
  const u32 no_syncobj = 0;
  CHECK(submit_chunks(bench, {{AMDGPU_CHUNK_ID_SYNCOBJ_IN, 0, &no_syncobj}}) == -EINVAL);      // no IB
  const auto with = [&](auto change) {
    auto chunk = good;
    change(chunk);
    return submit_chunks(bench, {{AMDGPU_CHUNK_ID_IB, sizeof chunk, &chunk}});
  };
  CHECK(with([](auto& c) { c.ip_instance = 1; }) == -EINVAL);
  CHECK(with([](auto& c) { c.ring = 4; }) == -EINVAL);
  CHECK(with([](auto& c) { c.ip_type = AMDGPU_HW_IP_GFX; }) == -EINVAL);
  CHECK(with([](auto& c) { c.ip_type = 99; }) == -EINVAL);
  CHECK(with([](auto& c) { c.flags = AMDGPU_IB_FLAG_CE; }) == -EINVAL);
  CHECK(with([](auto& c) { c.ib_bytes = 0x100000 * 4; }) == -EINVAL);
  CHECK(submit_chunks(bench, std::vector<Chunk>(126, good_chunk)) == -EINVAL);
  CHECK(submit_chunks(bench, std::vector<Chunk>(125, good_chunk)) == 1);
  CHECK(submit_chunks(bench, {good_chunk}) == 2);                                              // sequence numbers
  bench.wait(2);
  bench.free(ib);
}

TEST_CASE("user fences: size, place, one only, and what is written") {
  Bench bench;
  Memory ib = nops(bench), fence = bench.memory(page), large = bench.memory(2 * page);
  const auto good = ib_chunk(ib);
  const Chunk ib_part{AMDGPU_CHUNK_ID_IB, sizeof good, &good};
  const auto with = [&](u32 handle, u32 offset, bool twice = false) {
    const drm_amdgpu_cs_chunk_fence chunk{.handle = handle, .offset = offset};
    const Chunk part{AMDGPU_CHUNK_ID_FENCE, sizeof chunk, &chunk};
    return submit_chunks(bench, twice ? std::vector<Chunk>{ib_part, part, part} : std::vector<Chunk>{ib_part, part});
  };
  CHECK(with(4711, 0) == -EINVAL);
  CHECK(with(large.handle, 0) == -EINVAL);
  CHECK(with(fence.handle, 4092) == -EINVAL);
  CHECK(with(fence.handle, 0, true) == -EINVAL);
  const int sequence = with(fence.handle, 16);
  REQUIRE(sequence == 1);
  REQUIRE(bench.wait(sequence) == 0);
  CHECK(fence.words[4] == 1);
  bench.free(ib);
  bench.free(fence);
  bench.free(large);
}

TEST_CASE("BO lists: unknown buffers, both kinds at once, busy while a job runs") {
  Bench bench;
  Memory ib = nops(bench);
  const auto good = ib_chunk(ib);
  const Chunk ib_part{AMDGPU_CHUNK_ID_IB, sizeof good, &good};
  const auto list_of = [](const drm_amdgpu_bo_list_entry& entry) {
    return drm_amdgpu_bo_list_in{.operation = ~0u, .list_handle = ~0u, .bo_number = 1,
                                 .bo_info_size = sizeof entry, .bo_info_ptr = u64(&entry)};
  };
  const drm_amdgpu_bo_list_entry known{ib.handle, 0}, unknown{4711, 0};
  const auto good_list = list_of(known), bad_list = list_of(unknown);
  const Chunk good_part{AMDGPU_CHUNK_ID_BO_HANDLES, sizeof good_list, &good_list};
  CHECK(submit_chunks(bench, {ib_part, {AMDGPU_CHUNK_ID_BO_HANDLES, sizeof bad_list, &bad_list}}) == -ENOENT);
  CHECK(submit_chunks(bench, {ib_part, good_part, good_part}) == -EINVAL);
  CHECK(submit_chunks(bench, {ib_part}, 0, 4711) == -ENOENT);
  drm_amdgpu_bo_list args{};
  args.in = {.operation = AMDGPU_BO_LIST_OP_CREATE, .list_handle = 0, .bo_number = 1,
             .bo_info_size = sizeof known, .bo_info_ptr = u64(&known)};
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_BO_LIST, &args) == 0);
  const u32 list = args.out.list_handle;
  CHECK(submit_chunks(bench, {ib_part, good_part}, 0, list) == -EINVAL);
  const int sequence = submit_chunks(bench, {ib_part}, 0, list);
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
