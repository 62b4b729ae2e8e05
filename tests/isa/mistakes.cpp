// Strict mode catches every kind of mistake and stops no good kernel. Seeds: AMLM_TEST_SEEDS (3).
#include "tests/isa/mistakes.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::test;

namespace {

const std::string prologue = R"(
  s_load_b128 s[4:7], s[0:1], 0
  s_load_b64 s[8:9], s[0:1], 16
  v_lshlrev_b32 v1, 2, v0
  s_waitcnt lgkmcnt(0)
)";

u64 seed_count() {
  const char* text = std::getenv("AMLM_TEST_SEEDS");
  return text ? std::strtoull(text, nullptr, 10) : 3;
}

std::vector<u32> kernel(const char* body, const Launch& launch) {
  return assemble(prologue + body + "\ns_endpgm", launch.wave_lanes == 64);
}

// The kind of the fault, or "".
std::string run(const std::vector<u32>& code, Launch launch, u64 seed) {
  Machine machine;
  machine.options.seed = seed;
  machine.options.instruction_limit = 100'000;
  machine.options.host_threads = 1;     // workgroups that meet in the very same instant may miss each other
  TestBuffer& out = machine.buffer("out", 4096);
  TestBuffer& in = machine.buffer("in", 4096, access_read);
  TestBuffer& freed = machine.buffer("freed", 4096);
  TestBuffer& scratch = machine.buffer("scratch", 64 * 1024);
  TestBuffer& arguments = machine.buffer("arguments", 24, access_read);
  for (u32 i = 0; i < 1024; ++i) in.as<u32>()[i] = 0x3c003c00;
  arguments.as<u64>()[0] = out.va;
  arguments.as<u64>()[1] = in.va;
  arguments.as<u64>()[2] = freed.va;
  machine.unmap(freed);
  launch.arguments = arguments.va;
  launch.scratch = scratch.va;
  launch.code_va = machine.code(code);
  const RunReport report = machine.run(dispatch_of(launch));
  if (!report.fault) return "";
  UNSCOPED_INFO(report.fault->sentence);
  CHECK(report.fault->sentence.size() > 20);
  CHECK(report.fault->label == "test");
  return report.fault->kind;
}

struct Tally { u32 rows = 0, caught = 0; };

void try_row(const Mistake& row, Tally& tally) {
  const auto mutant = kernel(row.mutant, row.launch), good = kernel(row.good, row.launch);
  u64 caught = 0, stopped = 0;
  for (u64 seed = 1; seed <= seed_count(); ++seed) {
    INFO(row.name << ", seed " << seed << ":\n" << row.mutant);
    const std::string found = run(mutant, row.launch, seed);
    CHECK(found == row.kind);
    caught += found == row.kind;
    INFO("good kernel:\n" << row.good);
    const std::string false_alarm = run(good, row.launch, seed);
    CHECK(false_alarm == "");
    stopped += false_alarm != "";
  }
  std::printf("%-58s %-24s %s%s\n", row.name, row.kind, caught == seed_count() ? "caught" : "MISSED",
              stopped ? ", FALSE ALARM" : "");
  ++tally.rows;
  tally.caught += caught == seed_count() && !stopped;
}

}  // namespace

TEST_CASE("every kind of mistake is caught, and its good twin passes") {
  Tally tally;
  for (const auto rows : {wait_mistakes(), order_mistakes(), memory_mistakes(), value_mistakes(), sequence_mistakes()})
    for (const Mistake& row : rows) try_row(row, tally);
  std::printf("caught %u of %u\n", tally.caught, tally.rows);
  CHECK(tally.rows > 90);
}
