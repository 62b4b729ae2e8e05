// Errors in words: what a person reads when a job fails or a device does not serve.
#include <catch2/catch.hpp>
#include <cerrno>
#include <unistd.h>

#include "driver/device_impl.h"
#include "driver/job_error.h"

using namespace amlm;

TEST_CASE("a job that the kernel gave up") {
  CHECK(sentence_of({.errno_value = ETIME,
                     .context_state = 1 | 4,
                     .job_timeout_ms = 2000,
                     .job_timeout_source = "default of Linux 7.3"}) ==
        "the kernel cancelled our GPU job: it did not finish within the job timeout of 2000 ms (default of Linux 7.3; "
        "ETIME); context: guilty, the GPU was reset. The kernel's own report: dmesg, "
        "/sys/class/drm/card*/device/devcoredump/data");
  CHECK(sentence_of({.errno_value = ECANCELED, .context_state = 1})
            .starts_with(
                "the kernel cancelled our GPU job because the GPU was reset, not through our fault (ECANCELED)"));
  CHECK(sentence_of({.errno_value = ECANCELED, .context_state = 4})
            .starts_with("the kernel cancelled our GPU job after an earlier one of ours had hung (ECANCELED); "
                         "context: guilty."));
  CHECK(sentence_of({.errno_value = ENODATA}).starts_with("the kernel stopped our GPU job, which hung (ENODATA"));
  CHECK(sentence_of({.errno_value = ETIME, .has_fault = true, .fault_va = 0x1234000, .fault_status = 1 << 18 | 3 << 4,
                     .fault_in_buffer = true, .fault_place = "weights+0x1c0"})
            .find("; page fault: write of weights+0x1c0, which its pages do not allow.") != std::string::npos);
  CHECK(sentence_of({.errno_value = ETIME, .has_fault = true, .fault_va = 0x1000, .fault_status = 3 << 4,
                     .fault_place = "0x1000, in no buffer: 0x0 past the end of x"})
            .find("; page fault: read at 0x1000, in no buffer: 0x0 past the end of x.") != std::string::npos);
}

TEST_CASE("job timeout from parameter and kernel version") {
  const auto ms = [](const char* parameter, const char* release) { return job_timeout(parameter, release).ms; };
  CHECK(ms("", "6.12.107") == 60000);
  CHECK(ms("", "6.1.0-28-amd64") == 60000);
  CHECK(ms("", "6.17.4-200.fc43.x86_64") == 10000);
  CHECK(ms("", "7.3.4") == 2000);
  CHECK(ms("", "what") == 2000);
  CHECK(ms("", "10.0") == 2000);
  CHECK(ms("10000,5000", "7.3.4") == 5000);
  CHECK(ms("10000,5000,1,2", "6.12.0") == 5000);
  CHECK(ms("10000,0", "7.3.4") == 2000);
  CHECK(ms("10000,-1", "7.3.4") == 0);            // never
  CHECK(ms("20000", "7.3.4") == 2000);            // may not apply to compute
  CHECK(ms("1000", "7.3.4") == 1000);
  CHECK(ms("(null)", "7.3.4") == 2000);
  CHECK(job_timeout("10000,5000", "7.3.4").source == "amdgpu.lockup_timeout=10000,5000");
  CHECK(job_timeout("", "6.12.107").source == "default of Linux 6.12");
}

TEST_CASE("how long a submission may take") {
  const auto budget = [](u64 timeout_ms) { return DeviceFacts{.job_timeout_ms = timeout_ms}.job_budget_ms(); };
  CHECK(budget(2000) == 500);
  CHECK(budget(1000) == 250);
  CHECK(budget(60000) == 500);
  CHECK(budget(0) == 500);
}

TEST_CASE("memory limit from bus and clock") {
  CHECK(DeviceFacts{.max_memory_clock_khz = 1000000, .memory_bus_bits = 256, .memory_type = 12}.memory_limit_gbps() ==
        Approx(256));
  CHECK(DeviceFacts{}.memory_limit_gbps() == Approx(256));
}

TEST_CASE("a node that does not serve") {
  const auto missing = Device::open({.node = "/dev/dri/renderD999"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::no_device);
  CHECK(missing.error().sentence == "/dev/dri/renderD999 does not exist: ls /dev/dri shows the render nodes");
  const auto other = Device::open({.node = "/dev/null"});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::no_device);
  CHECK(other.error().sentence == "/dev/null is not a DRM device: render nodes are /dev/dri/renderD128 and following");
}

TEST_CASE("a slice stays inside") {
  const BufferView view{0x1000, 0x100};
  CHECK(view.slice(0x10, 0xf0).va == 0x1010);
  CHECK(view.slice(0x100, 0).size_bytes == 0);
}
