#include "driver/virtual/command_processor.h"

#include <random>

#include "driver/virtual/context.h"

namespace amlm::vgpu {

namespace {

constexpr u32 ib_pad_dw = 8;                  // HW_IP_INFO.ib_size_alignment: 32 bytes
constexpr u32 gcr_mem_sync = 0xc3b1;          // what the kernel emits for AMDGPU_IB_FLAG_EMIT_MEM_SYNC (driver.md 3.3)

}  // namespace

CommandProcessor::CommandProcessor(Gpu& gpu, Job& job, u64 start_ns)
    : FrontEnd(gpu, job, start_ns, gpu.config.ib_padding ? ib_pad_dw : 1),
      strict_(gpu.config.mode == isa::Mode::strict), is_graphics_(job.ip == graphics_ip) {
  std::mt19937_64 random(gpu.config.seed + job.number);
  for (u32& value : sh_) value = u32(random());
  const std::lock_guard executing(vm_.executing);
  if (!job.ibs.empty() && (job.ibs[0].flags & AMDGPU_IB_FLAG_EMIT_MEM_SYNC)) invalidate(gcr_mem_sync);
}

CommandProcessor::Handler CommandProcessor::handler_of(u32 opcode) const {
  static constexpr PacketHandler handlers[] = {
      {pm4::Nop::opcode, &CommandProcessor::nop},
      {pm4::DispatchDirect::opcode, &CommandProcessor::dispatch_direct},
      {pm4::DispatchIndirect::opcode, &CommandProcessor::dispatch_indirect},
      {pm4::AtomicMem::opcode, &CommandProcessor::atomic_mem},
      {pm4::CondExec::opcode, &CommandProcessor::cond_exec},
      {pm4::ClearState::opcode, &CommandProcessor::nop},   // nothing here has a context register
      {pm4::ContextControl::opcode, &CommandProcessor::context_control},
      {pm4::WriteData::opcode, &CommandProcessor::write_data},
      {pm4::WaitRegMem::opcode, &CommandProcessor::wait_reg_mem},
      {pm4::IndirectBuffer::opcode, &CommandProcessor::indirect_buffer},
      {pm4::CopyData::opcode, &CommandProcessor::copy_data},
      {pm4::EventWrite::opcode, &CommandProcessor::event_write},
      {pm4::ReleaseMem::opcode, &CommandProcessor::release_mem},
      {pm4::DmaData::opcode, &CommandProcessor::dma_data},
      {pm4::AcquireMem::opcode, &CommandProcessor::acquire_mem},
      {pm4::SetShReg::opcode, &CommandProcessor::set_sh_reg},
      {pm4::SetShRegIndex::opcode, &CommandProcessor::set_sh_reg_index},
      {pm4::SetUconfigReg::opcode, &CommandProcessor::set_uconfig_reg},
  };
  for (const auto& row : handlers)
    if (row.opcode == opcode) return row.handler;
  return nullptr;
}

CommandProcessor::Step CommandProcessor::execute() {
  packet_name_ = "a word";
  const ParsedPacket packet = parse_packet(std::span(words_).subspan(at_));
  if (packet.row) packet_name_ = packet.row->name.c_str();
  if (packet.problem)
    return fault("bad-packet", std::string(packet.problem) + " (header " + hex(packet.header) + ")");
  if (packet.predicate) return fault("bad-packet", "is predicated, and nothing on this queue sets a predicate");
  if (refuse_for_ring(packet) == Step::stop) return Step::stop;
  const bool release_or_wait = packet.opcode == pm4::ReleaseMem::opcode || packet.opcode == pm4::WaitRegMem::opcode;
  if (packet.shader_type && release_or_wait)
    return fault("bad-packet", "has SHADER_TYPE set, which hangs gfx11 on this packet (driver.md 0b.7)");
  const Handler handler = handler_of(packet.opcode);
  if (!handler) return fault("unsupported-packet", "is not modelled");
  gpu_.counters.count(&QueueCounters::packets);
  const size_t length = packet.length_dw;
  const Step step = (this->*handler)(packet.body);
  if (step == Step::next && packet.opcode != pm4::IndirectBuffer::opcode) at_ += length;
  return step;
}

// Draws are refused on both kinds of ring (driver/tables). A dispatch needs no SHADER_TYPE on either: igt sends it without.
CommandProcessor::Step CommandProcessor::refuse_for_ring(const ParsedPacket& packet) {
  const bool is_graphics_state = packet.opcode == pm4::ContextControl::opcode || packet.opcode == pm4::ClearState::opcode;
  if (!is_graphics_ && is_graphics_state)
    return fault("bad-packet", "is a graphics ring's");
  return Step::next;
}

// Registers are neither loaded from memory nor shadowed there.
CommandProcessor::Step CommandProcessor::context_control(std::span<const u32> body) {
  const auto packet = pm4::ContextControl::read(body);
  if (packet.load || packet.shadow)
    return fault("unsupported-packet", "asks for registers to be loaded or shadowed, which is not modelled");
  return Step::next;
}

// On a compute queue an indirect buffer can only go over to another, never call one (RADV says so of PAL).
CommandProcessor::Step CommandProcessor::indirect_buffer(std::span<const u32> body) {
  const auto packet = pm4::IndirectBuffer::read(body);
  if (!packet.chain) return fault("bad-packet", "does not chain: a compute queue has no second level");
  if (!packet.valid) return fault("bad-packet", "has VALID unset");
  if (packet.vmid)
    return fault("bad-packet", "names VMID " + std::to_string(packet.vmid) + ", which is the kernel's to set");
  if (packet.pre_ena) return fault("bad-packet", "PRE_ENA is not modelled");
  return enter(canonical(packet.address), packet.size_dw, "the chained indirect buffer") ? Step::next : Step::stop;
}

CommandProcessor::Step CommandProcessor::nop(std::span<const u32>) { return Step::next; }

CommandProcessor::Step CommandProcessor::cond_exec(std::span<const u32> body) {
  const auto packet = pm4::CondExec::read(body);
  u32 value = 0;
  if (!read(canonical(packet.address), &value, 4, {})) return Step::stop;
  if (value) return Step::next;
  if (packet.exec_count > words_.size() - at_ - 1 - body.size())
    return fault("bad-packet", "skips past the end of the indirect buffer");
  at_ += packet.exec_count;
  return Step::next;
}

CommandProcessor::Step CommandProcessor::set_sh_reg(std::span<const u32> body) {
  return set_registers(RegisterSpace::sh, pm4::SetShReg::read(body).reg_offset, body.subspan(1));
}

// Index 3 asks the kernel's CU mask to be applied; ours has all CUs.
CommandProcessor::Step CommandProcessor::set_sh_reg_index(std::span<const u32> body) {
  const auto packet = pm4::SetShRegIndex::read(body);
  if (packet.index != 0 && packet.index != pm4::SetShRegIndex::apply_cu_mask)
    return fault("bad-packet", "index " + std::to_string(packet.index) + " is not modelled");
  return set_registers(RegisterSpace::sh, packet.reg_offset, body.subspan(1));
}

CommandProcessor::Step CommandProcessor::set_uconfig_reg(std::span<const u32> body) {
  return set_registers(RegisterSpace::uconfig, pm4::SetUconfigReg::read(body).reg_offset, body.subspan(1));
}

CommandProcessor::Step CommandProcessor::set_registers(RegisterSpace space, u32 offset, std::span<const u32> values) {
  for (u32 i = 0; i < values.size(); ++i) {
    const u32 address = space_base(space) + (offset + i) * 4;
    const RegisterRow* row = address < space_end(space) ? find_register(address) : nullptr;
    if (!row) return fault("unknown-register", "register " + hex(address) + " is not one that an IB may write here");
    if (const u32 bits = reserved_bits(row->fields, values[i]))
      return fault("reserved-bits", row->name + " = " + hex(values[i]) + " sets reserved bits " + hex(bits));
    if (address == reg::compute_vmid::address || address == reg::compute_dispatch_initiator::address)
      return fault("unknown-register", row->name + " is the command processor's own");
    if (space == RegisterSpace::sh) {
      if (address == reg::compute_thread_trace_enable::address && values[i])
        return fault("unsupported-packet", "thread trace is not modelled");
      sh_[index_of(address)] = values[i];
      sh_set_[index_of(address)] = true;
    } else if (row->name.starts_with("SQ_THREAD_TRACE")) {
      return fault("unsupported-packet", row->name + ": thread trace is not modelled");
    }
  }
  return Step::next;
}

}  // namespace amlm::vgpu
