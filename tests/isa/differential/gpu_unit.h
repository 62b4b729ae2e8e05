// One translation unit compiled by clang for gfx1151, linked, and loaded into an address space.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "isa/run.h"

namespace amlm::isa::differential {

// What to do when clang fails: its back end crashes on a few of csmith's programs.
enum class OnCrash { abort, leave_empty };

struct Options {
  std::string directory;           // for sources and objects
  std::string includes;            // "-include prelude.h", "-I directory"
  std::string clang, lld;
  std::string language = "c";
  OnCrash on_crash = OnCrash::abort;
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
  // `flags`: "-O2 -mwavefrontsize64".
  GpuUnit(const Options& options, const std::string& source, const std::string& flags);
  void map_into(AddressSpace& space) const;
  const std::vector<GpuKernel>& kernels() const { return kernels_; }
  const GpuKernel& kernel(const std::string& name) const;
  u8* at(u64 offset) { return image_.data() + offset; }
  u64 base() const { return base_; }
  bool empty() const { return kernels_.empty(); }
  std::span<u32> code();           // the executable segment
  // Code and variables as they were before the first run.
  void reset() { image_ = pristine_; }

 private:
  struct Segment { u64 address, size_bytes; u8 access; };
  void relocate(const std::vector<u8>& elf);
  void read_symbols(const std::vector<u8>& elf);

  static constexpr u64 base_ = 0x7e0000000000;
  mutable std::vector<u8> image_;
  std::vector<u8> pristine_;
  std::vector<Segment> segments_;
  std::vector<GpuKernel> kernels_;
};

// Runs `command`; aborts with it when it fails.
void run_command(const std::string& command);

}  // namespace amlm::isa::differential
