// Writes PM4 into an indirect buffer. Rows of driver/tables say what a packet or register looks like; nobody else does.
//
//   IbBuilder ib(buffer);
//   ib.begin();                                        // acquires all caches, writes the state every dispatch shares
//   ib.dispatch({.kernel = k, .groups = {8, 1, 1}, .kernarg_va = va});
//   ib.barrier();                                      // what follows may read what came before
//   ib.finish();                                       // pads
#pragma once

#include <array>
#include <string>
#include <vector>

#include "driver/base.h"
#include "driver/code_object.h"
#include "driver/device.h"

namespace amlm {

struct DispatchCall {
  const Kernel* kernel = nullptr;
  std::array<u32, 3> groups{1, 1, 1};
  std::array<u32, 3> group_lanes{0, 1, 1};   // 0 = Kernel::group_lanes
  u64 kernarg_va = 0;
};

struct IbCounts { u32 dispatches = 0, barriers = 0, dwords = 0; };

class IbBuilder {
 public:
  // `target` is CPU-mapped and large enough: check on overflow. Resident until rewritten.
  explicit IbBuilder(const Buffer& target, u64 offset_bytes = 0);
  void begin();
  void dispatch(const DispatchCall& call);
  // CS_PARTIAL_FLUSH and ACQUIRE_MEM 0x380 (driver.md 0b.8). A second call in a row writes nothing.
  void barrier();
  // GPU clock to memory (8 bytes) after all work before it: RELEASE_MEM data_sel 3.
  void timestamp(u64 va);
  // 64-bit value to memory after all work before it, L2 written back.
  void signal(u64 va, u64 value);
  BufferView finish();                         // pads to the kernel's alignment; the view to submit
  const IbCounts& counts() const { return counts_; }

 private:
  void emit(u32 dword);
  const Buffer* target_;
  u64 offset_bytes_;
  std::vector<u32> words_;
  bool begun_ = false, barrier_pending_ = false, last_was_barrier_ = false;
  IbCounts counts_;
};

// A readable listing: one packet a line, registers and fields by name. Unknown words are shown as such, never skipped.
std::string print_ib(std::span<const u32> words, u64 va = 0);

}  // namespace amlm
