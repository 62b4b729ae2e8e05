// Writes PM4 into an indirect buffer. What a packet or register looks like, only the rows of driver/tables say.
//
//   IbBuilder ib(buffer);
//   ib.begin();                                        // waits for earlier work, acquires all caches
//   ib.dispatch({.kernel = k, .groups = {8, 1, 1}, .kernarg_va = va});
//   ib.barrier();                                      // what follows may read what came before
//   BufferView view = ib.finish();                     // pads, copies into the buffer
//
// Always holds: every SH register that a dispatch uses has been written in the same IB (they are leftovers of other
// processes otherwise); a register that keeps its value within the IB is written once.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>
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
  BufferView scratch;                        // of a kernel with scratch: scratch_bytes, or less for fewer waves at once
};

// Scratch for as many waves as gfx1151 holds (RADV takes 32 a CU); 0 for a kernel without.
u64 scratch_bytes(const Kernel& kernel, const DeviceFacts& facts);

struct IbCounts { u32 dispatches = 0, barriers = 0, dwords = 0; };

class IbBuilder {
 public:
  // `target` is CPU-mapped and large enough: check on overflow. Resident until rewritten.
  explicit IbBuilder(const Buffer& target, u64 offset_bytes = 0);
  // The same over memory that the GPU sees at `va`.
  IbBuilder(std::span<u32> memory, u64 va);

  void begin();                                // may be called again: starts over
  void dispatch(const DispatchCall& call);
  // CS_PARTIAL_FLUSH and ACQUIRE_MEM 0x380. A second call in a row, or one right after begin(), writes nothing.
  void barrier();
  // GPU clock to memory (8 bytes) after all work before it: RELEASE_MEM data_sel 3.
  void timestamp(u64 va);
  // 64-bit value to memory after all work before it, L2 written back.
  void signal(u64 va, u64 value);
  BufferView finish();                         // pads to the kernel's alignment; the view to submit
  const IbCounts& counts() const { return counts_; }

 private:
  static constexpr u32 register_count = 0x400;       // of the SH space

  template <class Register> void stage(const Register& row) { stage(Register::address, row.word()); }
  void stage(u32 byte_address, u32 word);
  void stage_scratch(const Kernel& kernel, const BufferView& scratch);
  void write_staged();
  void acquire_all();

  std::span<u32> memory_;
  u64 va_;
  std::vector<u32> words_;
  std::array<std::optional<u32>, register_count> written_;   // what this IB last wrote to each SH register
  std::vector<u32> staged_;                                  // SH dword offsets whose new value is in `next_`
  std::array<u32, register_count> next_{};
  bool begun_ = false;
  bool synchronized_ = false;                                // nothing was dispatched since the last barrier
  IbCounts counts_;
};

// "weights+0x1c0" for an address, or "" when it has no name.
using AddressNamer = std::function<std::string(u64 va)>;

// A readable listing: one packet a line, the registers it sets below it, fields by name. Words that are no packet of
// the tables, and packets that may not stand on a compute queue, are shown with the reason, never skipped.
std::string print_ib(std::span<const u32> words, u64 va = 0, const AddressNamer& name_of = {});

}  // namespace amlm
