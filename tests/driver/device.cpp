// The driver on a device: the virtual gfx1151 in the suite; a real one when run by hand without LD_PRELOAD.
#include <catch2/catch.hpp>
#include <dlfcn.h>

#include <array>
#include <cstring>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "driver/record.h"
#include "tests/driver/tiny.h"

using namespace amlm;

namespace {

template <class T>
T take(Result<T> result) {
  if (!result) FAIL(result.error().sentence);
  return *std::move(result);
}
void take(const Result<void>& result) {
  if (!result) FAIL(result.error().sentence);
}

// A setting of the virtual GPU (driver/virtual/hooks.h); a real one has none.
void set_virtual(const char* key, const char* value) {
  using Set = int (*)(const char*, const char*);
  if (const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "amlm_vgpu_set"))) REQUIRE(set(key, value) == 0);
}

struct Bench {
  std::unique_ptr<Device> device = take(Device::open({}));
  CodeObject code = take(CodeObject::load(*device, tiny_code_object(), "tiny kernels"));
  Buffer out = buffer(4096 * 4, "out"), ib = buffer(64 << 10, "ib"), arguments = buffer(4096, "arguments");
  Queue queue = take(Queue::create(*device));          // last: it ends before the buffers

  Buffer buffer(u64 size_bytes, const char* label, MemoryUse use = MemoryUse::shared) {
    return take(device->allocate({.size_bytes = size_bytes, .use = use, .label = label}));
  }
  const Kernel* kernel(const char* name) {
    const Kernel* found = code.find(name);
    REQUIRE(found != nullptr);
    return found;
  }
  // A slot of kernargs at arguments + 64 * slot.
  u64 arguments_at(u32 slot, u64 va, u32 first = 0) {
    *arguments.as<u64>(64 * slot) = va;
    *arguments.as<u32>(64 * slot + 8) = first;
    return arguments.va() + 64 * slot;
  }
  u64 submit(const BufferView& view) { return take(queue.submit({&view, 1})); }
};

}  // namespace

TEST_CASE("facts come from the kernel") {
  const auto device = take(Device::open({}));
  const DeviceFacts& facts = device->facts();
  CHECK((facts.gfx_major == 11 && facts.gfx_minor == 5 && facts.gfx_step == 1));
  CHECK(facts.node.starts_with("/dev/dri/renderD"));
  CHECK(!facts.marketing_name.empty());
  CHECK(facts.compute_units > 0);
  CHECK(facts.compute_rings > 0);
  CHECK(facts.counter_khz > 0);
  CHECK(facts.gtt_total_bytes > 0);
  CHECK(facts.va_end > facts.va_start);
  CHECK(!facts.firmware.empty());
  CHECK(take(device->gtt_free_bytes()) <= facts.gtt_total_bytes);
  const u64 earlier = take(device->gpu_clock());
  CHECK(take(device->gpu_clock()) >= earlier);
}

TEST_CASE("buffers have guards, names and the mapping of their use") {
  const auto device = take(Device::open({}));
  const auto allocate = [&](u64 size_bytes, MemoryUse use, const char* label) {
    return take(device->allocate({.size_bytes = size_bytes, .use = use, .label = label}));
  };
  const u64 used = take(device->gtt_free_bytes());
  std::vector<Buffer> buffers;
  buffers.push_back(allocate(100, MemoryUse::shared, "small"));
  buffers.push_back(allocate(3 << 20, MemoryUse::weights, "weights"));
  buffers.push_back(allocate(5000, MemoryUse::gpu_only, "cache"));
  buffers.push_back(allocate(4096, MemoryUse::code, "code"));
  CHECK(take(device->gtt_free_bytes()) < used);
  CHECK(device->allocation_count() == 4);
  CHECK(buffers[0].data() != nullptr);
  CHECK(buffers[1].data() != nullptr);
  CHECK(buffers[2].data() == nullptr);
  CHECK(buffers[1].va() % device->facts().pte_fragment_bytes == 0);
  for (const auto& a : buffers) {
    CHECK(a.va() % 256 == 0);
    for (const auto& b : buffers)
      if (&a != &b)
        CHECK((a.va() + a.size_bytes() + (64 << 10) <= b.va() || b.va() + b.size_bytes() + (64 << 10) <= a.va()));
  }
  CHECK(device->describe(buffers[0].va() + 12) == "small+0xc");
  CHECK(device->describe(buffers[0].va() + 101).find("0x1 past the end of small") != std::string::npos);
  CHECK(device->describe(buffers[2].va() - 16).find("0x10 before cache") != std::string::npos);
  // memory the CPU shares starts as zeros and keeps what is written
  for (u32 i = 0; i < 100; i++) REQUIRE(buffers[0].data()[i] == 0);
  std::memset(buffers[1].data(), 0x5a, buffers[1].size_bytes());
  CHECK(buffers[1].data()[(3 << 20) - 1] == 0x5a);

  Buffer moved = std::move(buffers[0]);
  CHECK_FALSE(buffers[0]);
  CHECK(moved.label() == "small");
  moved = {};
  CHECK(device->describe(moved.va()).find("in no buffer") != std::string::npos);
  buffers.clear();
  CHECK(take(device->gtt_free_bytes()) == used);
}

TEST_CASE("more than GTT holds is refused in words") {
  const auto device = take(Device::open({}));
  const auto refused = device->allocate({.size_bytes = device->facts().gtt_total_bytes + 4096, .label = "everything"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::memory);
  CHECK(refused.error().sentence.find("everything needs ") == 0);
  CHECK(device->allocation_count() == 0);
}

TEST_CASE("a dispatch writes what it should, and nothing else") {
  Bench bench;
  std::memset(bench.out.data(), 0xee, bench.out.size_bytes());
  IbBuilder ib(bench.ib);
  ib.begin();
  ib.dispatch({.kernel = bench.kernel("count"), .groups = {8, 1, 1},
               .kernarg_va = bench.arguments_at(0, bench.out.va() + 256, 1000)});
  const u64 point = bench.submit(ib.finish());
  CHECK(point == 1);
  take(bench.queue.wait(point));
  CHECK(take(bench.queue.reached(point)));
  for (u32 i = 0; i < 4096; i++)
    REQUIRE(bench.out.as<u32>()[i] == (i >= 64 && i < 64 + 512 ? 1000 + i - 64 : 0xeeeeeeee));
}

TEST_CASE("a resident IB is submitted again; a submission is one ioctl; nothing is allocated") {
  Bench bench;
  IbBuilder ib(bench.ib);
  ib.begin();
  ib.dispatch(
      {.kernel = bench.kernel("count"), .groups = {4, 1, 1}, .kernarg_va = bench.arguments_at(0, bench.out.va(), 7)});
  const auto first = ib.finish();
  IbBuilder again(bench.ib, 4096);
  again.begin();
  again.dispatch({.kernel = bench.kernel("increment"),
                  .groups = {4, 1, 1},
                  .kernarg_va = bench.arguments_at(1, bench.out.va())});
  again.barrier();
  again.dispatch({.kernel = bench.kernel("increment"),
                  .groups = {4, 1, 1},
                  .kernarg_va = bench.arguments_at(1, bench.out.va())});
  const auto second = again.finish();
  const u64 allocations = bench.device->allocation_count();
  const BufferView both[] = {first, second};
  take(bench.queue.submit(both));
  u64 point = 0;
  for (u32 i = 0; i < 40; i++) point = bench.submit(second);
  CHECK(point == 41);
  take(bench.queue.wait(point));
  take(bench.queue.wait(3));                            // earlier points are reached too
  for (u32 i = 0; i < 256; i++) REQUIRE(bench.out.as<u32>()[i] == 7 + i + 82);
  CHECK(bench.queue.counts().submits == 41);
  CHECK(bench.queue.counts().waits == 1);
  CHECK(bench.device->allocation_count() == allocations);
}

TEST_CASE("timestamps and signals are written after the work before them") {
  Bench bench;
  IbBuilder ib(bench.ib);
  Buffer marks = bench.buffer(64, "marks");
  ib.begin();
  ib.timestamp(marks.va());
  ib.dispatch(
      {.kernel = bench.kernel("count"), .groups = {16, 1, 1}, .kernarg_va = bench.arguments_at(0, bench.out.va())});
  ib.timestamp(marks.va() + 8);
  ib.signal(marks.va() + 16, 0x1234567890abcdef);
  take(bench.queue.wait(bench.submit(ib.finish())));
  CHECK(marks.as<u64>()[0] > 0);
  CHECK(marks.as<u64>()[1] >= marks.as<u64>()[0]);
  CHECK(marks.as<u64>()[2] == 0x1234567890abcdef);
  CHECK(take(bench.device->gpu_clock()) >= marks.as<u64>()[1]);
}

TEST_CASE("a page fault names our buffer, and the queue recovers") {
  Bench bench;
  IbBuilder ib(bench.ib);
  struct { u64 va; const char* place; } targets[] = {{bench.out.va() + bench.out.size_bytes(), "past the end of out"},
                                                     {bench.out.va() - 256, "before out"}};
  for (const auto& target : targets) {
    ib.begin();
    ib.dispatch({.kernel = bench.kernel("count"), .kernarg_va = bench.arguments_at(0, target.va)});
    const u64 bad = bench.submit(ib.finish());
    const auto failed = bench.queue.wait(bad, std::chrono::seconds(60));
    REQUIRE_FALSE(failed);
    INFO(failed.error().sentence);
    CHECK(failed.error().code == ErrorCode::gpu_fault);
    CHECK(failed.error().sentence.find("page fault: write at 0x") != std::string::npos);
    CHECK(failed.error().sentence.find(target.place) != std::string::npos);
    // Until recovery the queue repeats itself and touches the kernel no more.
    const auto refused = bench.queue.submit(std::array{BufferView{bench.ib.va(), 32}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sentence == failed.error().sentence);

    take(bench.queue.recover());
    CHECK_FALSE(bench.queue.reached(bad));                // lost stays lost
    ib.begin();
    ib.dispatch({.kernel = bench.kernel("count"), .kernarg_va = bench.arguments_at(0, bench.out.va(), 5)});
    const u64 good = bench.submit(ib.finish());
    CHECK(good == bad + 1);
    take(bench.queue.wait(good));
    CHECK(bench.out.as<u32>()[63] == 68);
  }
}

TEST_CASE("pages have the rights of their use") {
  Bench bench;
  IbBuilder ib(bench.ib);
  Buffer weights = bench.buffer(4096, "weights", MemoryUse::weights);
  for (const u64 target : {weights.va(), bench.code.buffer().va()}) {
    ib.begin();
    ib.dispatch({.kernel = bench.kernel("count"), .kernarg_va = bench.arguments_at(0, target)});
    const auto failed = bench.queue.wait(bench.submit(ib.finish()), std::chrono::seconds(60));
    REQUIRE_FALSE(failed);
    INFO(failed.error().sentence);
    CHECK(failed.error().sentence.find("which its pages do not allow") != std::string::npos);
    CHECK(failed.error().sentence.find(bench.device->describe(target)) != std::string::npos);
    take(bench.queue.recover());
  }
  // Code in memory that is not executable.
  Kernel moved = *bench.kernel("count");
  std::memcpy(bench.out.data(), bench.code.buffer().data() + (moved.code_va - bench.code.buffer().va()),
              moved.code_bytes);
  moved.code_va = bench.out.va();
  ib.begin();
  ib.dispatch({.kernel = &moved, .kernarg_va = bench.arguments_at(0, bench.arguments.va() + 2048)});
  const auto failed = bench.queue.wait(bench.submit(ib.finish()), std::chrono::seconds(60));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::gpu_fault);
  take(bench.queue.recover());
}

TEST_CASE("a wave that never ends is cancelled by the kernel") {
  Bench bench;
  IbBuilder ib(bench.ib);
  ib.begin();
  ib.dispatch({.kernel = bench.kernel("forever"), .kernarg_va = bench.arguments_at(0, bench.out.va())});
  set_virtual("job_timeout_ms", "20");
  const u64 endless = bench.submit(ib.finish());
  const auto failed = bench.queue.wait(endless, std::chrono::seconds(100));
  set_virtual("job_timeout_ms", "2000");
  REQUIRE_FALSE(failed);
  INFO(failed.error().sentence);
  CHECK(failed.error().code == ErrorCode::gpu_fault);
  CHECK(failed.error().errno_value != ETIMEDOUT);
  CHECK(failed.error().sentence.starts_with("the kernel "));
  take(bench.queue.recover());
  ib.begin();
  ib.dispatch({.kernel = bench.kernel("count"), .kernarg_va = bench.arguments_at(0, bench.out.va(), 3)});
  take(bench.queue.wait(bench.submit(ib.finish())));
  CHECK(bench.out.as<u32>()[1] == 4);
}

TEST_CASE("a record of the device comes back whole") {
  const auto device = take(Device::open({}));
  const auto record = take(record_device(*device));
  CHECK(record.drm_name == "amdgpu");
  CHECK(record.kernel_release == device->facts().kernel_release);
  CHECK(record.dev_info.size() >= 368);
  CHECK(record.memory_info.size() == 96);
  CHECK(record.accel_working == 1);
  u32 compute = 0;
  for (const auto& ip : record.hw_ip) compute += ip.type == 1;
  CHECK(compute == 1);
  const auto text = write_record(record);
  CHECK(write_record(take(parse_record(text))) == text);
}
