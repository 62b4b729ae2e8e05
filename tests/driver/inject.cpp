// Every ioctl of the driver's life fails once, in turn (the virtual GPU's injection): no crash, a sentence for each
// refusal, and nothing of GTT stays behind.
#include <catch2/catch.hpp>
#include <dlfcn.h>

#include <set>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "tests/driver/tiny.h"

using namespace amlm;

namespace {

// Of driver/virtual/hooks.h. The test program runs under the library and does not link it.
void inject(const std::string& rules) {
  using Set = int (*)(const char*, const char*);
  const auto set = reinterpret_cast<Set>(dlsym(RTLD_DEFAULT, "amlm_vgpu_set"));
  if (set == nullptr) FAIL("this program runs under libamlm-vgpu.so only");
  REQUIRE(set("inject", rules.c_str()) == 0);
}

// All that amlm does with a device, but dispatches.
Result<void> life() {
  auto device = TRY(Device::open({}));
  const Buffer weights = TRY(device->allocate({.size_bytes = 3 << 20, .use = MemoryUse::weights, .label = "weights"}));
  const Buffer cache = TRY(device->allocate({.size_bytes = 8192, .use = MemoryUse::gpu_only, .label = "cache"}));
  const Buffer memory = TRY(device->allocate({.size_bytes = 8192, .use = MemoryUse::shared, .label = "memory"}));
  const CodeObject code = TRY(CodeObject::load(*device, tiny_code_object(), "kernels"));
  TRY(device->gtt_free_bytes());
  TRY(device->gpu_clock());
  Queue queue = TRY(Queue::create(*device));
  IbBuilder ib(memory, 4096);
  for (u64 value = 1; value <= 3; value++) {
    ib.begin();
    ib.signal(memory.va(), value);
    const BufferView view = ib.finish();
    const u64 point = TRY(queue.submit({&view, 1}));
    TRY_VOID(queue.wait(point));
    if (*memory.as<u64>() != value) return fail(ErrorCode::failed, "the signal was not written");
  }
  return {};
}

u64 gtt_used() {
  inject("");
  const auto device = Device::open({});
  REQUIRE(device);
  return (*device)->facts().gtt_used_bytes;
}

}  // namespace

TEST_CASE("every call fails once") {
  const u64 used = gtt_used();
  std::set<std::string> sentences;
  u32 failures = 0;
  for (const char* call : {"OPEN", "VERSION", "INFO", "GEM_CREATE", "GEM_VA", "GEM_MMAP", "CTX", "CS", "WAIT_CS"}) {
    for (const char* error : {"ENOMEM", "EINVAL", "EACCES", "ENODEV", "ECANCELED"}) {
      // The second VERSION call is libdrm's own: 2.4.114 does not look whether it failed.
      const u32 most = std::string(call) == "INFO" ? 40 : std::string(call) == "VERSION" ? 1 : 12;
      for (u32 nth = 1; nth <= most; nth++) {
        inject(std::string("ioctl=") + call + ",nth=" + std::to_string(nth) + ",errno=" + error);
        const auto result = life();
        INFO(call << " " << nth << " " << error);
        if (result) continue;
        failures++;
        CHECK(result.error().code != ErrorCode::ok);
        CHECK(result.error().sentence.size() > 20);
        CHECK(result.error().errno_value != 0);
        sentences.insert(result.error().sentence);
      }
      CHECK(gtt_used() == used);
    }
  }
  // Were the calls really hit, and told apart?
  CHECK(failures > 50);
  CHECK(sentences.size() > 20);
  CHECK(life());
}

TEST_CASE("a node that may not be opened names its group") {
  inject("ioctl=OPEN,errno=EACCES");
  const auto device = Device::open({});
  inject("");
  REQUIRE_FALSE(device);
  CHECK(device.error().code == ErrorCode::permission);
  INFO(device.error().sentence);
  CHECK(device.error().sentence.find("Mend: sudo ") != std::string::npos);
}

TEST_CASE("a submission is tried again while memory is short, and not for ever") {
  inject("ioctl=CS,nth=1,errno=ENOMEM");
  CHECK(life());
  inject("ioctl=CS,errno=ENOMEM");
  const auto result = life();
  inject("");
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::memory);
}

TEST_CASE("a job's error is told by what the kernel answers") {
  const auto answer = [](const char* rule) {
    inject(rule);
    const auto result = life();
    inject("");
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::gpu_fault);
    return result.error().sentence;
  };
  CHECK(answer("ioctl=WAIT_CS,nth=2,errno=ETIME").find("did not finish within the job timeout") != std::string::npos);
  CHECK(answer("ioctl=WAIT_CS,nth=2,errno=ENODATA").find("which hung (ENODATA") != std::string::npos);
  CHECK(answer("ioctl=WAIT_CS,nth=2,errno=ECANCELED").find("not through our fault (ECANCELED)") != std::string::npos);
  CHECK(answer("ioctl=CS,nth=3,errno=ECANCELED").find("not through our fault (ECANCELED)") != std::string::npos);
  CHECK(answer("ioctl=WAIT_CS,nth=1,errno=EIO").find("the GPU job failed: Input/output error") != std::string::npos);
}
