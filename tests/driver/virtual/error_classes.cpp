// The classes of error with which igt's amd_queue_reset (igt-gpu-tools, lib/amdgpu: amd_command_submission and
// amd_dispatch) makes a queue hang. The kernel's answer is the same for all: ETIME for the job, a guilty context, a reset
// that everybody sees, and innocent work goes on, also what waits on the same ring.
#include <errno.h>

#include <catch2/catch.hpp>
#include <functional>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

struct Class {
  const char* name;
  const char* kind;                  // of the fault
  bool is_page_fault;                // INFO GPUVM_FAULT tells of it
  std::function<void(Bench&, Stream&, const Memory& out)> spoil;
};

constexpr u64 nowhere = 0x7e57'0000'0000;

void launch_with(Bench& bench, Stream& s, const Memory& out, const std::function<void(Stream&)>& change) {
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 1});
  // The registers that were changed have their say over the launch: it runs once more with them.
  s.barrier();
  change(s);
  s.packet(pm4::DispatchDirect{.dim_x = 1, .dim_y = 1, .dim_z = 1,
                               .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1, .cs_w32_en = 1}});
}

const Class classes[] = {
    {"INVALID_OPCODE", "bad-packet", false, [](Bench&, Stream& s, const Memory&) {
       s.words.insert(s.words.end(), {0xc000'ee00, 0});
     }},
    {"INVALID_PACKET_LENGTH", "bad-packet", false, [](Bench&, Stream& s, const Memory& out) {
       // WRITE_DATA without its last words: the next packet's header would be data.
       s.words.insert(s.words.end(), {0xc001'3700, 0x0010'0500, u32(out.va)});
     }},
    {"INVALID_PACKET_LENGTH_OVERSIZE", "bad-packet", false, [](Bench&, Stream& s, const Memory& out) {
       s.words.insert(s.words.end(), {0xffff'3700 & ~0xc000'0000u, 0x0010'0500, u32(out.va), u32(out.va >> 32), 1});
       s.words[s.words.size() - 5] |= 0xc000'0000;
     }},
    {"BAD_REG_ADDRESS", "unknown-register", false, [](Bench&, Stream& s, const Memory&) {
       const u32 value = 0xdead;
       s.packet(pm4::SetUconfigReg{.reg_offset = 0x7f0, .values = {&value, 1}});
     }},
    {"BAD_MEM_ADDRESS", "unmapped", true, [](Bench&, Stream& s, const Memory&) {
       const u32 value = 0xdead;
       s.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = nowhere, .data = {&value, 1}});
     }},
    {"BAD_MEM_ADDRESS_BY_SYNC", "unmapped", true, [](Bench&, Stream& s, const Memory&) {
       s.packet(pm4::WaitRegMem{.function = 3, .mem_space = 1, .address = nowhere, .reference = 1, .mask = ~0u});
     }},
    {"INVALID_SHADER", "", false, [](Bench& bench, Stream& s, const Memory& out) {
       // Words that are no instruction.
       Stream words;
       words.words.assign(page / 4, 0xffff'ffff);
       const Memory bad = bench.place(words);
       launch_with(bench, s, out, [&](Stream& t) {
         t.set(reg::compute_pgm_lo{.data = u32(bad.va >> 8)});
         t.set(reg::compute_pgm_hi{.data = u32(bad.va >> 40)});
       });
     }},
    {"INVALID_PROGRAM_ADDR", "no-exec", true, [](Bench& bench, Stream& s, const Memory& out) {
       launch_with(bench, s, out, [](Stream& t) {
         t.set(reg::compute_pgm_lo{.data = u32(nowhere >> 8)});
         t.set(reg::compute_pgm_hi{.data = u32(nowhere >> 40)});
       });
     }},
    {"INVALID_PROGRAM_SETTING", "bad-dispatch", false, [](Bench& bench, Stream& s, const Memory& out) {
       launch_with(bench, s, out, [](Stream& t) { t.set(reg::compute_num_thread_x{.num_thread_full = 0}); });
     }},
    {"INVALID_USER_DATA", "unmapped", true, [](Bench& bench, Stream& s, const Memory& out) {
       launch_with(bench, s, out, [](Stream& t) {
         t.set(reg::compute_user_data_0{.data = u32(nowhere)});
         t.set(reg::compute_user_data_1{.data = u32(nowhere >> 32)});
       });
     }},
};

}  // namespace

TEST_CASE("igt's classes of error: the guilty job times out, innocent work goes on") {
  for (const Class& row : classes) {
    INFO(row.name);
    Bench bench;
    Memory out = bench.memory(page), flag = bench.memory(page);
    const u32 innocent = bench.new_context();
    // Innocent work that is on the ring when it hangs.
    Stream waiting = bench.begun();
    waiting.packet(pm4::WaitRegMem{.function = pm4::WaitRegMem::equal, .mem_space = 1, .address = flag.va, .reference = 1,
                                   .mask = ~0u});
    bench.launch(waiting, {.kernel = "fill", .out = flag.va + 256, .number = 5});
    const i64 held = bench.submit(waiting, 0, 0, innocent);

    Stream bad = bench.begun();
    row.spoil(bench, bad, out);
    const u64 faults = fault_count();
    CHECK(bench.run(bad) == -ETIME);
    INFO(last_fault());
    CHECK(fault_count() == faults + 1);
    CHECK(last_fault().find("\"kind\":\"" + std::string(row.kind)) != std::string::npos);
    CHECK(bench.state(bench.context) == (AMDGPU_CTX_QUERY2_FLAGS_RESET | AMDGPU_CTX_QUERY2_FLAGS_GUILTY));
    CHECK(bench.state(innocent) == AMDGPU_CTX_QUERY2_FLAGS_RESET);
    struct GpuvmFault { u64 va; u32 status, hub; } fault{};
    REQUIRE(amdgpu_query_info(bench.device, 0x23, sizeof fault, &fault) == 0);
    CHECK((fault.status != 0) == row.is_page_fault);
    if (row.is_page_fault) CHECK(fault.va == nowhere);

    *static_cast<volatile u32*>(flag.words) = 1;
    CHECK(bench.wait(held, 20'000'000'000, 0, innocent) == 0);
    CHECK(flag.words[64] == 5);
    CHECK(bench.submit(bench.begun()) == -ETIME);              // until the client makes a new context
    bench.context = bench.new_context();
    Stream good = bench.begun();
    bench.launch(good, {.kernel = "fill", .out = out.va, .number = 9});
    CHECK(bench.run(good) == 0);
    CHECK(out.words[0] == 9);
    bench.free(out);
    bench.free(flag);
  }
}
