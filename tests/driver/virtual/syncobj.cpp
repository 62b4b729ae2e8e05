// Syncobjs and their timelines, alone and with submissions.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xf86drm.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

u32 create(const Bench& bench, u32 flags = 0) {
  u32 handle = 0;
  REQUIRE(drmSyncobjCreate(bench.fd, flags, &handle) == 0);
  return handle;
}

// 0, or -errno
int wait(const Bench& bench, u32 handle, u64 point, u32 flags = 0, i64 for_ns = 0) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const i64 until = now.tv_sec * 1'000'000'000 + now.tv_nsec + for_ns;
  u32 first = 0;
  const int result = point ? drmSyncobjTimelineWait(bench.fd, &handle, &point, 1, until, flags, &first)
                           : drmSyncobjWait(bench.fd, &handle, 1, until, flags, &first);
  return result;
}

u64 query(const Bench& bench, u32 handle) {
  u64 point = 0;
  REQUIRE(drmSyncobjQuery(bench.fd, &handle, &point, 1) == 0);
  return point;
}

}  // namespace

TEST_CASE("a binary syncobj has no fence, then one, then none") {
  Bench bench;
  u32 handle = create(bench);
  CHECK(wait(bench, handle, 0) == -EINVAL);
  CHECK(wait(bench, handle, 0, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT) == -ETIME);
  REQUIRE(drmSyncobjSignal(bench.fd, &handle, 1) == 0);
  CHECK(wait(bench, handle, 0) == 0);
  REQUIRE(drmSyncobjReset(bench.fd, &handle, 1) == 0);
  CHECK(wait(bench, handle, 0) == -EINVAL);
  CHECK(wait(bench, 4711, 0) == -ENOENT);
  const u32 born_signalled = create(bench, DRM_SYNCOBJ_CREATE_SIGNALED);
  CHECK(wait(bench, born_signalled, 0) == 0);
  CHECK(drmSyncobjDestroy(bench.fd, handle) == 0);
  CHECK(drmSyncobjDestroy(bench.fd, handle) != 0);
}

TEST_CASE("points of a timeline") {
  Bench bench;
  u32 handle = create(bench);
  u64 point = 5;
  CHECK(wait(bench, handle, 5) == -EINVAL);
  REQUIRE(drmSyncobjTimelineSignal(bench.fd, &handle, &point, 1) == 0);
  CHECK(query(bench, handle) == 5);
  CHECK(wait(bench, handle, 3) == 0);
  CHECK(wait(bench, handle, 5) == 0);
  CHECK(wait(bench, handle, 6) == -EINVAL);
  CHECK(wait(bench, handle, 6, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, 1'000'000) == -ETIME);
  std::thread signaller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    u64 next = 9;
    drmSyncobjTimelineSignal(bench.fd, &handle, &next, 1);
  });
  CHECK(wait(bench, handle, 8, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, 10'000'000'000) == 0);
  signaller.join();
  u32 other = create(bench);
  REQUIRE(drmSyncobjTransfer(bench.fd, other, 2, handle, 9, 0) == 0);
  CHECK(query(bench, other) == 2);
}

TEST_CASE("a job waits for one point and signals another") {
  Bench bench;
  Memory out = bench.memory(page), ib = bench.memory(page);
  u32 timeline = create(bench);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 7});
  s.pad();
  memcpy(ib.words, s.words.data(), s.words.size() * 4);
  drm_amdgpu_cs_chunk_ib data{};
  data.va_start = ib.va;
  data.ib_bytes = u32(s.words.size() * 4);
  data.ip_type = AMDGPU_HW_IP_COMPUTE;
  drm_amdgpu_cs_chunk_syncobj before{.handle = timeline, .flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, .point = 1};
  drm_amdgpu_cs_chunk_syncobj after{.handle = timeline, .flags = 0, .point = 2};
  drm_amdgpu_cs_chunk chunks[] = {{AMDGPU_CHUNK_ID_IB, sizeof data / 4, u64(&data)},
                                  {AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT, sizeof before / 4, u64(&before)},
                                  {AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL, sizeof after / 4, u64(&after)}};
  u64 pointers[] = {u64(&chunks[0]), u64(&chunks[1]), u64(&chunks[2])};
  drm_amdgpu_cs cs{};
  cs.in = {.ctx_id = bench.context, .bo_list_handle = 0, .num_chunks = 3, .flags = 0, .chunks = u64(pointers)};
  std::thread signaller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    u64 one = 1;
    drmSyncobjTimelineSignal(bench.fd, &timeline, &one, 1);
  });
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_CS, &cs) == 0);           // waits for point 1 to be submitted
  signaller.join();
  CHECK(wait(bench, timeline, 2, 0, 20'000'000'000) == 0);
  CHECK(query(bench, timeline) == 2);
  CHECK(out.words[1] == 8);
  cs.in.ctx_id = 4711;
  CHECK(call(bench.fd, DRM_IOCTL_AMDGPU_CS, &cs) == -EINVAL);
  bench.free(out);
  bench.free(ib);
}

TEST_CASE("fences become syncobjs, sync files and descriptors") {
  Bench bench;
  Memory flag = bench.memory(page);
  Stream s = bench.begun();
  s.packet(pm4::WaitRegMem{.function = pm4::WaitRegMem::equal, .mem_space = 1, .address = flag.va, .reference = 1,
                           .mask = ~0u});
  const i64 sequence = bench.submit(s);
  REQUIRE(sequence == 1);
  drm_amdgpu_fence_to_handle args{};
  args.in.fence = {.ctx_id = bench.context, .ip_type = AMDGPU_HW_IP_COMPUTE, .ip_instance = 0, .ring = 0, .seq_no = 1};
  args.in.what = AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, &args) == 0);
  const int sync_file = int(args.out.handle);
  pollfd poll_fd{.fd = sync_file, .events = POLLIN, .revents = 0};
  CHECK(poll(&poll_fd, 1, 20) == 0);
  const u32 imported = create(bench);
  REQUIRE(drmSyncobjImportSyncFile(bench.fd, imported, sync_file) == 0);
  CHECK(wait(bench, imported, 0) == -ETIME);
  int exported = -1;
  REQUIRE(drmSyncobjHandleToFD(bench.fd, imported, &exported) == 0);
  u32 again = 0;
  REQUIRE(drmSyncobjFDToHandle(bench.fd, exported, &again) == 0);
  *static_cast<volatile u32*>(flag.words) = 1;
  CHECK(poll(&poll_fd, 1, 10'000) == 1);
  CHECK(wait(bench, again, 0, 0, 10'000'000'000) == 0);
  close(sync_file);
  close(exported);
  CHECK(bench.wait(sequence) == 0);
  bench.free(flag);
}

TEST_CASE("an eventfd hears of a point: when it is there, or when it has signalled") {
  Bench bench;
  struct Eventfd { u32 handle, flags; u64 point; i32 fd; u32 pad; };
  constexpr unsigned long request = DRM_IOWR(0xcf, Eventfd);
  const auto listen = [&](u32 handle, u32 flags, u64 point, int fd) {
    Eventfd args{.handle = handle, .flags = flags, .point = point, .fd = fd, .pad = 0};
    return call(bench.fd, request, &args);
  };
  const auto heard = [](int fd) {
    u64 count = 0;
    return read(fd, &count, sizeof count) == sizeof count ? count : 0;
  };
  u32 handle = create(bench);
  const int event = eventfd(0, EFD_NONBLOCK), plain = open("/dev/null", O_RDWR);
  CHECK(listen(4711, 0, 0, event) == -ENOENT);
  CHECK(listen(handle, 1u << 9, 0, event) == -EINVAL);
  CHECK(listen(handle, 0, 0, plain) == -EINVAL);
  CHECK(listen(handle, 0, 0, 4711) == -EBADF);
  Memory flag = bench.memory(page);
  Stream s = bench.begun();
  s.packet(pm4::WaitRegMem{.function = pm4::WaitRegMem::equal, .mem_space = 1, .address = flag.va, .reference = 1,
                           .mask = ~0u});
  REQUIRE(bench.submit(s) == 1);
  drm_amdgpu_fence_to_handle fence{};
  fence.in.fence = {.ctx_id = bench.context, .ip_type = AMDGPU_HW_IP_COMPUTE, .ip_instance = 0, .ring = 0, .seq_no = 1};
  fence.in.what = AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, &fence) == 0);
  CHECK(listen(handle, 0, 7, event) == 0);
  REQUIRE(drmSyncobjTransfer(bench.fd, handle, 7, fence.out.handle, 0, 0) == 0);
  CHECK(heard(event) == 0);                                   // there, and not yet signalled
  CHECK(listen(handle, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE, 7, event) == 0);
  CHECK(heard(event) == 1);
  *static_cast<volatile u32*>(flag.words) = 1;
  CHECK(wait(bench, handle, 7, 0, 10'000'000'000) == 0);
  pollfd poll_fd{.fd = event, .events = POLLIN, .revents = 0};
  CHECK(poll(&poll_fd, 1, 10'000) == 1);
  CHECK(heard(event) == 1);
  close(event);
  close(plain);
  bench.free(flag);
}

TEST_CASE("one point of a timeline leaves and enters as a sync file") {
  Bench bench;
  u32 handle = create(bench), other = create(bench);
  u64 point = 3;
  REQUIRE(drmSyncobjTimelineSignal(bench.fd, &handle, &point, 1) == 0);
  constexpr u32 timeline = 1u << 1;
  struct Handle { u32 handle, flags; i32 fd; u32 pad; u64 point; };
  const auto ask = [&](unsigned number, Handle& args) { return call(bench.fd, DRM_IOWR(number, Handle), &args); };
  Handle out{.handle = handle, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE | timeline, .fd = -1, .pad = 0,
             .point = 4};
  CHECK(ask(0xc1, out) == -EINVAL);                           // not there yet
  out.point = 3;
  REQUIRE(ask(0xc1, out) == 0);
  Handle in{.handle = other, .flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE | timeline, .fd = out.fd, .pad = 0,
            .point = 9};
  REQUIRE(ask(0xc2, in) == 0);
  CHECK(query(bench, other) == 9);
  out.flags = timeline;
  CHECK(ask(0xc1, out) == -EINVAL);                           // a whole syncobj has no point
  close(in.fd);
}
