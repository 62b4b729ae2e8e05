// PM4: what each packet does, and that what is not understood is refused with its name.
#include <string.h>

#include <catch2/catch.hpp>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

Stream& raw(Stream& s, std::initializer_list<u32> words) {
  s.words.insert(s.words.end(), words);
  return s;
}

void expect_bad(Bench& bench, const char* kind, std::initializer_list<u32> words) {
  Stream s = bench.begun();
  bench.run_bad(raw(s, words), kind);
}

}  // namespace

TEST_CASE("packets that are not understood are named") {
  Bench bench;
  expect_bad(bench, "bad-packet", {0xc000ee00, 0});                     // unknown opcode
  expect_bad(bench, "bad-packet", {0x80000000, 0});                     // type 2
  expect_bad(bench, "bad-packet", {0xc0004200, 0});                     // PFP_SYNC_ME
  expect_bad(bench, "bad-packet", {0xc0014600, 0x407, 0});              // EVENT_WRITE, wrong length
  expect_bad(bench, "bad-packet", {0xc0004600, 0x80000407});            // reserved bit
  expect_bad(bench, "bad-packet", {0xc0004600, 0x007});                 // CS_PARTIAL_FLUSH with index 0
  expect_bad(bench, "bad-packet", {0xc0004601, 0x407});                 // predicated
  expect_bad(bench, "unsupported-packet", {0xc0004600, 0x133});         // thread trace
  expect_bad(bench, "unknown-register", {0xc0017600, 0x3f0, 0});
  expect_bad(bench, "reserved-bits", {0xc0017600, 0x20d, 0xffffffff});  // PGM_HI has 8 bits
  expect_bad(bench, "unknown-register", {0xc0017600, 0x200, 1});        // the initiator is the packet's
  expect_bad(bench, "bad-packet", {0xc0064902, 0x528, 0x60000000, 0, 0, 0, 0, 0});   // SHADER_TYPE on RELEASE_MEM
  expect_bad(bench, "bad-packet", {0xc7ff1000, 0});                     // runs past the end
}

TEST_CASE("indirect buffers: padding, alignment, chaining") {
  Bench bench;
  Memory ib = bench.memory(page), next = bench.memory(page), out = bench.memory(page);
  for (u32 i = 0; i < page / 4; ++i) ib.words[i] = next.words[i] = 0xffff1000;
  const auto submit = [&](u64 va, u32 bytes) {
    drm_amdgpu_cs_chunk_ib data{};
    data.va_start = va;
    data.ib_bytes = bytes;
    data.ip_type = AMDGPU_HW_IP_COMPUTE;
    drm_amdgpu_cs_chunk chunk{AMDGPU_CHUNK_ID_IB, sizeof data / 4, u64(&data)};
    u64 pointer = u64(&chunk);
    drm_amdgpu_cs cs{};
    cs.in = {.ctx_id = bench.context, .bo_list_handle = 0, .num_chunks = 1, .flags = 0, .chunks = u64(&pointer)};
    REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_CS, &cs) == 0);
    const int result = bench.wait(i64(cs.out.handle));
    if (result) bench.context = bench.new_context();
    return result;
  };
  CHECK(submit(ib.va, 32) == 0);
  CHECK(submit(ib.va, 28) == -ETIME);
  CHECK(last_fault().find("ib-padding") != std::string::npos);
  CHECK(submit(ib.va + 4, 32) == -ETIME);
  CHECK(last_fault().find("ib-alignment") != std::string::npos);
  CHECK(submit(0x7000'0000, 32) == -ETIME);
  CHECK(last_fault().find("unmapped") != std::string::npos);

  Stream first, second;
  first.packet(pm4::IndirectBuffer{.address = next.va, .size_dw = 16, .chain = 1, .valid = 1}).pad();
  const u32 value = 5;
  second.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = out.va, .data = {&value, 1}});
  memcpy(ib.words, first.words.data(), first.words.size() * 4);
  memcpy(next.words, second.words.data(), second.words.size() * 4);
  CHECK(submit(ib.va, 32) == 0);
  CHECK(out.words[0] == 5);
  ib.words[3] &= ~(1u << 20);                                           // CHAIN off
  CHECK(submit(ib.va, 32) == -ETIME);
  CHECK(last_fault().find("INDIRECT_BUFFER") != std::string::npos);
  bench.free(ib);
  bench.free(next);
  bench.free(out);
}

TEST_CASE("the command processor moves data") {
  Bench bench;
  Memory m = bench.memory(page);
  const u32 pair[] = {0x11, 0x22};
  Stream s = bench.begun();
  s.packet(pm4::WriteData{.dst_sel = 5, .wr_confirm = 1, .address = m.va, .data = pair});
  s.packet(pm4::CopyData{.src_sel = 2, .dst_sel = 2, .count_sel = 1, .wr_confirm = 1, .source = m.va,
                         .destination = m.va + 16});
  s.packet(pm4::CopyData{.src_sel = 5, .dst_sel = 5, .source = 0x33, .destination = m.va + 24});
  s.packet(pm4::DmaData{.dst_sel = 3, .src_sel = 3, .cp_sync = 1, .source = m.va, .destination = m.va + 32,
                        .byte_count = 28});
  s.packet(pm4::DmaData{.dst_sel = 3, .src_sel = 2, .cp_sync = 1, .source = 0x55, .destination = m.va + 64,
                        .byte_count = 8});
  s.packet(pm4::AtomicMem{.atomic = 0x4f, .address = m.va, .source_data = 5});                       // add
  s.packet(pm4::AtomicMem{.atomic = 0x48, .address = m.va + 4, .source_data = 9, .compare_data = 0x22});   // swaps
  s.packet(pm4::AtomicMem{.atomic = 0x48, .address = m.va + 4, .source_data = 1, .compare_data = 0x22});   // does not
  // COND_EXEC over a zero skips the next packet (5 dwords), over a one it does not.
  s.packet(pm4::CondExec{.address = m.va + 128, .exec_count = 5});
  s.packet(pm4::WriteData{.dst_sel = 5, .address = m.va + 132, .data = {pair, 1}});
  s.packet(pm4::CondExec{.address = m.va, .exec_count = 5});
  s.packet(pm4::WriteData{.dst_sel = 5, .address = m.va + 136, .data = {pair, 1}});
  REQUIRE(bench.run(s) == 0);
  CHECK(m.words[0] == 0x16);
  CHECK(m.words[1] == 9);
  CHECK(m.words[4] == 0x11);
  CHECK(m.words[5] == 0x22);
  CHECK(m.words[6] == 0x33);
  CHECK(m.words[8] == 0x11);
  CHECK(m.words[14] == 0x33);
  CHECK(m.words[16] == 0x55);
  CHECK(m.words[17] == 0x55);
  CHECK(m.words[33] == 0);
  CHECK(m.words[34] == 0x11);
  bench.free(m);
}

TEST_CASE("COPY_DATA moves between memory and the registers of a dispatch") {
  Bench bench;
  Memory out = bench.memory(page), numbers = bench.memory(page);
  numbers.words[0] = 40;
  constexpr u32 number = reg::compute_user_data_4::address / 4;
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 1});
  s.barrier();
  s.packet(pm4::CopyData{.src_sel = pm4::CopyData::src_l2, .dst_sel = pm4::CopyData::dst_register, .wr_confirm = 1,
                         .source = numbers.va, .destination = number});
  s.packet(pm4::DispatchDirect{.dim_x = 1, .dim_y = 1, .dim_z = 1,
                               .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1, .cs_w32_en = 1}});
  s.packet(pm4::CopyData{.src_sel = pm4::CopyData::src_register, .dst_sel = pm4::CopyData::dst_l2, .wr_confirm = 1,
                         .source = number, .destination = numbers.va + 8});
  REQUIRE(bench.run(s) == 0);
  CHECK(out.words[1] == 41);
  CHECK(numbers.words[2] == 40);
  Stream unset = bench.stream();
  unset.packet(pm4::CopyData{.src_sel = pm4::CopyData::src_register, .dst_sel = pm4::CopyData::dst_l2, .wr_confirm = 1,
                             .source = number, .destination = numbers.va + 8});
  bench.run_bad(unset, "unset-register");
  Stream beyond = bench.stream();
  beyond.packet(pm4::CopyData{.src_sel = pm4::CopyData::src_immediate, .dst_sel = pm4::CopyData::dst_register,
                              .wr_confirm = 1, .source = 1, .destination = 0x2004});
  bench.run_bad(beyond, "unknown-register");
  bench.free(out);
  bench.free(numbers);
}

TEST_CASE("timestamps grow, count at 99.81 MHz, and fit INFO's clock") {
  Bench bench;
  Memory m = bench.memory(page), out = bench.memory(page);
  u64 before = 0, after = 0;
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_TIMESTAMP, 8, &before) == 0);
  const auto stamp = [&](u64 va) {
    return pm4::ReleaseMem{.event_type = 0x28, .event_index = 5, .int_sel = 3, .data_sel = 3, .address = va};
  };
  Stream s = bench.begun();
  s.packet(stamp(m.va));
  bench.launch(s, {.kernel = "busy", .number = 10000});
  s.packet(stamp(m.va + 8));
  REQUIRE(bench.run(s) == 0);
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_TIMESTAMP, 8, &after) == 0);
  const auto* stamps = reinterpret_cast<const u64*>(m.words);
  CHECK(stamps[0] >= before);
  CHECK(stamps[1] > stamps[0]);
  CHECK(after >= stamps[1]);
  bench.free(m);
  bench.free(out);
}

TEST_CASE("DISPATCH_INDIRECT reads its grid, thread dimensions cut the last workgroup") {
  Bench bench;
  Memory args = bench.memory(page), out = bench.memory(page);
  args.words[0] = 3;
  args.words[1] = args.words[2] = 1;
  Stream s = bench.begun();
  bench.launch(s, {.kernel = "fill", .out = out.va, .number = 1, .groups = 0});     // sets the registers, runs nothing
  s.packet(pm4::DispatchIndirect{.address = args.va, .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1,
                                                                   .cs_w32_en = 1}});
  REQUIRE(bench.run(s) == 0);
  CHECK(out.words[95] == 96);
  CHECK(out.words[96] == 0);
  Stream lanes = bench.begun();
  bench.launch(lanes, {.kernel = "fill", .out = out.va, .number = 1000, .groups = 0});
  lanes.packet(pm4::DispatchDirect{.dim_x = 40, .dim_y = 1, .dim_z = 1,
                                   .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1,
                                                 .use_thread_dimensions = 1, .cs_w32_en = 1}});
  REQUIRE(bench.run(lanes) == 0);
  CHECK(out.words[39] == 1039);
  CHECK(out.words[40] == 41);                       // as the first dispatch left it
  bench.free(args);
  bench.free(out);
}

TEST_CASE("a dispatch that uses a register which its job did not set is a fault naming it") {
  Bench bench;
  Memory out = bench.memory(page);
  struct Row { u32 address; const char* name; };
  for (const Row& row : {Row{reg::compute_pgm_lo::address, "COMPUTE_PGM_LO"},
                         {reg::compute_pgm_hi::address, "COMPUTE_PGM_HI"},
                         {reg::compute_pgm_rsrc1::address, "COMPUTE_PGM_RSRC1"},
                         {reg::compute_pgm_rsrc2::address, "COMPUTE_PGM_RSRC2"},
                         {reg::compute_pgm_rsrc3::address, "COMPUTE_PGM_RSRC3"},
                         {reg::compute_num_thread_y::address, "COMPUTE_NUM_THREAD_Y"},
                         {reg::compute_resource_limits::address, "COMPUTE_RESOURCE_LIMITS"},
                         {reg::compute_static_thread_mgmt_se1::address, "COMPUTE_STATIC_THREAD_MGMT_SE1"}}) {
    Stream s;
    s.left_out = row.address;
    s.flush().acquire().state();
    bench.launch(s, {.kernel = "fill", .out = out.va});
    CHECK(bench.run_bad(s, "unset-register").find(row.name) != std::string::npos);
  }
  Stream no_user_data;
  no_user_data.left_out = reg::compute_user_data_4::address;
  no_user_data.flush().acquire().state();
  Stream unread = no_user_data;
  bench.launch(no_user_data, {.kernel = "fill", .out = out.va});
  CHECK(bench.run_bad(no_user_data, "uninitialised-register").find("s4") != std::string::npos);
  bench.launch(unread, {.kernel = "nothing", .out = out.va});
  CHECK(bench.run(unread) == 0);
  Stream start = bench.begun();
  bench.launch(start, {.kernel = "fill", .out = out.va, .groups = 0});
  start.packet(pm4::DispatchDirect{.dim_x = 1, .dim_y = 1, .dim_z = 1,
                                   .initiator = {.compute_shader_en = 1, .cs_w32_en = 1}});
  CHECK(bench.run_bad(start, "unset-register").find("COMPUTE_START_X") != std::string::npos);
  bench.free(out);
}
