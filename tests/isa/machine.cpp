#include "tests/isa/machine.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <unistd.h>

namespace amlm::isa::test {

namespace {

struct SectionHeader {
  u32 name, type;
  u64 flags, address, offset, size;
  u32 link, info;
  u64 alignment, entry_size;
};

// .text of a relocatable ELF: the first executable section of program bits.
std::vector<u32> text_of(const std::vector<char>& elf) {
  u64 table = 0;
  u16 count = 0;
  std::memcpy(&table, &elf[0x28], 8);
  std::memcpy(&count, &elf[0x3c], 2);
  for (u32 i = 0; i < count; ++i) {
    SectionHeader section;
    std::memcpy(&section, &elf[table + i * sizeof section], sizeof section);
    constexpr u32 program_bits = 1, executable = 4;
    if (section.type != program_bits || !(section.flags & executable) || !section.size) continue;
    std::vector<u32> words(section.size / 4);
    std::memcpy(words.data(), &elf[section.offset], section.size);
    return words;
  }
  return {};
}

}  // namespace

std::vector<u32> assemble(std::string_view assembly, bool wave64) {
  char directory[] = "/tmp/amlm-asm-XXXXXX";
  check(mkdtemp(directory), "a temporary directory");
  const std::string source = std::string(directory) + "/t.s", object = std::string(directory) + "/t.o";
  std::ofstream(source) << assembly << '\n';
  const std::string command = std::string(AMLM_LLVM_MC) + " -triple=amdgcn-amd-amdhsa -mcpu=gfx1151 -mattr=" +
                              (wave64 ? "-wavefrontsize32,+wavefrontsize64" : "+wavefrontsize32") +
                              " -filetype=obj -o " + object + " " + source;
  const int status = std::system(command.c_str());
  std::ifstream in(object, std::ios::binary);
  const std::vector<char> elf((std::istreambuf_iterator<char>(in)), {});
  std::remove(source.c_str());
  std::remove(object.c_str());
  rmdir(directory);
  if (status != 0) std::fprintf(stderr, "%.*s\n", int(assembly.size()), assembly.data());
  check(status == 0 && elf.size() > 64, "llvm-mc assembles the test program");
  return text_of(elf);
}

TestBuffer& Machine::buffer(std::string label, u64 size_bytes, u8 access) {
  auto& buffer = *buffers_.emplace_back(std::make_unique<TestBuffer>());
  buffer.va = next_va_;
  buffer.bytes.resize(size_bytes);
  buffer.shadow.resize((size_bytes + 3) / 4);
  next_va_ += (size_bytes + 0x2fff) / 0x1000 * 0x1000;
  space.insert({buffer.va, size_bytes, buffer.bytes.data(), buffer.shadow.data(), access, true, std::move(label)});
  return buffer;
}

u64 Machine::code(const std::vector<u32>& words) {
  constexpr u32 s_code_end = 0xbf9f0000, padding = 64;
  TestBuffer& to = buffer("code", (words.size() + padding) * 4, access_read | access_execute);
  std::fill_n(to.as<u32>(), words.size() + padding, s_code_end);
  std::copy(words.begin(), words.end(), to.as<u32>());
  return to.va;
}

RunReport Machine::run(const Dispatch& dispatch) {
  if (barrier_before) {
    visibility.completed = visibility.epoch - 1;
    visibility.visible_vector = visibility.visible_scalar = visibility.visible_instruction = visibility.epoch - 1;
  }
  const RunReport report = executor.run(dispatch, space, visibility, options);
  ++visibility.epoch;
  return report;
}

Dispatch dispatch_of(const Launch& launch) {
  Dispatch dispatch;
  dispatch.code_va = launch.code_va;
  dispatch.groups = {launch.groups, 1, 1};
  dispatch.group_lanes = {launch.lanes, 1, 1};
  dispatch.wave_lanes = launch.wave_lanes;
  constexpr u32 wgp_mode = 1u << 29;
  if (launch.wgp_mode) dispatch.rsrc1 |= wgp_mode;
  constexpr u32 denormals_kept = 0xf0u << 12, dx10_clamp = 1u << 21, ieee = 1u << 23;
  dispatch.rsrc1 |= (launch.vgprs / (launch.wave_lanes == 32 ? 8 : 4) - 1) | denormals_kept | dx10_clamp | ieee;
  constexpr u32 two_user_sgprs = 2 << 1, group_id_x = 1 << 7;
  dispatch.rsrc2 = two_user_sgprs | group_id_x | (launch.lds_bytes + 511) / 512 << 15;
  if (launch.scratch_lane_bytes) {
    dispatch.rsrc2 |= 1;
    dispatch.scratch_base = launch.scratch;
    dispatch.scratch_wave_bytes = launch.scratch_lane_bytes * launch.wave_lanes;
    dispatch.scratch_waves = 64 * 1024 / dispatch.scratch_wave_bytes;
  }
  dispatch.user_data[0] = u32(launch.arguments);
  dispatch.user_data[1] = u32(launch.arguments >> 32);
  dispatch.label = "test";
  return dispatch;
}

}  // namespace amlm::isa::test
