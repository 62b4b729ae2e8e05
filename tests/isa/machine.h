// A small machine for tests: buffers in an address space, code from llvm-mc, one executor.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "isa/run.h"

namespace amlm::isa::test {

// The .text of `assembly` for gfx1151, by llvm-mc. Aborts the program with llvm-mc's words when it does not assemble.
std::vector<u32> assemble(std::string_view assembly, bool wave64 = false);

struct TestBuffer {
  u64 va = 0;
  std::vector<u8> bytes;
  std::vector<ShadowDword> shadow;
  template <class T> T* as() { return reinterpret_cast<T*>(bytes.data()); }
};

class Machine {
 public:
  // Mapped at an address of its own with unmapped pages around.
  TestBuffer& buffer(std::string label, u64 size_bytes, u8 access = access_read | access_write);
  // Puts code at its own executable mapping, padded with s_code_end; returns its address.
  u64 code(const std::vector<u32>& words);
  void unmap(const TestBuffer& buffer) { space.erase(buffer.va); }

  // One dispatch; everything that came before is waited for and visible unless `visibility` was changed.
  RunReport run(const Dispatch& dispatch);

  AddressSpace space;
  Visibility visibility;
  RunOptions options{.mode = Mode::strict, .seed = 1};
  bool barrier_before = true;       // false: the next dispatch follows without wait or cache action
  Executor executor;

 private:
  std::vector<std::unique_ptr<TestBuffer>> buffers_;
  u64 next_va_ = 0x800000000000 >> 1;
};

// s[0:1] = arguments, s2 = workgroup id x, 64 VGPRs.
struct Launch {
  u64 code_va = 0;
  u64 arguments = 0;
  u32 groups = 1, lanes = 32, lds_bytes = 0;
  u32 wave_lanes = 32;
  u32 vgprs = 64;
  bool wgp_mode = false;
  u32 scratch_lane_bytes = 0;       // 0: the kernel has no scratch
  u64 scratch = 0;                  // 64 KiB at least
};
Dispatch dispatch_of(const Launch& launch);

}  // namespace amlm::isa::test
