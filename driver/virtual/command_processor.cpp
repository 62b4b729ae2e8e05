#include "driver/virtual/command_processor.h"

#include <stdio.h>

#include <random>
#include <thread>

namespace amlm::vgpu {

namespace {

constexpr u32 ib_pad_dw = 8;                  // HW_IP_INFO.ib_size_alignment: 32 bytes
constexpr u64 ib_start_alignment = 32;
constexpr u32 max_ib_dw = 0xfffff;            // INDIRECT_BUFFER.IB_SIZE
constexpr u32 gcr_mem_sync = 0xc3b1;          // what the kernel emits for AMDGPU_IB_FLAG_EMIT_MEM_SYNC (driver.md 3.3)

}  // namespace

std::string hex(u64 value) {
  char text[20];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

CommandProcessor::CommandProcessor(Gpu& gpu, Job& job, u64 start_ns)
    : gpu_(gpu), job_(job), vm_(*job.vm), strict_(gpu.config.mode == isa::Mode::strict), start_ns_(start_ns),
      modelled_ns_(job.stall_ns) {
  std::mt19937_64 random(gpu.config.seed + job.number);
  for (u32& value : sh_) value = u32(random());
  const std::lock_guard executing(vm_.executing);
  if (job.starts_idle) vm_.caches.completed = vm_.caches.issued;
  if (!job.ibs.empty() && (job.ibs[0].flags & AMDGPU_IB_FLAG_EMIT_MEM_SYNC)) invalidate(gcr_mem_sync);
}

CommandProcessor::Status CommandProcessor::run() {
  moved_ = false;
  const u64 timeout_ms = gpu_.config.job_timeout_ms;
  while (true) {
    while (vm_.wanted.load(std::memory_order_relaxed)) std::this_thread::yield();
    const std::lock_guard executing(vm_.executing);
    if (at_ == words_.size()) {
      if (next_ib_ == job_.ibs.size()) return Status::done;
      if (!next_ib()) return Status::failed;
      continue;
    }
    const Step step = execute();
    if (failed_ || step == Step::stop) return Status::failed;
    if (step == Step::again) return Status::blocked;
    moved_ = true;
    if (timeout_ms && modelled_ns_ > timeout_ms * 1'000'000) {
      fault("job-timeout", "the job has taken " + std::to_string(modelled_ns_ / 1'000'000) +
                               " modelled ms, the kernel's job timeout is " +
                               std::to_string(timeout_ms) + " ms");
      return Status::failed;
    }
  }
}

bool CommandProcessor::next_ib() {
  const Ib ib = job_.ibs[next_ib_++];
  return enter(ib.va, ib.size_dw, "the submission's indirect buffer");
}

bool CommandProcessor::enter(u64 va, u32 size_dw, const char* how) {
  packet_name_ = how;
  ib_va_ = va;
  at_ = 0;
  words_.clear();
  if (size_dw > max_ib_dw)
    return fault("ib-size", "has " + std::to_string(size_dw) + " dwords: the packet that starts it holds 20 bits of them"),
           false;
  if (va % ib_start_alignment)
    return fault("ib-alignment", "starts at " + hex(va) + ", not at a multiple of 32 bytes"), false;
  if (gpu_.config.ib_padding && size_dw % ib_pad_dw)
    return fault("ib-padding", "has " + std::to_string(size_dw) + " dwords: not padded to a multiple of 8"), false;
  std::vector<u32> words(size_dw);
  if (size_dw && !read(va, words.data(), u64(size_dw) * 4, {.checked = false})) return false;
  words_ = std::move(words);
  gpu_.counters.indirect_buffer(va, words_);
  return true;
}

CommandProcessor::Handler CommandProcessor::handler_of(u32 opcode) const {
  static constexpr PacketHandler handlers[] = {
      {pm4::Nop::opcode, &CommandProcessor::nop},
      {pm4::DispatchDirect::opcode, &CommandProcessor::dispatch_direct},
      {pm4::DispatchIndirect::opcode, &CommandProcessor::dispatch_indirect},
      {pm4::AtomicMem::opcode, &CommandProcessor::atomic_mem},
      {pm4::CondExec::opcode, &CommandProcessor::cond_exec},
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

void CommandProcessor::report_endless_wait() {
  fault("job-timeout",
        "was not satisfied within the job timeout of " + std::to_string(gpu_.config.job_timeout_ms) + " ms");
}

CommandProcessor::Step CommandProcessor::fault(const char* kind, const std::string& what, u64 address) {
  if (failed_) return Step::stop;              // the first one is the reason
  failed_ = true;
  const u64 va = ib_va_ + at_ * 4;
  gpu_.faults.report({.sentence = std::string(packet_name_) + " at " + hex(va) + " (dword " + std::to_string(at_) +
                                  " of its IB): " + what,
                      .kind = kind, .address = address, .packet_va = va});
  return Step::stop;
}

}  // namespace amlm::vgpu
