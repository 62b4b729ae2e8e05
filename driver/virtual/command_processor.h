// Runs one job: walks its indirect buffers packet by packet as the compute queue's front end does. What a packet
// means stands in packets.cpp and dispatch.cpp; what it may look like in driver/tables. Everything unknown is a
// fault.
#pragma once

#include <array>
#include <bitset>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "driver/tables/tables.h"
#include "driver/virtual/file.h"
#include "driver/virtual/scheduler.h"

namespace amlm::vgpu {

class CommandProcessor {
 public:
  enum class Status { done, blocked, failed };

  CommandProcessor(Gpu& gpu, Job& job, u64 start_ns);
  // Goes on until the job is done, has to wait for memory, or has done something wrong.
  Status run();
  u64 time_ns() const { return start_ns_ + modelled_ns_; }
  u64 start_ns() const { return start_ns_; }
  bool moved() const { return moved_; }        // the last run() got past a packet
  void report_endless_wait();

 private:
  enum class Step { next, again, stop };       // again: this packet has to wait
  using Handler = Step (CommandProcessor::*)(std::span<const u32> body);
  struct PacketHandler { u32 opcode; Handler handler; };

  // command_processor.cpp: indirect buffers
  bool enter(u64 va, u32 size_dw, const char* how);
  bool next_ib();
  Step execute();
  Handler handler_of(u32 opcode) const;
  Step nop(std::span<const u32>);
  Step indirect_buffer(std::span<const u32> body);
  Step cond_exec(std::span<const u32> body);
  Step set_sh_reg(std::span<const u32> body);
  Step set_sh_reg_index(std::span<const u32> body);
  Step set_uconfig_reg(std::span<const u32> body);
  Step set_registers(RegisterSpace space, u32 offset, std::span<const u32> values);

  // packets.cpp: memory and synchronisation
  Step event_write(std::span<const u32> body);
  Step acquire_mem(std::span<const u32> body);
  Step release_mem(std::span<const u32> body);
  Step wait_reg_mem(std::span<const u32> body);
  Step write_data(std::span<const u32> body);
  Step copy_data(std::span<const u32> body);
  Step dma_data(std::span<const u32> body);
  Step atomic_mem(std::span<const u32> body);

  // dispatch.cpp
  Step dispatch_direct(std::span<const u32> body);
  Step dispatch_indirect(std::span<const u32> body);
  Step dispatch(std::array<u32, 3> dims, const reg::compute_dispatch_initiator& initiator);
  bool check_registers(const reg::compute_dispatch_initiator& initiator);
  bool check_values(const reg::compute_dispatch_initiator& initiator);
  isa::Dispatch describe(std::array<u32, 3> dims, const reg::compute_dispatch_initiator& initiator) const;
  isa::Visibility visibility();
  bool follow_script(const std::string& label);
  void refresh_code(u64 code_va);
  Step report_run(const isa::Dispatch& dispatch, const isa::RunReport& report);

  // cp_memory.cpp: the front end's own reads and writes, through L2
  struct Order { bool checked = true; bool end_of_pipe = false; };
  const isa::Mapping* reach(u64 va, u64 size, u8 access, const char* verb);
  bool read(u64 va, void* target, u64 size, Order order);
  bool write(u64 va, const void* source, u64 size, Order order);
  bool check_order(const isa::Mapping& mapping, u64 va, u64 size, bool is_write);
  u32 write_epoch(bool end_of_pipe);
  void invalidate(u32 gcr_bits);               // bits as in GCR_CNTL

  // Ends the job with a sentence that begins with the packet.
  Step fault(const char* kind, const std::string& what, u64 address = 0);
  template <class Register> Register get() const { return Register::read(sh_[index_of(Register::address)]); }
  static u32 index_of(u32 byte_address) { return (byte_address - space_base(RegisterSpace::sh)) / 4; }

  Gpu& gpu_;
  Job& job_;
  Vm& vm_;
  const bool strict_;
  const u64 start_ns_;
  u64 modelled_ns_ = 0;
  bool moved_ = false, failed_ = false;

  size_t next_ib_ = 0;
  std::vector<u32> words_;                     // of the current IB
  u64 ib_va_ = 0;
  size_t at_ = 0;
  const char* packet_name_ = "";

  std::array<u32, 1024> sh_;                   // left-overs of somebody else until written
  std::bitset<1024> sh_set_;
  bool cpu_vector_ = false, cpu_scalar_ = false, cpu_instruction_ = false, cpu_l2_ = false;
  struct Release { u32 epoch; u32 gcr_bits; };
  std::map<u64, Release> releases_;            // by address: what a WAIT_REG_MEM there has waited for
};

std::string hex(u64 value);

}  // namespace amlm::vgpu
