// The fault script: its language, and what each action does to jobs, contexts and memory.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

struct Script {
  explicit Script(const std::string& text) { REQUIRE(set_option("inject", text)); }
  ~Script() { set_option("inject", ""); }
};

int create(const Bench& bench) {
  drm_amdgpu_gem_create args{};
  args.in = {.bo_size = page, .alignment = 0, .domains = AMDGPU_GEM_DOMAIN_GTT, .domain_flags = 0};
  if (const int error = call(bench.fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &args)) return error;
  drm_gem_close gone{.handle = args.out.handle, .pad = 0};
  return call(bench.fd, DRM_IOCTL_GEM_CLOSE, &gone);
}

std::string name_of(int error) {
  const char* name = strerrorname_np(error < 0 ? -error : error);
  return name ? name : std::to_string(error);
}

// The README's rounds: a buffer, a job that fills, a wait. After a failure a new context, as a client would. A machine may
// be slow: only a round that should find its job unfinished waits briefly.
std::string four_rounds(Bench& bench, const Stream& job, const Memory& ib, const std::string& wanted) {
  std::string told;
  for (u32 round = 0; round < 4; ++round) {
    std::string word = "ok";
    const bool still_busy = wanted.substr(std::min(told.size(), wanted.size())).starts_with(round ? ", busy" : "busy");
    if (const int error = create(bench)) {
      word = "GEM_CREATE " + name_of(error);
    } else if (const i64 sequence = bench.submit_at(ib.va, job.words.size() * 4); sequence < 0) {
      word = "CS " + name_of(int(sequence));
      bench.context = bench.new_context();
    } else if (const int result = bench.wait(sequence, still_busy ? 200'000'000 : 60'000'000'000)) {
      word = result > 0 ? "busy" : "WAIT_CS " + name_of(result);
      bench.context = bench.new_context();
    }
    told += (round ? ", " : "") + word;
  }
  return told;
}

constexpr u64 reset = AMDGPU_CTX_QUERY2_FLAGS_RESET, guilty = AMDGPU_CTX_QUERY2_FLAGS_GUILTY,
              vram_lost = AMDGPU_CTX_QUERY2_FLAGS_VRAMLOST;

struct GpuvmFault { u64 va; u32 status, hub; };
GpuvmFault fault_of(const Bench& bench) {
  GpuvmFault fault{};
  drm_amdgpu_info request{};
  request.return_pointer = u64(&fault);
  request.return_size = sizeof fault;
  request.query = 0x23;
  REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_INFO, &request) == 0);
  return fault;
}

// A job that waits until the CPU writes 1 to `flag`.
i64 held_job(Bench& bench, const Memory& flag, u32 ring = 0, u32 context = 0) {
  Stream s = bench.begun();
  s.packet(pm4::WaitRegMem{.function = pm4::WaitRegMem::equal, .mem_space = 1, .address = flag.va, .reference = 1,
                           .mask = ~0u});
  return bench.submit(s, ring, 0, context);
}

}  // namespace

// Lines "    SCRIPT   # -> RESULT" of README.md: each is run, and must give what stands there.
TEST_CASE("the examples of the README do what it says") {
  std::ifstream file(VGPU_README);
  REQUIRE(file);
  u32 examples = 0;
  Bench bench;
  Memory out = bench.memory(page);
  Stream job = bench.begun();
  bench.launch(job, {.kernel = "fill", .out = out.va, .number = 7});
  job.pad();
  const Memory ib = bench.place(job);
  for (std::string line; std::getline(file, line);) {
    const auto arrow = line.find("# -> ");
    if (!line.starts_with("    ") || arrow == std::string::npos) continue;
    ++examples;
    INFO(line);
    REQUIRE(set_option("inject", line.substr(0, arrow)));
    const std::string wanted = line.substr(arrow + 5);
    CHECK(four_rounds(bench, job, ib, wanted) == wanted);
    REQUIRE(set_option("inject", ""));
  }
  CHECK(examples >= 10);
  CHECK(four_rounds(bench, job, ib, "") == "ok, ok, ok, ok");
  bench.free(out);
}

TEST_CASE("mistakes in a script are one sentence with the line") {
  const auto why = [](const std::string& text) {
    char path[] = "/tmp/amlm-script-XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, text.data(), text.size()) == ssize_t(text.size()));
    close(fd);
    // The sentence goes to stderr.
    const int kept = dup(2), caught = memfd_create("caught", 0);
    dup2(caught, 2);
    CHECK_FALSE(set_option("inject", std::string("@") + path));
    dup2(kept, 2);
    close(kept);
    char bytes[512] = {};
    REQUIRE(pread(caught, bytes, sizeof bytes - 1, 0) > 0);
    close(caught);
    unlink(path);
    const std::string said = bytes;
    CHECK(said.starts_with(std::string("amlm-vgpu: fault script: ") + path + ", line "));
    CHECK(said.find('\n') == said.size() - 1);
    return said.substr(said.find(", line ") + 2);
  };
  CHECK(why("# nothing\n\nGEM_CREAT: fail ENOMEM").starts_with("line 3: \"GEM_CREAT\" is no event"));
  CHECK(why("CS: fail EWHAT") == "line 1: \"EWHAT\" is no errno that this device knows\n");
  CHECK(why("seed 3\nCS nth 0: fail EIO").starts_with("line 2: after nth stands \"0\""));
  CHECK(why("CS nth 5-2: fail EIO").starts_with("line 1: after nth stands \"5-2\""));
  CHECK(why("CS every 0: fail EIO") == "line 1: every 0\n");
  CHECK(why("CS after 3: fail EIO").starts_with("line 1: after after stands \"3\", not an amount such as 3ms"));
  CHECK(why("CS chance 2: fail EIO").starts_with("line 1: after chance stands \"2\""));
  CHECK(why("CS kernel fill: fail EIO") == "line 1: kernel is a condition of DISPATCH only\n");
  CHECK(why("CS often: fail EIO").starts_with("line 1: \"often\" is no condition"));
  CHECK(why("CS nth 2") == "line 1: no \":\" and no action after CS\n");
  CHECK(why("CS:") == "line 1: no action after the \":\"\n");
  CHECK(why("CS: hang") == "line 1: \"hang\" is nothing that can happen at CS\n");
  CHECK(why("JOB: fail EIO") == "line 1: \"fail\" is nothing that can happen at JOB\n");
  CHECK(why("DISPATCH: gtt 1GiB") == "line 1: \"gtt\" is nothing that can happen at DISPATCH\n");
  CHECK(why("JOB: hang sideways").starts_with("line 1: \"sideways\" is no kind of reset"));
  CHECK(why("JOB: page-fault").starts_with("line 1: page-fault without a place"));
  CHECK(why("JOB: page-fault at here") == "line 1: after at stands \"here\", not a number\n");
  CHECK(why("JOB: stuck now") == "line 1: \"now\" after the end of the action\n");
  CHECK(why("CS: gtt 5GB").starts_with("line 1: after gtt stands \"5GB\", not an amount such as 60GiB"));
  CHECK(why("seed x") == "line 1: after seed stands \"x\", not a number\n");
  CHECK_FALSE(set_option("inject", "@/nowhere/script"));
}

TEST_CASE("chance repeats with its seed") {
  Bench bench;
  const auto hits = [&](const char* script) {
    const Script active(script);
    std::string seen;
    for (u32 i = 0; i < 64; ++i) seen += create(bench) ? '1' : '0';
    return seen;
  };
  const std::string first = hits("seed 5; GEM_CREATE chance 0.3: fail ENOMEM");
  CHECK(hits("seed 5; GEM_CREATE chance 0.3: fail ENOMEM") == first);
  CHECK(hits("seed 6; GEM_CREATE chance 0.3: fail ENOMEM") != first);
  const auto count = std::count(first.begin(), first.end(), '1');
  CHECK(count > 5);
  CHECK(count < 40);
}

TEST_CASE("a scripted page fault names its address, and the buffer") {
  Bench bench;
  Memory out = bench.memory(4 * page);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 1});
  s.barrier();
  bench.launch(s, {.kernel = "add", .out = out.va, .in = out.va, .number = 1});
  {
    const Script script("DISPATCH kernel add nth 1: page-fault in " + std::to_string(out.handle) + " offset 0x1004 write");
    CHECK(bench.wait(bench.submit(s)) == -ETIME);
  }
  CHECK(fault_of(bench).va == out.va + page);
  CHECK((fault_of(bench).status >> 18 & 1) == 1);
  CHECK(out.words[0] == 1);                                    // the dispatch before it had run
  CHECK(bench.state(bench.context) == (reset | guilty));
  bench.context = bench.new_context();
  {
    const Script script("JOB nth 1: page-fault at 0x12345678");
    CHECK(bench.wait(bench.submit(s)) == -ETIME);
  }
  CHECK(fault_of(bench).va == 0x12345000);
  CHECK((fault_of(bench).status >> 18 & 1) == 0);
  bench.context = bench.new_context();
  CHECK(bench.wait(bench.submit(s)) == 0);
  bench.free(out);
}

TEST_CASE("a queue's reset leaves innocent work of the same ring alone") {
  Bench bench;
  Memory flag = bench.memory(page), start = bench.memory(page);
  const u32 innocent = bench.new_context();
  const i64 held = held_job(bench, flag, 0, innocent), first = held_job(bench, start);
  CHECK(bench.wait(held, 20'000'000, 0, innocent) == 1);        // both have begun
  CHECK(bench.wait(first, 20'000'000) == 1);
  const Script script("JOB nth 1: hang");
  const i64 hung = bench.submit(bench.begun());
  const i64 behind = bench.submit(bench.begun());
  *static_cast<volatile u32*>(start.words) = 1;
  CHECK(bench.wait(hung) == -ETIME);
  CHECK((bench.wait(behind) == -ECANCELED || bench.wait(behind) == -ETIME));   // its own error, or its entity's
  CHECK(bench.wait(held, 0, 0, innocent) == 1);
  *static_cast<volatile u32*>(flag.words) = 1;
  CHECK(bench.wait(held, 20'000'000'000, 0, innocent) == 0);
  CHECK(bench.state(bench.context) == (reset | guilty));
  CHECK(bench.state(innocent) == reset);
  CHECK(bench.wait(bench.submit(bench.begun(), 0, 0, innocent), 20'000'000'000, 0, innocent) == 0);
  bench.free(flag);
  bench.free(start);
}

TEST_CASE("a reset of the whole GPU cancels what runs for others; with VRAM lost, their contexts end") {
  const bool lost = GENERATE(false, true);
  Bench bench;
  Memory flag = bench.memory(page);
  const u32 innocent = bench.new_context(), idle = bench.new_context();
  const i64 held = held_job(bench, flag, 0, innocent);
  CHECK(bench.wait(held, 20'000'000, 0, innocent) == 1);        // it has begun
  const Script script(lost ? "JOB nth 1: hang vram-lost" : "JOB nth 1: hang full");
  CHECK(bench.wait(bench.submit(bench.begun())) == -ETIME);
  CHECK(bench.wait(held, 20'000'000'000, 0, innocent) == -ECANCELED);
  const u64 more = lost ? vram_lost : 0;
  CHECK(bench.state(bench.context) == (reset | guilty | more));
  CHECK(bench.state(innocent) == (reset | more));
  CHECK(bench.state(idle) == (reset | more));
  CHECK(bench.submit(bench.begun(), 0, 0, innocent) == -ECANCELED);
  CHECK(bench.wait(bench.submit(bench.begun(), 0, 0, idle), 20'000'000'000, 0, idle) == (lost ? -ECANCELED : 0));
  const u32 fresh = bench.new_context();
  CHECK(bench.state(fresh) == 0);
  CHECK(bench.wait(bench.submit(bench.begun(), 0, 0, fresh), 20'000'000'000, 0, fresh) == 0);
  bench.free(flag);
}

TEST_CASE("another process's resets: seen by all, fatal only when the whole GPU is reset") {
  Bench bench;
  {
    const Script script("CS nth 1: reset queue");
    CHECK(bench.run(bench.begun()) == 0);
    CHECK(bench.state(bench.context) == reset);
  }
  {
    const Script script("JOB nth 1: reset full");
    CHECK(bench.run(bench.begun()) == -ECANCELED);
    CHECK(bench.state(bench.context) == reset);
  }
}

TEST_CASE("a job that never retires: WAIT_CS says busy at its deadline, and other queues go on") {
  Bench bench;
  const Script script("JOB nth 1: stuck");
  const i64 stuck = bench.submit(bench.begun());
  CHECK(bench.wait(stuck, 30'000'000) == 1);
  CHECK(bench.wait(bench.submit(bench.begun(), 1), 20'000'000'000, 1) == 0);
  CHECK(bench.wait(stuck, 0) == 1);
  CHECK(bench.state(bench.context) == 0);
  // Only a reset of the whole GPU gets rid of it.
  REQUIRE(set_option("inject", "INFO nth 1: reset full"));
  (void)fault_of(bench);
  CHECK(bench.wait(stuck) == -ECANCELED);
}

TEST_CASE("without a job timeout a hang never ends") {
  Bench bench;
  REQUIRE(set_option("job_timeout_ms", "never"));
  Stream bad;
  bad.words = {0xc000ee00, 0};
  const i64 hung = bench.submit(bad);
  CHECK(bench.wait(hung, 30'000'000) == 1);
  CHECK(last_fault().find("bad-packet") != std::string::npos);
  REQUIRE(set_option("job_timeout_ms", "2000"));
  REQUIRE(set_option("inject", "INFO nth 1: reset full"));
  (void)fault_of(bench);
  CHECK(bench.wait(hung) == -ECANCELED);
  REQUIRE(set_option("inject", ""));
}

TEST_CASE("other processes take GTT: allocations and submissions get ENOMEM until they give it back") {
  Bench bench;
  drm_amdgpu_memory_info memory{};
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_MEMORY, sizeof memory, &memory) == 0);
  const u64 used = memory.gtt.heap_usage, total = memory.gtt.total_heap_size;
  {
    const Script script("GEM_CREATE nth 2: gtt " + std::to_string(total) + "B; GEM_CREATE nth 3: gtt 1GiB");
    CHECK(create(bench) == 0);
    CHECK(create(bench) == -ENOMEM);
    CHECK(create(bench) == 0);
    REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_MEMORY, sizeof memory, &memory) == 0);
    CHECK(memory.gtt.heap_usage == used + (1ull << 30));
  }
  const Script script("CS nth 2: gtt " + std::to_string(total) + "B; CS nth 4: gtt 0B");
  CHECK(bench.run(bench.begun()) == 0);
  Memory ib = bench.memory(page);
  CHECK(bench.submit(bench.begun()) == -ENOMEM);
  bench.free(ib);
}

TEST_CASE("a stall counts against the job timeout") {
  Bench bench;
  Memory out = bench.memory(page);
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 1});
  {
    const Script script("DISPATCH nth 1: stall 1900ms");
    CHECK(bench.wait(bench.submit(s)) == 0);
  }
  const Script script("DISPATCH nth 1: stall 2100ms");
  CHECK(bench.wait(bench.submit(s)) == -ETIME);
  CHECK(last_fault().find("job-timeout") != std::string::npos);
  bench.free(out);
}
