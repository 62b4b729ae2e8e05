// Indirect buffers: what IbBuilder writes, and how it prints.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "driver/ib.h"
#include "driver/tables/tables.h"
#include "tests/seed.h"

using namespace amlm;

namespace {

constexpr u64 ib_va = 0x100000;

Kernel example_kernel() {
  // 16 VGPRs, wave32, workgroup id x and y, 3 lines of instruction prefetch, 700 bytes of LDS
  return {.name = "scale", .code_va = 0x7f0000001200, .code_bytes = 0x80, .rsrc1 = 0x40af0001, .rsrc2 = 2 << 1 | 3 << 7,
          .rsrc3 = 3 << 4, .kernarg_bytes = 16, .lds_bytes = 700, .wave_lanes = 32, .group_lanes = 256};
}

struct Parsed {
  std::vector<ParsedPacket> packets;
  std::map<std::string, u32> registers;            // the last value of each
  u32 register_writes = 0;
};

// Fails the test on any packet or register that the tables refuse.
Parsed parse(std::span<const u32> words) {
  Parsed result;
  for (std::size_t at = 0; at < words.size();) {
    const auto packet = parse_packet(words.subspan(at));
    INFO("dword " << at);
    REQUIRE(packet.problem == nullptr);
    if (packet.opcode == pm4::SetShReg::opcode) {
      const auto set = pm4::SetShReg::read(packet.body);
      for (u32 i = 0; i < set.values.size(); i++) {
        const auto* row = find_register(space_base(RegisterSpace::sh) + (set.reg_offset + i) * 4);
        REQUIRE(row != nullptr);
        CHECK(reserved_bits(row->fields, set.values[i]) == 0);
        result.registers[row->name] = set.values[i];
        result.register_writes++;
      }
    }
    result.packets.push_back(packet);
    at += packet.length_dw;
  }
  return result;
}

// Made by this test itself: what it prints when it fails.
std::string golden() {
  std::ifstream file(PRINT_IB_TEXT);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<u32> opcodes(const Parsed& parsed) {
  std::vector<u32> list;
  for (const auto& packet : parsed.packets)
    if (packet.opcode != pm4::SetShReg::opcode) list.push_back(packet.opcode);
  return list;
}

}  // namespace

TEST_CASE("an IB starts with a flush and all caches, and ends padded") {
  std::vector<u32> memory(256, 0xdeadbeef);
  IbBuilder ib(memory, ib_va);
  ib.begin();
  const auto view = ib.finish();
  CHECK(view.va == ib_va);
  CHECK(view.size_bytes % 32 == 0);
  CHECK(memory[0] == 0xC0004600);
  CHECK(memory[1] == 0x407);
  CHECK(std::vector<u32>(memory.begin() + 2, memory.begin() + 10) ==
        std::vector<u32>{0xC0065800, 0, ~0u, 0xffffff, 0, 0, 10, 0xC3B1});
  CHECK(memory[view.size_bytes / 4] == 0xdeadbeef);
  parse(std::span(memory).first(view.size_bytes / 4));
}

TEST_CASE("padding is one NOP of any length") {
  for (u32 signals = 0; signals < 8; signals++) {
    std::vector<u32> memory(256);
    IbBuilder ib(memory, ib_va);
    ib.begin();                                        // 10 dwords
    for (u32 i = 0; i < signals; i++) ib.barrier();    // nothing: already synchronized
    const Kernel kernel = example_kernel();
    if (signals > 0) ib.dispatch({.kernel = &kernel, .groups = {signals, 1, 1}, .kernarg_va = 0x1000});
    for (u32 i = 0; i < signals; i++) ib.signal(0x2000, i), ib.barrier();
    const auto view = ib.finish();
    CHECK(view.size_bytes % 32 == 0);
    const auto parsed = parse(std::span(memory).first(view.size_bytes / 4));
    u32 nops = 0;
    for (const auto& packet : parsed.packets) nops += packet.opcode == pm4::Nop::opcode;
    CHECK(nops <= 1);
  }
}

TEST_CASE("a dispatch writes every register it uses, once") {
  std::vector<u32> memory(512);
  IbBuilder ib(memory, ib_va);
  const Kernel kernel = example_kernel();
  ib.begin();
  ib.dispatch({.kernel = &kernel, .groups = {8, 2, 1}, .kernarg_va = 0x1'2345'6780});
  const u32 first = parse(std::span(memory).first(ib.finish().size_bytes / 4)).register_writes;

  ib.begin();
  ib.dispatch({.kernel = &kernel, .groups = {8, 2, 1}, .kernarg_va = 0x1'2345'6780});
  ib.dispatch({.kernel = &kernel, .groups = {9, 2, 1}, .kernarg_va = 0x1'2345'6790});
  const auto parsed = parse(std::span(memory).first(ib.finish().size_bytes / 4));
  CHECK(parsed.register_writes == first + 1);          // USER_DATA_0 alone changed
  CHECK(ib.counts().dispatches == 2);
  CHECK(ib.counts().barriers == 0);

  // All that RADV, PAL and libdrm's tests program (driver.md 2.3), and what the dispatch itself needs.
  const std::map<std::string, u32> expected = {
      {"COMPUTE_START_X", 0}, {"COMPUTE_START_Y", 0}, {"COMPUTE_START_Z", 0},
      {"COMPUTE_NUM_THREAD_X", 256}, {"COMPUTE_NUM_THREAD_Y", 1}, {"COMPUTE_NUM_THREAD_Z", 1},
      {"COMPUTE_PGM_LO", 0x00000012}, {"COMPUTE_PGM_HI", 0x7f}, {"COMPUTE_DISPATCH_PKT_ADDR_LO", 0},
      {"COMPUTE_DISPATCH_PKT_ADDR_HI", 0}, {"COMPUTE_DISPATCH_SCRATCH_BASE_LO", 0},
      {"COMPUTE_DISPATCH_SCRATCH_BASE_HI", 0}, {"COMPUTE_PGM_RSRC1", 0x40af0001},
      {"COMPUTE_PGM_RSRC2", 2 << 1 | 3 << 7 | 2 << 15}, {"COMPUTE_PGM_RSRC3", 0x30},
      {"COMPUTE_RESOURCE_LIMITS", 0}, {"COMPUTE_STATIC_THREAD_MGMT_SE0", ~0u}, {"COMPUTE_STATIC_THREAD_MGMT_SE1", ~0u},
      {"COMPUTE_STATIC_THREAD_MGMT_SE2", 0}, {"COMPUTE_STATIC_THREAD_MGMT_SE3", 0},
      {"COMPUTE_STATIC_THREAD_MGMT_SE4", 0}, {"COMPUTE_STATIC_THREAD_MGMT_SE5", 0},
      {"COMPUTE_STATIC_THREAD_MGMT_SE6", 0}, {"COMPUTE_STATIC_THREAD_MGMT_SE7", 0}, {"COMPUTE_TMPRING_SIZE", 0},
      {"COMPUTE_RESTART_X", 0}, {"COMPUTE_RESTART_Y", 0}, {"COMPUTE_RESTART_Z", 0}, {"COMPUTE_REQ_CTRL", 0},
      {"COMPUTE_USER_ACCUM_0", 0}, {"COMPUTE_USER_ACCUM_1", 0}, {"COMPUTE_USER_ACCUM_2", 0},
      {"COMPUTE_USER_ACCUM_3", 0}, {"COMPUTE_SHADER_CHKSUM", 0}, {"COMPUTE_DISPATCH_INTERLEAVE", 64},
      {"COMPUTE_DISPATCH_TUNNEL", 0}, {"COMPUTE_USER_DATA_0", 0x23456790}, {"COMPUTE_USER_DATA_1", 1}};
  CHECK(parsed.registers == expected);
  CHECK(first == expected.size());
}

TEST_CASE("barriers stand only between dispatches") {
  std::vector<u32> memory(512);
  IbBuilder ib(memory, ib_va);
  const Kernel kernel = example_kernel();
  Kernel wide = kernel;
  wide.wave_lanes = 64;
  ib.begin();
  ib.barrier();
  ib.dispatch({.kernel = &kernel, .kernarg_va = 0x1000});
  ib.barrier();
  ib.barrier();
  ib.dispatch({.kernel = &wide, .group_lanes = {64, 2, 1}, .kernarg_va = 0x1000});
  ib.timestamp(0x2008);
  const auto view = ib.finish();
  CHECK(ib.counts().barriers == 1);
  CHECK(ib.counts().dwords * 4 == view.size_bytes);
  const auto parsed = parse(std::span(memory).first(view.size_bytes / 4));
  auto list = opcodes(parsed);
  if (list.back() == 0x10) list.pop_back();
  CHECK(list == std::vector<u32>{0x46, 0x58, 0x15, 0x46, 0x58, 0x15, 0x49});
  u32 seen = 0;
  for (const auto& packet : parsed.packets) {
    if (packet.opcode == 0x15) CHECK(packet.body[3] == (seen++ == 0 ? 0x8045 : 0x0045));
    if (packet.opcode == 0x15) CHECK(packet.shader_type);
    if (packet.opcode == 0x49) CHECK(packet.body[0] == 0x528);
    if (packet.opcode == 0x49) CHECK(packet.body[1] == (3u << 29 | 3u << 24));
    if (packet.opcode == 0x49) CHECK_FALSE(packet.shader_type);
  }
}

TEST_CASE("scratch: two shader engines share the waves, 256 bytes are a unit") {
  std::vector<u32> memory(512);
  IbBuilder ib(memory, ib_va);
  Kernel kernel = example_kernel();
  kernel.scratch_lane_bytes = 260;                     // 32 lanes: 8320 bytes, 33 units
  kernel.rsrc2 |= 1;
  DeviceFacts facts;
  facts.compute_units = 40;
  REQUIRE(kernel.scratch_wave_bytes() == 33 * 256);
  REQUIRE(scratch_bytes(kernel, facts) == 33 * 256 * 1280);
  ib.begin();
  ib.dispatch({.kernel = &kernel, .kernarg_va = 0x1000, .scratch = {0x123456789a00, scratch_bytes(kernel, facts)}});
  auto parsed = parse(std::span(memory).first(ib.finish().size_bytes / 4));
  CHECK(parsed.registers["COMPUTE_TMPRING_SIZE"] == (33 << 12 | 640));
  CHECK(parsed.registers["COMPUTE_DISPATCH_SCRATCH_BASE_LO"] == 0x3456789a);
  CHECK(parsed.registers["COMPUTE_DISPATCH_SCRATCH_BASE_HI"] == 0x12);
  CHECK((parsed.registers["COMPUTE_PGM_RSRC2"] & 1) == 1);
}

TEST_CASE("print_ib: the listing in print_ib.txt") {
  std::vector<u32> memory(512);
  IbBuilder ib(memory, ib_va);
  const Kernel kernel = example_kernel();
  ib.begin();
  ib.dispatch({.kernel = &kernel, .groups = {8, 1, 1}, .kernarg_va = 0x10040});
  ib.barrier();
  ib.dispatch({.kernel = &kernel, .groups = {4, 1, 1}, .kernarg_va = 0x10080});
  ib.signal(0x20000, 7);
  const auto view = ib.finish();
  const auto name_of = [](u64 va) -> std::string {
    return va == 0x7f0000001200 ? "kernels+0x1200" : va == 0x10040 ? "args+0x40" : "";
  };
  const std::string text = print_ib(std::span(memory).first(view.size_bytes / 4), view.va, name_of);
  CHECK(text == golden());
}

TEST_CASE("print_ib shows what it does not know") {
  const std::vector<u32> words = {0x80000000, 0xC0016100, 1,          2,          0xC0017600, 0x3ff,
                                  5,          0xC0004600, 0x40000407, 0xC0031500, 1};
  CHECK(print_ib(words) == R"(0x00000000  ?? 0x80000000  not a type-3 packet
0x00000004  ?? 0xc0016100  unknown opcode
              00000001 00000002
0x00000010  SET_SH_REG
              ?? register 0xbffc                 0x00000005
0x0000001c  EVENT_WRITE  !! reserved bits are set (header 0xc0004600)
              40000407
0x00000024  DISPATCH_DIRECT  !! runs past the end of the indirect buffer (header 0xc0031500)
              00000001
)");
}

TEST_CASE("print_ib reads any words to their end") {
  const u32 seed = test_seed();
  INFO("AMLM_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const auto rows = packet_rows();
  for (int round = 0; round < 2000; round++) {
    std::vector<u32> words(1 + random() % 64);
    for (auto& word : words) {
      word = u32(random());
      // Often a header of a known packet with a likely length, else hardly any would be read at all.
      if (random() % 3 == 0) word = 3u << 30 | (random() % 9) << 16 | u32(rows[random() % rows.size()].opcode) << 8;
    }
    std::size_t at = 0, lines = 0;
    for (; at < words.size(); lines++) at += parse_packet(std::span(words).subspan(at)).length_dw;
    REQUIRE(at == words.size());
    const std::string text = print_ib(words);
    std::size_t packets = text.starts_with("0x") ? 1 : 0;
    for (std::size_t i = 0; (i = text.find("\n0x", i)) != std::string::npos; i++) packets++;
    REQUIRE(packets == lines);
  }
}
