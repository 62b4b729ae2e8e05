// The rows of driver/tables: encodings against literals from the kernel, Mesa and AMD's headers; reader = writer^-1.
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "driver/tables/tables.h"
#include "tests/seed.h"

using namespace amlm;

namespace {

template <class Packet>
std::vector<u32> words_of(const Packet& packet) {
  std::vector<u32> words;
  packet.write(words);
  return words;
}

}  // namespace

TEST_CASE("dispatch packets") {
  // radeonsi's initiator (SHADER_EN, FORCE_START, ORDER_MODE, CS_W32) and RADV's, which adds TUNNEL; bit 1 of the
  // header says compute shader.
  const auto direct = words_of(pm4::DispatchDirect{
      .dim_x = 7, .dim_y = 2, .dim_z = 1,
      .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1, .order_mode = 1, .cs_w32_en = 1}});
  CHECK(direct == std::vector<u32>{0xC0031502, 7, 2, 1, 0x8045});
  const reg::compute_dispatch_initiator radv{
      .compute_shader_en = 1, .force_start_at_000 = 1, .order_mode = 1, .tunnel_enable = 1, .cs_w32_en = 1};
  CHECK(radv.word() == 0xA045);
  const auto indirect =
      words_of(pm4::DispatchIndirect{.address = 0x123456789abc, .initiator = {.compute_shader_en = 1}});
  CHECK(indirect == std::vector<u32>{0xC0021602, 0x56789abc, 0x1234, 1});
}

TEST_CASE("barriers and caches") {
  CHECK(words_of(pm4::EventWrite{.event_type = pm4::EventWrite::cs_partial_flush,
                                 .event_index = pm4::EventWrite::index_partial_flush}) ==
        std::vector<u32>{0xC0004600, 0x407});
  // dispatch to dispatch (RADV), all caches (RADV's preamble, the kernel's EMIT_MEM_SYNC)
  CHECK(reg::gcr_cntl{.glk_inv = 1, .glv_inv = 1, .gl1_inv = 1}.word() == 0x380);
  CHECK(reg::gcr_cntl{.gli_inv = reg::gcr_cntl::gli_inv_all, .glm_wb = 1, .glm_inv = 1, .glk_inv = 1, .glv_inv = 1,
                      .gl1_inv = 1, .gl2_inv = 1, .gl2_wb = 1}.word() == 0xC3B1);
  CHECK(words_of(
            pm4::AcquireMem{.size_lo = ~0u, .size_hi = 0xffffff, .poll_interval = 10, .gcr_cntl = {.glk_inv = 1}}) ==
        std::vector<u32>{0xC0065800, 0, ~0u, 0xffffff, 0, 0, 10, 0x80});
}

TEST_CASE("release_mem") {
  // the kernel's fence: gfx_v11_0_ring_emit_fence
  const auto fence = words_of(pm4::ReleaseMem{
      .event_type = pm4::ReleaseMem::cache_flush_and_inv_ts, .event_index = pm4::ReleaseMem::index_end_of_pipe,
      .glm_wb = 1, .glm_inv = 1, .gl2_wb = 1, .seq = pm4::ReleaseMem::seq_forward,
      .cache_policy = pm4::ReleaseMem::policy_bypass, .int_sel = pm4::ReleaseMem::int_after_confirm,
      .data_sel = pm4::ReleaseMem::data_64_bit, .address = 0x1000, .data = 0x100000002});
  CHECK(fence == std::vector<u32>{0xC0064900, 0x06603514, 0x42000000, 0x1000, 0, 2, 1, 0});
  // tinygrad's signal
  const auto signal = words_of(pm4::ReleaseMem{
      .event_type = 0x14, .event_index = 5, .glm_wb = 1, .glm_inv = 1, .glv_inv = 1, .gl1_inv = 1, .gl2_inv = 1,
      .gl2_wb = 1, .seq = 1});
  CHECK(signal[1] == 0x0070F514);
}

TEST_CASE("headers of driver.md 2.1") {
  CHECK(packet_header(0x10, 0) == 0xFFFF1000);
  CHECK(words_of(pm4::Nop{}) == std::vector<u32>{0xFFFF1000});
  CHECK(words_of(pm4::AtomicMem{})[0] == 0xC0071E00);
  CHECK(words_of(pm4::CondExec{})[0] == 0xC0032200);
  CHECK(words_of(pm4::WaitRegMem{})[0] == 0xC0053C00);
  CHECK(words_of(pm4::IndirectBuffer{.address = 64, .size_dw = 8, .valid = 1}) ==
        std::vector<u32>{0xC0023F00, 64, 0, 0x800008});
  CHECK(words_of(pm4::CopyData{
            .src_sel = pm4::CopyData::src_gpu_clock, .dst_sel = pm4::CopyData::dst_l2, .count_sel = 1})[1] ==
        0x10209);
  CHECK(words_of(pm4::CopyData{})[0] == 0xC0044000);
  CHECK(words_of(pm4::DmaData{})[0] == 0xC0055000);
  CHECK(words_of(pm4::Rewind{})[0] == 0xC0005900);
  const u32 data[] = {1, 2, 3};
  CHECK(words_of(pm4::WriteData{.dst_sel = pm4::WriteData::dst_memory, .wr_confirm = 1, .address = 8, .data = data}) ==
        std::vector<u32>{0xC0053700, 0x100500, 8, 0, 1, 2, 3});
  CHECK(words_of(pm4::SetShReg{.reg_offset = 0x240, .values = data})[0] == 0xC0037600);
  CHECK(words_of(pm4::SetUconfigReg{.reg_offset = 0x380, .values = std::span(data).first(2)})[0] == 0xC0027900);
}

TEST_CASE("register addresses and offsets") {
  const auto offset = [](u32 address, RegisterSpace space) { return (address - space_base(space)) / 4; };
  CHECK(offset(reg::compute_start_x::address, reg::compute_start_x::space) == 0x204);
  CHECK(offset(reg::compute_pgm_rsrc3::address, RegisterSpace::sh) == 0x228);
  CHECK(offset(reg::compute_user_data_15::address, RegisterSpace::sh) == 0x24F);
  CHECK(offset(reg::compute_dispatch_tunnel::address, RegisterSpace::sh) == 0x27D);
  CHECK(offset(reg::ta_cs_bc_base_addr::address, RegisterSpace::uconfig) == 0x380);
  REQUIRE(find_register(0xB84C) != nullptr);
  CHECK(find_register(0xB84C)->name == "COMPUTE_PGM_RSRC2");
  CHECK(find_register("COMPUTE_TMPRING_SIZE")->address == 0xB860);
  CHECK(find_register(0xB84D) == nullptr);
  CHECK(find_register(0xBFFC) == nullptr);
  CHECK(find_register(0x10) == nullptr);
  // LLVM 19: a bare .amdhsa_kernel with 128 VGPRs has RSRC1 0x60ac000f
  const auto rsrc1 = reg::compute_pgm_rsrc1::read(0x60ac000f);
  CHECK(rsrc1.vgprs == 15);
  CHECK(rsrc1.float_mode == 0xC0);
  CHECK((rsrc1.dx10_clamp == 1 && rsrc1.ieee_mode == 1 && rsrc1.wgp_mode == 1 && rsrc1.mem_ordered == 1));
  CHECK(rsrc1.word() == 0x60ac000f);
}

TEST_CASE("rows are consistent") {
  std::set<std::string> names;
  std::set<u32> addresses;
  const auto fields_are_apart = [](const auto& fields) {
    u32 seen = 0;
    for (const auto& field : fields) {
      CHECK(field.width >= 1);
      CHECK(field.shift + field.width <= 32);
      CHECK((seen & field.mask()) == 0);
      seen |= field.mask();
      for (const auto& value : field.values) CHECK((u64(value.value) << field.shift & ~u64(field.mask())) == 0);
    }
  };
  for (const auto& row : register_rows()) {
    CHECK(names.insert(row.name).second);
    CHECK(addresses.insert(row.address).second);
    CHECK(row.address >= space_base(row.space));
    CHECK(row.address < space_end(row.space));
    fields_are_apart(row.fields);
  }
  std::set<u32> opcodes;
  for (const auto& row : packet_rows()) {
    CHECK(names.insert(row.name).second);
    CHECK(opcodes.insert(row.opcode).second);
    for (const auto& dword : row.dwords) fields_are_apart(dword.fields);
    CHECK(find_packet(row.name) == &row);
  }
}

// Every packet row: random words inside its fields parse without a problem; its struct gives them back.
TEST_CASE("writer gives back what the reader read") {
  const u32 seed = test_seed();
  INFO("AMLM_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  u32 packets = 0;
  for (int round = 0; round < 200; round++) {
#define UNWANTED(name, opcode, why)
#define PACKET(Struct, number) { \
    const PacketRow& row = *find_packet(u32(number)); \
    std::vector<u32> words{0}; \
    for (const auto& dword : row.dwords) \
      if (dword.kind == DwordKind::bits) words.push_back(u32(random()) & ~reserved_bits(dword.fields, ~0u)); \
      else if (dword.kind != DwordKind::tail) words.push_back(u32(random())); \
    if (row.has_tail) for (u32 i = random() % 5; i > 0; i--) words.push_back(u32(random())); \
    words[0] = words.size() == 1 && number != 0x10 ? 0 : packet_header(number, u32(words.size() - 1)); \
    const ParsedPacket parsed = parse_packet(words); \
    INFO(row.name); \
    CHECK(parsed.problem == nullptr); \
    CHECK(parsed.length_dw == words.size()); \
    CHECK(words_of(pm4::Struct::read(parsed.body)) == words); \
    packets++; \
  }
#define DWORD(name)
#define ADDRESS(name)
#define WIDE(name)
#define BITS(name)
#define FIELD(name, shift, width)
#define VALUE(name, number)
#define END_BITS
#define REG(name, layout)
#define TAIL(name)
#define END
#include "driver/tables/packets.inc"
#undef END
  }
  CHECK(packets > 200 * 15);
  u32 registers = 0;
#define REGISTER(Struct, byte_address, register_space) { \
    const auto& row = *find_register(u32(byte_address)); \
    const u32 word = u32(random()) & ~reserved_bits(row.fields, ~0u); \
    INFO(row.name); \
    CHECK(reg::Struct::read(word).word() == word); \
    CHECK(reg::Struct::address == row.address); \
    registers++; \
  }
#define LAYOUT(name)
#define END
#include "driver/tables/registers.inc"
  CHECK(registers == register_rows().size());
}

TEST_CASE("the parser names what is wrong") {
  const auto problem = [](std::vector<u32> words) {
    const char* text = parse_packet(words).problem;
    return std::string(text == nullptr ? "" : text);
  };
  CHECK(problem({0xFFFF1000}).empty());
  CHECK(problem({0xC0001000, 1}).empty());
  CHECK(problem({0x80000000}) == "not a type-3 packet");
  CHECK(problem({0xC0031500, 1, 1, 1}) == "runs past the end of the indirect buffer");
  CHECK(problem({0xC0021500, 1, 1, 1}) == "wrong length");
  CHECK(problem({0xC0006100, 1}) == "unknown opcode");
  CHECK(problem({0xC0004200, 0}) == "graphics ring only");
  CHECK(problem({0xC0004600, 0x40000407}) == "reserved bits are set");
  CHECK(parse_packet(std::vector<u32>{0xC0031500, 1}).length_dw == 2);
}

TEST_CASE("fields print by name") {
  CHECK(print_fields(find_register("COMPUTE_PGM_RSRC2")->fields, 0x90 | 1u << 31) ==
        "user_sgpr=8 tgid_x_en=1 reserved=0x80000000");
  CHECK(print_fields(find_packet("EVENT_WRITE")->dwords[0].fields, 0x407) ==
        "event_type=cs_partial_flush event_index=index_partial_flush");
}
