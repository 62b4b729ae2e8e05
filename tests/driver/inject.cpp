// Every call of the driver's life fails in turn, with each errno that it can have (the virtual GPU's fault script and
// table): no crash, a sentence and a code for each refusal, no memory and no descriptor stays behind, and the next
// attempt works.
#include <catch2/catch.hpp>
#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "driver/code_object.h"
#include "driver/ib.h"
#include "driver/queue.h"
#include "tests/driver/tiny.h"

using namespace amlm;

namespace {

// Of driver/virtual/hooks.h. The test program runs under the library and does not link it.
template <class Function> Function hook(const char* name) {
  const auto function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  if (function == nullptr) FAIL("this program runs under libamlm-vgpu.so only");
  return function;
}

void inject(const std::string& script) {
  REQUIRE(hook<int (*)(const char*, const char*)>("amlm_vgpu_set")("inject", script.c_str()) == 0);
}

std::size_t script_hits() { return hook<std::size_t (*)()>("amlm_vgpu_script_hits")(); }

std::string call_errors() {
  const auto read = hook<std::size_t (*)(char*, std::size_t)>("amlm_vgpu_ioctls");
  std::string text(read(nullptr, 0) + 1, 0);
  text.resize(read(text.data(), text.size()));
  return text;
}

int errno_of(const std::string& name) {
  for (int error = 1; error < 200; error++)
    if (const char* known = strerrorname_np(error); known != nullptr && name == known) return error;
  FAIL("no errno " << name);
  return 0;
}

// What the driver or libdrm tries again.
bool is_mended(const std::string& call, const std::string& error) {
  return error == "EINTR" || error == "EAGAIN" || (call == "CS" && error == "ENOMEM");
}

ErrorCode expected_code(const std::string& call, const std::string& error, const Error& got) {
  if (call == "OPEN") {
    if (error == "EACCES" || error == "EPERM") return ErrorCode::permission;
    return error == "ENOENT" || error == "ENXIO" || error == "ENODEV" ? ErrorCode::no_device : ErrorCode::kernel;
  }
  if (call == "VERSION") return ErrorCode::no_device;
  if (call == "WAIT_CS" || (call == "CS" && (error == "ETIME" || error == "ENODATA" || error == "ECANCELED")))
    return ErrorCode::gpu_fault;
  // Opening fails with `kernel` whatever the reason; an allocation that finds no memory with `memory`.
  const bool allocates = call == "GEM_CREATE" || call == "GEM_VA" || call == "GEM_MMAP" || call == "MMAP";
  return allocates && error == "ENOMEM" && got.sentence.starts_with("cannot ") ? ErrorCode::memory : ErrorCode::kernel;
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator folder("/proc/self/fd");
  return std::size_t(std::distance(begin(folder), end(folder)));
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

TEST_CASE("every call fails with each errno it can have") {
  const u64 used = gtt_used();
  REQUIRE(life());                                 // what the virtual GPU keeps for good is there
  const std::size_t descriptors = open_descriptors();
  std::set<std::string> sentences, calls;
  std::istringstream table(call_errors());
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string call, error;
    words >> call;
    // The second VERSION call is libdrm's own: 2.4.114 does not look whether it failed, and crashes.
    const u32 most = call == "VERSION" ? 1 : 1000;
    while (words >> error) {
      for (u32 nth = 1; nth <= most; nth++) {
        inject(call + " nth " + std::to_string(nth) + ": fail " + error);
        const auto result = life();
        const bool was_reached = script_hits() != 0;
        inject("");
        INFO(call << " " << nth << " " << error);
        if (!was_reached) {
          CHECK(result);
          break;
        }
        calls.insert(call);
        if (is_mended(call, error)) CHECK(result);
        if (!result) {
          INFO(result.error().sentence);
          CHECK(result.error().code == expected_code(call, error, result.error()));
          CHECK(result.error().errno_value == errno_of(error));
          CHECK(result.error().sentence.size() > 20);
          CHECK(result.error().sentence.find('\n') == std::string::npos);
          sentences.insert(result.error().sentence);
        }
      }
      CHECK(life());                               // the next attempt works
      CHECK(gtt_used() == used);
      CHECK(open_descriptors() == descriptors);
    }
  }
  // Were the calls really hit, and told apart?
  CHECK(calls == std::set<std::string>{"OPEN", "MMAP", "VERSION", "INFO", "GEM_CREATE", "GEM_VA", "GEM_MMAP",
                                       "GEM_CLOSE", "CTX", "CS", "WAIT_CS"});
  CHECK(sentences.size() > 100);
}

TEST_CASE("a node that may not be opened names its group") {
  inject("OPEN: fail EACCES");
  const auto device = Device::open({});
  inject("");
  REQUIRE_FALSE(device);
  CHECK(device.error().code == ErrorCode::permission);
  INFO(device.error().sentence);
  CHECK(device.error().sentence.find("Mend: sudo ") != std::string::npos);
}

TEST_CASE("a submission is tried again while memory is short, and not for ever") {
  inject("CS nth 1: fail ENOMEM");
  CHECK(life());
  inject("CS: fail ENOMEM");
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
  CHECK(answer("WAIT_CS nth 2: fail ETIME").find("did not finish within the job timeout") != std::string::npos);
  CHECK(answer("WAIT_CS nth 2: fail ENODATA").find("which hung (ENODATA") != std::string::npos);
  CHECK(answer("WAIT_CS nth 2: fail ECANCELED").find("not through our fault (ECANCELED)") != std::string::npos);
  CHECK(answer("CS nth 3: fail ECANCELED").find("not through our fault (ECANCELED)") != std::string::npos);
  CHECK(answer("WAIT_CS nth 1: fail EIO").find("the GPU job failed: Input/output error") != std::string::npos);
}
