// The front end of a ring: walks a job's indirect buffers and reads and writes memory. What a packet means is the
// ring's: CommandProcessor (PM4) or SdmaEngine.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "driver/virtual/file.h"
#include "driver/virtual/scheduler.h"

namespace amlm::vgpu {

class FrontEnd {
 public:
  enum class Status { done, blocked, failed };

  virtual ~FrontEnd() = default;
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  // Goes on until the job is done, has to wait for memory, or has done something wrong.
  Status run();
  u64 time_ns() const { return start_ns_ + modelled_ns_; }
  u64 start_ns() const { return start_ns_; }
  bool moved() const { return moved_; }        // the last run() got past a packet
  void report_endless_wait();

 protected:
  enum class Step { next, again, stop };       // again: this packet has to wait

  // size_alignment_dw: what an indirect buffer's size must be a multiple of.
  FrontEnd(Gpu& gpu, Job& job, u64 start_ns, u32 size_alignment_dw);
  // Does the packet at `at_` and moves past it.
  virtual Step execute() = 0;

  bool enter(u64 va, u32 size_dw, const char* how);
  bool next_ib();

  // Accesses through L2, past the shader caches.
  struct Order { bool checked = true; bool end_of_pipe = false; };
  const isa::Mapping* reach(u64 va, u64 size, u8 access, const char* verb);
  bool read(u64 va, void* target, u64 size, Order order);
  bool write(u64 va, const void* source, u64 size, Order order);
  bool check_order(const isa::Mapping& mapping, u64 va, u64 size, bool is_write);
  u32 write_epoch(bool end_of_pipe);

  // Ends the job with a sentence that begins with the packet.
  Step fault(const char* kind, const std::string& what, u64 address = 0);

  Gpu& gpu_;
  Job& job_;
  Vm& vm_;
  const u64 start_ns_;
  const u32 size_alignment_dw_;
  u64 modelled_ns_ = 0;
  bool moved_ = false, failed_ = false;

  size_t next_ib_ = 0;
  std::vector<u32> words_;                     // of the current IB
  u64 ib_va_ = 0;
  size_t at_ = 0;
  const char* packet_name_ = "";
};

// GL2's atomic operations, as ATOMIC_MEM and SDMA number them (+0x20 = 64 bits). False: not one that is modelled.
bool combine_atomic(u32 op, u64 old, u64 data, u64 compare, bool wide, u64& result);
inline constexpr u32 atomic_cmpswap = 0x08;
// WAIT_REG_MEM's and POLL_REGMEM's comparisons, 0 to 6.
bool compare_values(u32 function, u32 value, u32 reference);

std::string hex(u64 value);

}  // namespace amlm::vgpu
