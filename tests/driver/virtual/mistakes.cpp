// The matrix of mistakes in packets: for each, a good job that passes and a mutant of it that must not. Mistakes inside a
// kernel have theirs in tests/isa/mistakes.cpp.
#include <errno.h>

#include <catch2/catch.hpp>

#include <cstdio>
#include <functional>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

constexpr u32 gli = 1, glk = 1 << 7, glv = 1 << 8, gl1 = 1 << 9, gl2 = 3u << 14;

struct Pipeline {
  Bench bench;
  Memory a = bench.memory(page), b = bench.memory(page), c = bench.memory(page);
  Memory read_only = bench.memory(page, readable), combined = bench.memory(page, readable | writeable,
                                                                           AMDGPU_GEM_CREATE_CPU_GTT_USWC);

  ~Pipeline() { for (Memory* m : {&a, &b, &c, &read_only, &combined}) bench.free(*m); }
  Stream producer() {
    Stream s = bench.begun();
    bench.launch(s, {.kernel = "fill", .out = a.va, .number = 10, .groups = 4});
    return s;
  }
  Stream& consume(Stream& s, const char* kernel = "add") {
    bench.launch(s, {.kernel = kernel, .out = b.va, .in = a.va, .number = 1, .groups = 4});
    return s;
  }
  Stream after_barrier(u32 gcr, const char* kernel) {
    Stream s = producer();
    s.barrier(gcr);
    return consume(s, kernel);
  }
  // A job whose acquire at the start is `gcr`, reading what the CPU wrote.
  Stream at_start(u32 gcr, const Memory& in, const char* kernel) {
    in.words[0] = 41;
    Stream s;
    s.flush().acquire(gcr).state();
    bench.launch(s, {.kernel = kernel, .out = b.va, .in = in.va, .number = 1});
    return s;
  }
  Stream one(Launch l) {
    Stream s = bench.begun();
    bench.launch(s, l);
    return s;
  }
  Stream copies(Stream s) {
    return s.packet(pm4::CopyData{.src_sel = 2, .dst_sel = 2, .wr_confirm = 1, .source = a.va, .destination = c.va});
  }
  Stream writes(Stream s) {
    static const u32 value = 3;
    return s.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = a.va, .data = {&value, 1}});
  }
  Stream released(u32 awaited) {
    Stream s = producer();
    s.packet(pm4::ReleaseMem{.event_type = 0x14, .event_index = 5, .gl2_wb = 1, .int_sel = 3, .data_sel = 1,
                             .address = c.va, .data = 1});
    if (awaited)
      s.packet(pm4::WaitRegMem{.function = 3, .mem_space = 1, .address = c.va, .reference = awaited, .mask = ~0u});
    return consume(s.acquire(0x380));
  }
};

// The kind of the fault that a job ends with, "" when it ends well.
std::string outcome(Pipeline& p, i64 sequence) {
  if (sequence < 0) return sequence == -EINVAL ? "EINVAL" : "refused";
  if (p.bench.wait(sequence) == 0) return "";
  p.bench.context = p.bench.new_context();
  const std::string fault = last_fault(), key = "\"kind\":\"";
  const auto at = fault.find(key);
  REQUIRE(at != std::string::npos);
  return fault.substr(at + key.size(), fault.find('"', at + key.size()) - at - key.size());
}

using Job = std::function<Stream(Pipeline&)>;
struct Mistake {
  const char* name;
  const char* kind;
  Job mutant, good;
};

const Mistake mistakes[] = {
    {"CS_PARTIAL_FLUSH between write and read", "stale-read",
     [](Pipeline& p) { Stream s = p.producer(); return p.consume(s.acquire(0x380)); },
     [](Pipeline& p) { return p.after_barrier(0x380, "add"); }},
    {"ACQUIRE_MEM between write and read", "stale-read",
     [](Pipeline& p) { Stream s = p.producer(); return p.consume(s.flush()); },
     [](Pipeline& p) { return p.after_barrier(0x380, "add"); }},
    {"ACQUIRE_MEM before CS_PARTIAL_FLUSH", "stale-read",
     [](Pipeline& p) { Stream s = p.producer(); return p.consume(s.acquire(0x380).flush()); },
     [](Pipeline& p) { Stream s = p.producer(); return p.consume(s.flush().acquire(0x380)); }},
    {"GLV, before vector loads", "stale-read", [](Pipeline& p) { return p.after_barrier(glk | gl1, "add"); },
     [](Pipeline& p) { return p.after_barrier(glv | gl1, "add"); }},
    {"GL1, before vector loads", "stale-read", [](Pipeline& p) { return p.after_barrier(glv | glk, "add"); },
     [](Pipeline& p) { return p.after_barrier(glv | gl1, "add"); }},
    {"GLK, before scalar loads", "stale-read", [](Pipeline& p) { return p.after_barrier(glv | gl1, "add_scalar"); },
     [](Pipeline& p) { return p.after_barrier(glk | gl1, "add_scalar"); }},
    {"GL1, before scalar loads", "stale-read", [](Pipeline& p) { return p.after_barrier(glv | glk, "add_scalar"); },
     [](Pipeline& p) { return p.after_barrier(glk | gl1, "add_scalar"); }},
    {"GLI, after the CPU wrote code", "stale-read", [](Pipeline& p) { return p.at_start(glk | glv | gl1, p.a, "add"); },
     [](Pipeline& p) { return p.at_start(gli | glv | gl1, p.a, "add"); }},
    {"GLV, after the CPU wrote data", "stale-read", [](Pipeline& p) { return p.at_start(gli | glk | gl1, p.a, "add"); },
     [](Pipeline& p) { return p.at_start(gli | glv | gl1, p.a, "add"); }},
    {"GLK, after the CPU wrote data", "stale-read",
     [](Pipeline& p) { return p.at_start(gli | glv | gl1, p.a, "add_scalar"); },
     [](Pipeline& p) { return p.at_start(gli | glk | gl1, p.a, "add_scalar"); }},
    {"GL2, after the CPU wrote past its cache", "stale-read",
     [](Pipeline& p) { return p.at_start(gli | glv | gl1, p.combined, "add"); },
     [](Pipeline& p) { return p.at_start(gli | glv | gl1 | gl2, p.combined, "add"); }},
    {"CS_PARTIAL_FLUSH between two writes", "unordered-write",
     [](Pipeline& p) {
       Stream s = p.producer();
       p.bench.launch(s, {.kernel = "fill", .out = p.a.va, .number = 50, .groups = 4});
       return s;
     },
     [](Pipeline& p) {
       Stream s = p.producer();
       p.bench.launch(s.flush(), {.kernel = "fill", .out = p.a.va, .number = 50, .groups = 4});
       return s;
     }},
    {"CS_PARTIAL_FLUSH between read and write", "unordered-write",
     [](Pipeline& p) {
       Stream s = p.bench.begun();
       p.bench.launch(p.consume(s), {.kernel = "fill", .out = p.a.va, .groups = 4});
       return s;
     },
     [](Pipeline& p) {
       Stream s = p.bench.begun();
       p.bench.launch(p.consume(s).flush(), {.kernel = "fill", .out = p.a.va, .groups = 4});
       return s;
     }},
    {"COPY_DATA of what a dispatch writes", "stale-read", [](Pipeline& p) { return p.copies(p.producer()); },
     [](Pipeline& p) { return p.copies(p.producer().flush()); }},
    {"WRITE_DATA over what a dispatch writes", "write-after-write", [](Pipeline& p) { return p.writes(p.producer()); },
     [](Pipeline& p) { return p.writes(p.producer().flush()); }},
    {"a shader reads what WRITE_DATA wrote", "stale-read",
     [](Pipeline& p) { Stream s = p.writes(p.bench.begun()); return p.consume(s); },
     [](Pipeline& p) { Stream s = p.writes(p.bench.begun()); return p.consume(s.acquire(0x380)); }},
    {"RELEASE_MEM that nobody waits for", "stale-read", [](Pipeline& p) { return p.released(0); },
     [](Pipeline& p) { return p.released(1); }},
    {"a register that the job did not set", "unset-register",
     [](Pipeline& p) {
       Stream s;
       s.left_out = reg::compute_pgm_rsrc3::address;
       p.bench.launch(s.flush().acquire().state(), {.kernel = "fill", .out = p.a.va});
       return s;
     },
     [](Pipeline& p) { return p.one({.kernel = "fill", .out = p.a.va}); }},
    {"a wait inside the kernel", "pending-register",
     [](Pipeline& p) { return p.after_barrier(0x380, "add_without_wait"); },
     [](Pipeline& p) { return p.after_barrier(0x380, "add"); }},
    {"a store to read-only memory", "no-write", [](Pipeline& p) { return p.one({.kernel = "fill", .out = p.read_only.va}); },
     [](Pipeline& p) { return p.one({.kernel = "add", .out = p.a.va, .in = p.read_only.va}); }},
    {"a load from freed memory", "unmapped",
     [](Pipeline& p) {
       Memory freed = p.bench.memory(page);
       const u64 va = freed.va;
       p.bench.free(freed);
       return p.one({.kernel = "add", .out = p.a.va, .in = va});
     },
     [](Pipeline& p) { return p.one({.kernel = "add", .out = p.a.va, .in = p.b.va}); }},
    {"a store one workgroup past the end", "unmapped",
     [](Pipeline& p) { return p.one({.kernel = "fill", .out = p.a.va, .groups = page / 128 + 1}); },
     [](Pipeline& p) { return p.one({.kernel = "fill", .out = p.a.va, .groups = page / 128}); }},
    {"code in memory that is not executable", "no-exec",
     [](Pipeline& p) {
       const Kernel kept = p.bench.kernels["fill"];
       p.bench.kernels["fill"].va = p.read_only.va;
       Stream s = p.one({.kernel = "fill", .out = p.a.va});
       p.bench.kernels["fill"] = kept;
       return s;
     },
     [](Pipeline& p) { return p.one({.kernel = "fill", .out = p.a.va}); }},
};

// Where and how long an IB is. `Stream`s are placed and padded as they should be.
struct IbMistake {
  const char* name;
  const char* kind;
  i64 va_change;
  u64 size_bytes;     // 0: as long as the stream
};

const IbMistake ib_mistakes[] = {
    {"IB: not padded to 8 dwords", "ib-padding", 0, 28},
    {"IB: not aligned", "ib-alignment", 4, 32},
    {"IB: past its mapping", "unmapped", 0, 2 * page},
    {"IB: unmapped", "unmapped", 16 * page, 32},
    {"IB: longer than its size field", "EINVAL", 0, 0x100000 * 4},
};

}  // namespace

TEST_CASE("every kind of mistake in packets is caught, and its good twin passes") {
  u32 rows = 0, caught = 0;
  const auto note = [&](const char* name, const char* kind, const std::string& mutant, const std::string& good) {
    INFO(name);
    CHECK(mutant == kind);
    CHECK(good == "");
    const bool fine = mutant == kind && good.empty();
    std::printf("%-58s %-24s %s%s\n", name, kind, mutant == kind ? "caught" : "MISSED", good.empty() ? "" : ", FALSE ALARM");
    ++rows;
    caught += fine;
  };
  for (const Mistake& row : mistakes) {
    Pipeline p;
    const std::string mutant = outcome(p, p.bench.submit(row.mutant(p)));
    note(row.name, row.kind, mutant, outcome(p, p.bench.submit(row.good(p))));
  }
  for (const IbMistake& row : ib_mistakes) {
    Pipeline p;
    const Memory ib = p.bench.place(p.producer());
    const u64 size_bytes = row.size_bytes ? row.size_bytes : 32;
    const std::string mutant = outcome(p, p.bench.submit_at(ib.va + u64(row.va_change), size_bytes));
    note(row.name, row.kind, mutant, outcome(p, p.bench.submit(p.producer())));
  }
  std::printf("caught %u of %u\n", caught, rows);
  CHECK(rows > 25);
}
