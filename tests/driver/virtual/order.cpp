// Who may read what, when. What is missing and must be caught: mistakes.cpp.
#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

constexpr u32 gli = 1, glv = 1 << 8, gl1 = 1 << 9, gl2 = 3u << 14;

struct Pipeline {
  Bench bench;
  Memory a = bench.memory(page), b = bench.memory(page), c = bench.memory(page);

  Stream producer() {
    Stream s = bench.begun();
    bench.launch(s, {.kernel = "fill", .out = a.va, .number = 10, .groups = 4});
    return s;
  }
  void consume(Stream& s, const char* kernel = "add") {
    bench.launch(s, {.kernel = kernel, .out = b.va, .in = a.va, .number = 1, .groups = 4});
  }
};

}  // namespace

TEST_CASE("a good chain of dispatches runs without a fault") {
  Pipeline p;
  const u64 before = fault_count();
  Stream s = p.producer();
  s.barrier();
  p.consume(s);
  s.barrier();
  p.bench.launch(s, {.kernel = "add_scalar", .out = p.c.va, .in = p.b.va, .number = 5, .groups = 4});
  s.barrier();
  p.bench.launch(s, {.kernel = "fill", .out = p.a.va, .number = 0, .groups = 4});     // overwrites what was read
  REQUIRE(p.bench.run(s) == 0);
  CHECK(fault_count() == before);
  CHECK(p.b.words[127] == 138);
  CHECK(p.c.words[3] == 16);
  CHECK(p.a.words[127] == 127);
}

TEST_CASE("what the CPU wrote is there after the job's own acquire, or the kernel's") {
  Pipeline p;
  Memory combined = p.bench.memory(page, readable | writeable, AMDGPU_GEM_CREATE_CPU_GTT_USWC);
  combined.words[0] = 41;
  Stream with;
  p.bench.launch(with.flush().acquire(gli | glv | gl1 | gl2).state(),
                 {.kernel = "add", .out = p.b.va, .in = combined.va, .number = 1});
  CHECK(p.bench.run(with) == 0);
  CHECK(p.b.words[0] == 42);
  Stream without;
  without.state();
  p.bench.launch(without, {.kernel = "add", .out = p.b.va, .in = combined.va});
  const i64 sequence = p.bench.submit(without, 0, AMDGPU_IB_FLAG_EMIT_MEM_SYNC);  // the kernel acquires for us
  CHECK(p.bench.wait(sequence) == 0);
  p.bench.free(combined);
}

TEST_CASE("the command processor reads and writes what shaders do, in order") {
  Pipeline p;
  Stream copy = p.producer();
  copy.flush().packet(pm4::CopyData{.src_sel = 2, .dst_sel = 2, .wr_confirm = 1, .source = p.a.va,
                                    .destination = p.c.va});
  CHECK(p.bench.run(copy) == 0);                       // through L2: no acquire
  CHECK(p.c.words[0] == 10);
  const u32 value = 3;
  Stream write = p.bench.begun();
  write.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = p.a.va, .data = {&value, 1}}).acquire(0x380);
  p.bench.launch(write, {.kernel = "add", .out = p.b.va, .in = p.a.va, .number = 1});
  CHECK(p.bench.run(write) == 0);
  CHECK(p.b.words[0] == 4);
}

TEST_CASE("a job may begin while the one before still runs") {
  Pipeline p;
  Memory flag = p.bench.memory(page);
  Stream first = p.producer();
  first.packet(pm4::WaitRegMem{.function = 3, .mem_space = 1, .address = flag.va, .reference = 1, .mask = ~0u});
  Stream second;
  second.acquire().state();                            // no flush
  p.consume(second);
  const i64 one = p.bench.submit(first), two = p.bench.submit(second);
  *static_cast<volatile u32*>(flag.words) = 1;
  CHECK(p.bench.wait(one) == 0);
  CHECK(p.bench.wait(two) == -ETIME);
  CHECK(last_fault().find("stale-read") != std::string::npos);
  p.bench.context = p.bench.new_context();
  CHECK(p.bench.run(p.producer()) == 0);
  Stream later;                                        // the queue was idle: nothing to flush
  later.acquire().state();
  p.consume(later);
  CHECK(p.bench.run(later) == 0);
  p.bench.free(flag);
}

TEST_CASE("a wait that is missing inside a kernel is caught through the whole path") {
  Pipeline p;
  Stream s = p.producer();
  s.barrier();
  p.consume(s, "add_without_wait");
  CHECK(p.bench.run_bad(s, "pending-register").find("add_without_wait") != std::string::npos);
}

TEST_CASE("results do not depend on the seed") {
  Pipeline p;
  for (u32 seed = 1; seed <= 8; ++seed) {
    REQUIRE(set_option("seed", std::to_string(seed)));
    Stream s = p.producer();
    s.barrier();
    p.consume(s);
    REQUIRE(p.bench.run(s) == 0);
    CHECK(p.b.words[100] == 111);
  }
}
