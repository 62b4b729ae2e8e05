// Strict mode between dispatches, and its sentences. What one kernel may do wrong: mistakes.cpp.
#include <catch2/catch.hpp>

#include <cstring>

#include "tests/isa/machine.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

// s[4:5] = data, s[6:7] = other, v1 = 4 * lane.
const std::string prologue = R"(
  s_load_b128 s[4:7], s[0:1], 0
  v_lshlrev_b32 v1, 2, v0
  s_waitcnt lgkmcnt(0)
)";

struct Sequence {
  Machine machine;
  TestBuffer& data = machine.buffer("data", 4096);
  TestBuffer& other = machine.buffer("other", 4096);
  TestBuffer& arguments = machine.buffer("arguments", 16, access_read);
  u64 writer, reader, scalar_reader;      // readers branch on what they read

  Sequence() {
    arguments.as<u64>()[0] = data.va;
    arguments.as<u64>()[1] = other.va;
    writer = machine.code(assemble(prologue + "v_mov_b32 v2, 1\nglobal_store_b32 v1, v2, s[4:5]\ns_endpgm"));
    reader = machine.code(assemble(prologue + "global_load_b32 v2, v1, s[4:5]\ns_waitcnt vmcnt(0)\n"
                                              "v_cmp_eq_u32 vcc_lo, 0, v2\ns_cbranch_vccz .L\n.L:\ns_endpgm"));
    scalar_reader = machine.code(assemble(prologue + "s_load_b32 s8, s[4:5], 0\ns_waitcnt lgkmcnt(0)\n"
                                                     "s_cmp_eq_u32 s8, 0\ns_cbranch_scc1 .L\n.L:\ns_endpgm"));
  }
  std::string run(u64 code) {
    const RunReport report = machine.run(dispatch_of({.code_va = code, .arguments = arguments.va}));
    return report.fault ? report.fault->kind : "";
  }
};

}  // namespace

TEST_CASE("a dispatch that reads what an unfinished one wrote is caught, after a barrier it is not") {
  Sequence s;
  CHECK(s.run(s.writer) == "");
  s.machine.barrier_before = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.barrier_before = true;
  CHECK(s.run(s.reader) == "");
}

TEST_CASE("waiting without invalidating is not enough, and each cache counts for itself") {
  Sequence s;
  CHECK(s.run(s.writer) == "");
  s.machine.barrier_before = false;
  s.machine.visibility.completed = s.machine.visibility.epoch - 1;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.visible_vector = 1;
  CHECK(s.run(s.reader) == "");
  CHECK(s.run(s.scalar_reader) == "stale-read");
  s.machine.visibility.visible_scalar = 1;
  CHECK(s.run(s.scalar_reader) == "");
}

TEST_CASE("writes over what an unfinished dispatch reads or writes are caught") {
  Sequence s;
  CHECK(s.run(s.reader) == "");
  s.machine.barrier_before = false;
  CHECK(s.run(s.writer) == "unordered-write");
  s.machine.visibility.completed = s.machine.visibility.epoch - 1;
  CHECK(s.run(s.writer) == "");
  CHECK(s.run(s.writer) == "unordered-write");
}

TEST_CASE("what the CPU wrote needs the caches invalidated at the start of the job") {
  Sequence s;
  s.machine.visibility.cpu_vector = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.cpu_vector = true;
  CHECK(s.run(s.reader) == "");
  s.machine.visibility.cpu_scalar = false;
  CHECK(s.run(s.reader) == "stale-read");
  s.machine.visibility.cpu_scalar = true;
  s.machine.visibility.cpu_instruction = false;
  CHECK(s.run(s.reader) == "stale-read");
}

TEST_CASE("unmapped code, and code without the right to execute, fault at the first instruction") {
  Machine machine;
  TestBuffer& data = machine.buffer("data", 4096);
  data.as<u32>()[0] = 0xbfb00000;   // s_endpgm
  const RunReport report = machine.run(dispatch_of({.code_va = data.va}));
  REQUIRE(report.fault);
  CHECK(report.fault->kind == "no-exec");
  const RunReport nowhere = machine.run(dispatch_of({.code_va = 0x1000}));
  REQUIRE(nowhere.fault);
  CHECK(nowhere.fault->kind == "no-exec");
}
