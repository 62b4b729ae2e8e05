#include "tests/isa/differential/device.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "isa/tables.h"

namespace amlm::isa::differential {

namespace {

constexpr u64 arguments_va = 0x7d0000400000, zero_va = 0x7d0000500000, scratch_va = 0x7d0001000000;
constexpr u32 least_lane_bytes = 16384, scratch_waves = 16;

// Enabled user SGPRs in their order (AMDGPUUsage, "Initial Kernel Execution State").
void set_user_data(Dispatch& dispatch, const GpuKernel& kernel) {
  u32 at = 0;
  const auto put = [&](u32 bit, u64 value, u32 count) {
    if (!(kernel.properties >> bit & 1)) return;
    for (u32 i = 0; i < count; ++i) dispatch.user_data[at++] = u32(value >> 32 * i);
  };
  check(!(kernel.properties & 1), "no private segment buffer on gfx11");
  put(1, zero_va, 2);                // dispatch packet
  put(2, zero_va, 2);                // queue
  put(3, arguments_va, 2);
  put(4, 0, 2);                      // dispatch id
  put(5, 0, 2);                      // flat scratch init
  put(6, kernel.private_bytes, 1);
}

}  // namespace

std::vector<KeptSeed> kept_seeds(const std::string& path, const std::string& program) {
  std::vector<KeptSeed> seeds;
  if (path.empty()) return seeds;
  std::ifstream in(path);
  check(in.good(), "the list of seeds is there");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    KeptSeed kept;
    if (words >> name >> kept.seed >> kept.levels >> kept.wave_lanes && name == program) seeds.push_back(kept);
  }
  return seeds;
}

void plant_mistake(GpuUnit& unit) {
  const std::span<u32> words = unit.code();
  for (std::size_t i = 0; i < words.size();) {
    auto in = decode(words.subspan(i));
    if (!in) {          // between functions
      ++i;
      continue;
    }
    std::array<u32, 3> patched;
    if (in->opcode == Opcode::v_xor_b32 || in->opcode == Opcode::s_xor_b32) {
      in->opcode = in->opcode == Opcode::v_xor_b32 ? Opcode::v_or_b32 : Opcode::s_or_b32;
      if (encode(*in, patched) == in->size_dw) std::copy_n(patched.begin(), in->size_dw, words.begin() + i);
    }
    i += in->size_dw;
  }
}

RunReport Device::run(GpuUnit& unit, const GpuKernel& kernel, AddressSpace space, const Launch& launch) {
  unit.map_into(space);
  std::vector<u64> arguments = launch.arguments;
  arguments.resize(64);
  std::vector<u8> zeros(4096);
  const u32 lane_bytes = std::max(least_lane_bytes, (kernel.private_bytes + 255) & ~255u);
  scratch_.resize(u64(scratch_waves) * 64 * lane_bytes);
  Buffers buffers;
  buffers.map(space, arguments_va, arguments, access_read, "arguments");
  buffers.map(space, zero_va, zeros, access_read, "packet");
  space.insert({scratch_va, scratch_.size(), scratch_.data(), nullptr, access_read | access_write, true, "scratch"});

  Dispatch dispatch;
  dispatch.code_va = unit.base() + kernel.code_offset;
  dispatch.groups = {launch.groups, 1, 1};
  dispatch.group_lanes = {launch.group_lanes, 1, 1};
  dispatch.wave_lanes = kernel.properties >> 10 & 1 ? 32 : 64;
  dispatch.rsrc1 = kernel.rsrc1;
  dispatch.rsrc2 = kernel.rsrc2 | (kernel.lds_bytes + launch.shared_bytes + 511) / 512 << 15;
  dispatch.rsrc3 = kernel.rsrc3;
  dispatch.scratch_base = scratch_va;
  dispatch.scratch_wave_bytes = dispatch.wave_lanes * lane_bytes;
  dispatch.scratch_waves = scratch_waves;
  dispatch.label = kernel.name;
  set_user_data(dispatch, kernel);
  executor_.forget();
  return executor_.run(dispatch, space, {}, {.mode = launch.mode, .seed = launch.seed,
                                             .instruction_limit = launch.instruction_limit});
}

}  // namespace amlm::isa::differential
