// Runs kernels that clang compiled, with scratch, kernel arguments and the user SGPRs that their descriptors ask for.
#pragma once

#include <string>
#include <vector>

#include "isa/run.h"
#include "tests/isa/differential/gpu_unit.h"

namespace amlm::isa::differential {

struct Launch {
  u32 groups = 1, group_lanes = 64;
  u32 shared_bytes = 0;               // of LDS, beyond what the descriptor asks for
  std::vector<u64> arguments;
  u64 instruction_limit = 50'000'000; // a wave
  Mode mode = Mode::fast;
  u64 seed = 1;
};

class Device {
 public:
  // `space` holds the buffers that the arguments point to; code, arguments and scratch are added.
  RunReport run(GpuUnit& unit, const GpuKernel& kernel, AddressSpace space, const Launch& launch);

 private:
  Executor executor_;
  std::vector<u8> scratch_;
};

// A line of seeds.txt.
struct KeptSeed {
  u64 seed;
  std::string levels;
  u32 wave_lanes;
};
std::vector<KeptSeed> kept_seeds(const std::string& path, const std::string& program);

// For canaries: turns the unit's xor into or.
void plant_mistake(GpuUnit& unit);

// Puts vectors into an address space, with a shadow each.
class Buffers {
 public:
  template <class T>
  void map(AddressSpace& space, u64 va, std::vector<T>& data, u8 access, const char* label) {
    const u64 bytes = data.size() * sizeof(T);
    shadows_.emplace_back(bytes / 4 + 1);
    space.insert({va, bytes, reinterpret_cast<u8*>(data.data()), shadows_.back().data(), access, true, label});
  }

 private:
  std::vector<std::vector<ShadowDword>> shadows_;
};

}  // namespace amlm::isa::differential
