// Loads and stores of 32 lanes, LDS and global, in fast and strict mode: lanes in a row, four by four, evenly apart, the two
// halves alike, anywhere, one above the other; all lanes and some; over the address register.
#include <cstring>
#include <random>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/isa/machine.h"
#include "tests/seed.h"

namespace amlm::isa::test {

namespace {

constexpr u32 lanes = 32, memory_bytes = 2048, place = 16;   // place: the instructions' immediate offset

using Random = std::mt19937;
u32 below(Random& random, u32 limit) { return u32(random() % limit); }

struct Input {
  u32 offset[lanes], mask;
  u32 padding[31];
  u32 value[4][lanes];
};

enum class Pattern : u8 { anywhere, row, almost_row, fours, halves_alike, apart, halves_apart, one_place, count };

void make_offsets(Random& random, Pattern pattern, u32 bytes, Input& input) {
  const u32 limit = memory_bytes - place - 16, start = below(random, limit - lanes * bytes);
  const u32 apart = below(random, (limit - start) / lanes);
  u32 fours[lanes / 4];
  for (u32& four : fours) four = below(random, limit - 48);
  for (u32 i = 0; i < lanes; ++i) {
    switch (pattern) {
      case Pattern::row: case Pattern::almost_row: input.offset[i] = start + i * bytes; break;
      case Pattern::fours: input.offset[i] = fours[i / 4] + i % 4 * 16; break;
      case Pattern::halves_alike: input.offset[i] = i < 16 ? below(random, limit) : input.offset[i - 16]; break;
      case Pattern::apart: input.offset[i] = start + i * apart; break;
      case Pattern::halves_apart: input.offset[i] = start + i % 16 * apart; break;
      case Pattern::one_place: input.offset[i] = start; break;
      default: input.offset[i] = below(random, limit);
    }
  }
  if (pattern == Pattern::almost_row) input.offset[1 + below(random, 31)] ^= 1;
}

u32 make_mask(Random& random, u32 kind) {
  constexpr u32 masks[] = {~0u, ~0u, 0xffff, 0xffff0000, 0xfffffffe, 0x7fffffff, 0x55555555, 0x00010001, 0};
  return kind < std::size(masks) ? masks[kind] : u32(random());
}

constexpr const char* prologue = R"(
  s_load_b128 s[4:7], s[0:1], 0
  s_load_b64 s[8:9], s[0:1], 16
  v_lshlrev_b32 v1, 2, v0
  v_lshlrev_b32 v10, 4, v0
  s_waitcnt lgkmcnt(0)
  s_load_b32 s10, s[4:5], 128
  global_load_b32 v2, v1, s[4:5]
  global_load_b32 v3, v1, s[4:5] offset:256
  global_load_b32 v4, v1, s[4:5] offset:384
  global_load_b32 v5, v1, s[4:5] offset:512
  global_load_b32 v6, v1, s[4:5] offset:640
  s_waitcnt vmcnt(0) lgkmcnt(0)
)";

std::string copy_memory_to_lds() {
  std::string text;
  for (u32 at = 0; at < memory_bytes; at += 512)
    text += fmt::format("global_load_b128 v[12:15], v10, s[6:7] offset:{0}\ns_waitcnt vmcnt(0)\n"
                        "ds_store_b128 v10, v[12:15] offset:{0}\n", at);
  return text + "s_waitcnt lgkmcnt(0)\n";
}
std::string copy_lds_to_memory() {
  std::string text;
  for (u32 at = 0; at < memory_bytes; at += 512)
    text += fmt::format("ds_load_b128 v[12:15], v10 offset:{0}\ns_waitcnt lgkmcnt(0)\n"
                        "global_store_b128 v10, v[12:15], s[6:7] offset:{0}\n", at);
  return text;
}

// v[2:6] of every lane to `out`, 32 bytes apart.
constexpr const char* epilogue = R"(
  v_lshlrev_b32 v11, 5, v0
  global_store_b128 v11, v[2:5], s[8:9]
  global_store_b32 v11, v6, s[8:9] offset:16
  s_endpgm
)";

struct Access {
  std::string name;     // of the opcode behind global_ or ds_
  u32 bytes;
  bool store, lds;
  u32 first_register;   // 2: the address's own
};

std::string kernel_of(const Access& access) {
  const u32 last = access.first_register + std::max(access.bytes / 4, 1u) - 1;
  const std::string data = access.bytes <= 4 ? fmt::format("v{}", access.first_register)
                                             : fmt::format("v[{}:{}]", access.first_register, last);
  const std::string operands = access.store ? "v2, " + data : data + ", v2";
  const std::string instruction = fmt::format("{}_{} {}{} offset:{}", access.lds ? "ds" : "global", access.name, operands,
                                              access.lds ? "" : ", s[6:7]", place);
  return prologue + (access.lds ? copy_memory_to_lds() : "") + "s_mov_b32 exec_lo, s10\n" + instruction +
         "\ns_mov_b32 exec_lo, -1\ns_waitcnt vmcnt(0) lgkmcnt(0)\n" +
         (access.store && access.lds ? copy_lds_to_memory() : "") + epilogue;
}

struct State {
  u8 memory[memory_bytes];
  u32 reg[5][lanes];   // v2 ..
};

void expect(const Access& access, const Input& input, State& state) {
  for (u32 i = 0; i < lanes; ++i) {
    if ((input.mask >> i & 1) == 0) continue;
    u8* at = state.memory + input.offset[i] + place;
    u32 words[4] = {};
    if (access.store) {
      for (u32 k = 0; k < std::max(access.bytes / 4, 1u); ++k) words[k] = state.reg[access.first_register - 2 + k][i];
      std::memcpy(at, words, access.bytes);
    } else {
      std::memcpy(words, at, access.bytes);
      for (u32 k = 0; k < std::max(access.bytes / 4, 1u); ++k) state.reg[access.first_register - 2 + k][i] = words[k];
    }
  }
}

bool agrees(const State& state, const TestBuffer& memory, const u32* out) {
  if (std::memcmp(state.memory, memory.bytes.data(), memory_bytes) != 0) return false;
  for (u32 i = 0; i < lanes; ++i)
    for (u32 k = 0; k < 5; ++k)
      if (out[i * 8 + k] != state.reg[k][i]) return false;
  return true;
}

// The kernel of an access and its buffers.
struct Bed {
  Machine machine;
  TestBuffer& input_buffer = machine.buffer("input", sizeof(Input));
  TestBuffer& memory = machine.buffer("memory", memory_bytes);
  TestBuffer& out = machine.buffer("out", lanes * 32);
  TestBuffer& arguments = machine.buffer("arguments", 24);
  Input& input = *input_buffer.as<Input>();
  Dispatch dispatch;

  explicit Bed(const Access& access) {
    const u64 addresses[] = {input_buffer.va, memory.va, out.va};
    std::memcpy(arguments.bytes.data(), addresses, sizeof addresses);
    dispatch = dispatch_of({.code_va = machine.code(assemble(kernel_of(access))),
                            .arguments = arguments.va, .lds_bytes = memory_bytes});
  }
};

void check_access(const Access& access, Random& random) {
  Bed bed(access);
  Machine& machine = bed.machine;
  TestBuffer& memory = bed.memory;
  Input& input = bed.input;
  for (u32 kind = 0; kind < 12; ++kind) {
    for (u32 pattern = 0; pattern < u32(Pattern::count); ++pattern) {
      make_offsets(random, Pattern(pattern), access.bytes, input);
      input.mask = make_mask(random, kind);
      State state;
      for (u8& byte : state.memory) byte = u8(random());
      for (u32 i = 0; i < lanes; ++i) {
        state.reg[0][i] = input.offset[i];
        for (u32 k = 0; k < 4; ++k) state.reg[k + 1][i] = input.value[k][i] = random();
      }
      const State before = state;
      expect(access, input, state);
      for (const Mode mode : {Mode::strict, Mode::fast}) {
        machine.options = {.mode = mode, .count_lines = kind % 2 == 0};
        std::memcpy(memory.bytes.data(), before.memory, memory_bytes);
        const RunReport report = machine.run(bed.dispatch);
        INFO(access.name << (access.lds ? " LDS" : " global") << " v" << access.first_register << " pattern " << pattern
                         << " mask " << input.mask << (mode == Mode::fast ? " fast" : " strict"));
        REQUIRE((report.fault ? report.fault->sentence : "") == "");
        REQUIRE(agrees(state, memory, bed.out.as<u32>()));
      }
    }
  }
}

}  // namespace

TEST_CASE("lanes move between memory and registers in every pattern") {
  const u64 seed = test_seed(1);
  CAPTURE(seed);
  Random random(seed);
  for (const bool lds : {false, true}) {
    for (const u32 first_register : {2u, 3u}) {
      for (const auto& [bits, bytes] : {std::pair{"u16", 2u}, {"b32", 4u}, {"b64", 8u}, {"b96", 12u}, {"b128", 16u}})
        check_access({fmt::format("load_{}", bits), bytes, false, lds, first_register}, random);
      for (const auto& [bits, bytes] : {std::pair{"b16", 2u}, {"b32", 4u}, {"b64", 8u}, {"b96", 12u}, {"b128", 16u}})
        check_access({fmt::format("store_{}", bits), bytes, true, lds, first_register}, random);
    }
  }
}

// The row of lanes ends where the mapping ends, or one byte behind.
TEST_CASE("the last lane is looked at in fast mode too") {
  for (const u32 size : {4u, 8u, 16u}) {
    for (const bool store : {false, true}) {
      const Access access{fmt::format("{}_b{}", store ? "store" : "load", size * 8), size, store, false, 3};
      Bed bed(access);
      for (const u32 past : {0u, 1u}) {
        bed.machine.options.mode = Mode::fast;
        bed.input.mask = ~0u;
        for (u32 i = 0; i < lanes; ++i) bed.input.offset[i] = memory_bytes - place - lanes * size + i * size + past;
        const RunReport report = bed.machine.run(bed.dispatch);
        CHECK((report.fault ? report.fault->kind : "") == (past ? "unmapped" : ""));
      }
    }
  }
}

}  // namespace amlm::isa::test
