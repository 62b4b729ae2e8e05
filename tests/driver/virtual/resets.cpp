// Jobs that take too long, and what contexts know afterwards.
#include <errno.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

// The dispatches of a job add up.
Stream long_job(Bench& bench, u32 dispatches) {
  Stream s = bench.begun();
  for (u32 i = 0; i < dispatches; ++i) bench.launch(s, {.kernel = "busy", .number = 50'000});
  return s;
}

}  // namespace

TEST_CASE("a job past the timeout of the virtual clock is reset; only its context is guilty") {
  Bench bench;
  const u32 guilty = bench.context, innocent = bench.new_context();
  CHECK(bench.state(guilty) == 0);
  REQUIRE(set_option("job_timeout_ms", "1"));
  CHECK(bench.wait(bench.submit(long_job(bench, 1))) == 0);
  const i64 hung = bench.submit(long_job(bench, 16));
  CHECK(bench.wait(hung) == -ETIME);
  CHECK(last_fault().find("job-timeout") != std::string::npos);
  REQUIRE(set_option("job_timeout_ms", "2000"));
  CHECK(bench.state(guilty) == (AMDGPU_CTX_QUERY2_FLAGS_RESET | AMDGPU_CTX_QUERY2_FLAGS_GUILTY));
  CHECK(bench.state(innocent) == AMDGPU_CTX_QUERY2_FLAGS_RESET);
  CHECK(bench.submit(bench.begun()) == -ETIME);                          // the entity stays in error
  const i64 sequence = bench.submit(bench.begun(), 0, 0, innocent);
  CHECK(sequence == 1);
  CHECK(bench.wait(sequence, 10'000'000'000, 0, innocent) == 0);
  const u32 fresh = bench.new_context();
  CHECK(bench.state(fresh) == 0);
  drm_amdgpu_ctx args{};
  args.in.op = AMDGPU_CTX_OP_QUERY_STATE;
  args.in.ctx_id = innocent;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_CTX, &args) == 0);
  CHECK(args.out.state.reset_status == AMDGPU_CTX_UNKNOWN_RESET);
  args = {};
  args.in.op = AMDGPU_CTX_OP_QUERY_STATE;
  args.in.ctx_id = innocent;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_CTX, &args) == 0);
  CHECK(args.out.state.reset_status == AMDGPU_CTX_NO_RESET);             // since the last call
}

TEST_CASE("an endless kernel ends with the timeout, and jobs behind it are cancelled") {
  Bench bench;
  REQUIRE(set_option("job_timeout_ms", "20"));
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "endless"});
  const i64 hung = bench.submit(s), behind = bench.submit(bench.begun());
  CHECK(bench.wait(hung, 120'000'000'000) == -ETIME);
  REQUIRE(set_option("job_timeout_ms", "2000"));
  CHECK((bench.wait(behind) == -ECANCELED || bench.wait(behind) == -ETIME));   // its own error, or its entity's
  CHECK(last_fault().find("endless") != std::string::npos);
}

TEST_CASE("a wait for a value that nobody writes ends with the timeout") {
  Bench bench;
  Memory flag = bench.memory(page);
  REQUIRE(set_option("job_timeout_ms", "50"));
  Stream s = bench.begun();
  s.packet(pm4::WaitRegMem{.function = 3, .mem_space = 1, .address = flag.va, .reference = 1, .mask = ~0u});
  CHECK(bench.run_bad(s, "job-timeout").find("WAIT_REG_MEM") != std::string::npos);
  REQUIRE(set_option("job_timeout_ms", "2000"));
  bench.free(flag);
}

TEST_CASE("memory outlives a reset") {
  Bench bench;
  Memory out = bench.memory(page);
  Stream good = bench.begun();
  bench.launch(good, {.kernel = "fill", .out = out.va, .number = 3});
  REQUIRE(bench.run(good) == 0);
  Stream bad;
  bad.words = {0xc000ee00, 0};
  bench.run_bad(bad, "bad-packet");
  CHECK(out.words[0] == 3);
  Stream again = bench.begun();
  bench.launch(again, {.kernel = "add", .out = out.va, .in = out.va, .number = 1});
  CHECK(bench.run(again) == 0);
  CHECK(out.words[0] == 4);
  bench.free(out);
}

TEST_CASE("resets on demand: hang, soft recovery, victim, VRAM lost") {
  Bench bench;
  const auto inject = [](const char* rules) { REQUIRE(set_option("inject", rules)); };
  inject("JOB nth 2: hang");
  CHECK(bench.run(bench.begun()) == 0);
  CHECK(bench.run(bench.begun()) == -ETIME);
  CHECK((bench.state(bench.context) & AMDGPU_CTX_QUERY2_FLAGS_GUILTY) != 0);
  bench.context = bench.new_context();
  inject("JOB nth 1: soft-recovery");
  CHECK(bench.run(bench.begun()) == -ENODATA);
  CHECK(bench.submit(bench.begun()) == -ENODATA);
  bench.context = bench.new_context();
  inject("JOB nth 1: reset full");
  CHECK(bench.run(bench.begun()) == -ECANCELED);
  CHECK(bench.state(bench.context) == AMDGPU_CTX_QUERY2_FLAGS_RESET);
  CHECK(bench.submit(bench.begun()) == -ECANCELED);           // the entity keeps its last job's error
  bench.context = bench.new_context();
  inject("JOB nth 1: reset vram-lost");
  CHECK(bench.run(bench.begun()) == -ECANCELED);
  CHECK((bench.state(bench.context) & AMDGPU_CTX_QUERY2_FLAGS_VRAMLOST) != 0);
  CHECK(bench.submit(bench.begun(), 1) == -ECANCELED);        // every entity of an older generation
  inject("");
  bench.context = bench.new_context();
  CHECK(bench.run(bench.begun()) == 0);
}

TEST_CASE("a stable power state is its context's until it is freed") {
  Bench bench;
  const auto op = [&](u32 operation, u32 context, u32 flags = 0) {
    drm_amdgpu_ctx args{};
    args.in = {.op = operation, .flags = flags, .ctx_id = context, .priority = 0};
    const int error = call(bench.fd, DRM_IOCTL_AMDGPU_CTX, &args);
    return error ? error : int(args.out.pstate.flags);
  };
  const u32 other = bench.new_context();
  CHECK(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, bench.context, AMDGPU_CTX_STABLE_PSTATE_PEAK) >= 0);
  CHECK(op(AMDGPU_CTX_OP_GET_STABLE_PSTATE, other) == AMDGPU_CTX_STABLE_PSTATE_PEAK);
  CHECK(op(AMDGPU_CTX_OP_FREE_CTX, bench.context) >= 0);
  CHECK(op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_STANDARD) >= 0);
}
