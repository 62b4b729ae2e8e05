// Runs one job of a compute or graphics ring, PM4 packet by packet. What a packet means stands in packets.cpp and
// dispatch.cpp; what it may look like in driver/tables. Everything unknown is a fault. A graphics ring has the same
// registers and dispatches; it draws nothing.
#pragma once

#include <array>
#include <bitset>
#include <map>

#include "driver/tables/tables.h"
#include "driver/virtual/front_end.h"

namespace amlm::vgpu {

class CommandProcessor final : public FrontEnd {
 public:
  CommandProcessor(Gpu& gpu, Job& job, u64 start_ns);

 private:
  using Handler = Step (CommandProcessor::*)(std::span<const u32> body);
  struct PacketHandler { u32 opcode; Handler handler; };

  // command_processor.cpp: indirect buffers and registers
  Step execute() override;
  Step refuse_for_ring(const ParsedPacket& packet);
  Handler handler_of(u32 opcode) const;
  Step context_control(std::span<const u32> body);
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
  Step write_registers(u64 offset, std::span<const u32> values);
  bool read_registers(u64 offset, u32 count, u64& value);
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

  void invalidate(u32 gcr_bits);               // bits as in GCR_CNTL

  template <class Register> Register get() const { return Register::read(sh_[index_of(Register::address)]); }
  static u32 index_of(u32 byte_address) { return (byte_address - space_base(RegisterSpace::sh)) / 4; }

  const bool strict_, is_graphics_;
  std::array<u32, 1024> sh_;                   // left-overs of somebody else until written
  std::bitset<1024> sh_set_;
  bool cpu_vector_ = false, cpu_scalar_ = false, cpu_instruction_ = false, cpu_l2_ = false;
  struct Release { u32 epoch; u32 gcr_bits; };
  std::map<u64, Release> releases_;            // by address: what a WAIT_REG_MEM there has waited for
};

}  // namespace amlm::vgpu
