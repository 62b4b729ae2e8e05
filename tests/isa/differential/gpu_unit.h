// One translation unit compiled by clang for gfx1151, linked, and loaded into an address space.
#pragma once

#include <string>
#include <vector>

#include "isa/run.h"

namespace amlm::isa::differential {

struct Options {
  std::string directory;           // for sources and objects
  std::string prelude;             // path of prelude.h
  std::string clang, lld;
};

struct GpuKernel {
  std::string name;
  u64 code_offset = 0;             // from the unit's base
  u32 code_bytes = 0;
  u32 rsrc1 = 0, rsrc2 = 0, rsrc3 = 0;
  u32 lds_bytes = 0, private_bytes = 0;
  u16 properties = 0;              // kernel_code_properties: which user SGPRs, wave32
};

class GpuUnit {
 public:
  // Aborts with the compiler's words when `source` does not compile. `flags`: "-O2 -mwavefrontsize64".
  GpuUnit(const Options& options, const std::string& source, const std::string& flags);
  void map_into(AddressSpace& space) const;
  const std::vector<GpuKernel>& kernels() const { return kernels_; }
  const GpuKernel& kernel(const std::string& name) const;
  u8* at(u64 offset) { return image_.data() + offset; }
  u64 base() const { return base_; }

 private:
  struct Segment { u64 address, size_bytes; u8 access; };
  void read_symbols(const std::vector<u8>& elf);

  static constexpr u64 base_ = 0x7e0000000000;
  mutable std::vector<u8> image_;
  std::vector<Segment> segments_;
  std::vector<GpuKernel> kernels_;
};

// Runs `command`; aborts with it when it fails.
void run_command(const std::string& command);

}  // namespace amlm::isa::differential
