// What the memory and synchronisation packets do. Layouts: driver/tables; meanings: driver.md 2.1.
#include <string.h>

#include "driver/virtual/command_processor.h"

namespace amlm::vgpu {

namespace {

constexpr u32 event_cs_partial_flush = 7;

constexpr u32 bit_gli = 1u << 0, bit_glk = 1u << 7, bit_glv = 1u << 8, bit_gl1 = 1u << 9, bit_gl2 = 1u << 14;

}  // namespace

CommandProcessor::Step CommandProcessor::event_write(std::span<const u32> body) {
  const auto packet = pm4::EventWrite::read(body);
  if (packet.event_type != event_cs_partial_flush)
    return fault("unsupported-packet", "event type " + std::to_string(packet.event_type) + " is not modelled");
  if (packet.event_index != pm4::EventWrite::index_partial_flush)
    return fault("bad-packet", "CS_PARTIAL_FLUSH with event index " + std::to_string(packet.event_index) + ", not 4");
  vm_.caches.completed = vm_.caches.issued;
  gpu_.counters.count(&QueueCounters::barriers);
  return Step::next;
}

CommandProcessor::Step CommandProcessor::acquire_mem(std::span<const u32> body) {
  const auto packet = pm4::AcquireMem::read(body);
  const reg::gcr_cntl& gcr = packet.gcr_cntl;
  if (packet.size_lo != ~0u || packet.base_lo || packet.base_hi)
    return fault("unsupported-packet", "acts on a range of addresses, which is not modelled");
  if (gcr.gl2_discard) return fault("bad-packet", "GL2_DISCARD drops data that has not been written back");
  if (gcr.glm_wb && !gcr.glm_inv) return fault("bad-packet", "GLM_WB without GLM_INV");
  if (gcr.gl1_range || gcr.gl2_range || gcr.range_is_pa)
    return fault("unsupported-packet", "a cache range is not modelled");
  invalidate(body.back());
  gpu_.counters.count(&QueueCounters::acquires);
  return Step::next;
}

CommandProcessor::Step CommandProcessor::release_mem(std::span<const u32> body) {
  using P = pm4::ReleaseMem;
  const auto packet = P::read(body);
  if (packet.event_type != P::cache_flush_and_inv_ts && packet.event_type != P::bottom_of_pipe_ts &&
      packet.event_type != P::cs_done)
    return fault("unsupported-packet", "event type " + std::to_string(packet.event_type) + " is not modelled");
  const u32 index = packet.event_type == P::cs_done ? P::index_cs_done : P::index_end_of_pipe;
  if (packet.event_index != index)
    return fault("bad-packet", "event index " + std::to_string(packet.event_index) + ", not " + std::to_string(index));
  if (packet.execute || packet.pws_enable || packet.wait_sync)
    return fault("unsupported-packet", "EXECUTE, PWS and WAIT_SYNC are not modelled");
  if (packet.gl2_discard) return fault("bad-packet", "GL2_DISCARD drops data that has not been written back");
  if (packet.dst_sel > P::dst_l2) return fault("bad-packet", "unknown destination");
  const u64 va = canonical(packet.address);
  const u64 clock = Gpu::ticks(time_ns());
  const u64 value = packet.data_sel >= P::data_gpu_clock ? clock : packet.data;
  u64 size = 8;
  switch (packet.data_sel) {
    case P::data_none: size = 0; break;
    case P::data_32_bit: size = 4; break;
    case P::data_64_bit:
    case P::data_gpu_clock:
    case P::data_system_clock: break;
    default: return fault("bad-packet", "unknown data selector " + std::to_string(packet.data_sel));
  }
  if (size && va % size)
    return fault("bad-packet", "writes " + std::to_string(size) + " bytes to " + hex(va) + ", not aligned", va);
  if (size && !write(va, &value, size, {.end_of_pipe = true})) return Step::stop;
  // The cache actions happen when the pipe has drained; only who waits for the value knows that they have.
  const u32 gcr = packet.glv_inv << 8 | packet.gl1_inv << 9 | packet.glk_inv << 7 | packet.gl2_inv << 14;
  if (size) releases_[va] = {.epoch = vm_.caches.issued, .gcr_bits = gcr};
  return Step::next;
}

CommandProcessor::Step CommandProcessor::wait_reg_mem(std::span<const u32> body) {
  using P = pm4::WaitRegMem;
  const auto packet = P::read(body);
  if (packet.mem_space != P::space_memory)
    return fault("unsupported-packet", "waits on a register, which is not modelled");
  if (packet.operation != P::wait) return fault("unsupported-packet", "write-wait-write is not modelled");
  if (packet.engine_sel) return fault("bad-packet", "names the PFP, which a compute queue lacks");
  if (packet.function > P::greater) return fault("bad-packet", "unknown comparison");
  const u64 va = canonical(packet.address);
  if (va % 4) return fault("bad-packet", "address " + hex(va) + " is not a multiple of 4", va);
  u32 value = 0;
  if (!read(va, &value, 4, {.checked = false})) return Step::stop;
  if (!compare_values(packet.function, value & packet.mask, packet.reference)) return Step::again;
  if (const auto release = releases_.find(va); release != releases_.end()) {
    vm_.caches.completed = std::max(vm_.caches.completed, release->second.epoch);
    invalidate(release->second.gcr_bits);
  }
  return Step::next;
}

CommandProcessor::Step CommandProcessor::write_data(std::span<const u32> body) {
  using P = pm4::WriteData;
  const auto packet = P::read(body);
  if (packet.dst_sel != P::dst_l2 && packet.dst_sel != P::dst_memory)
    return fault("unsupported-packet", "writes to destination " + std::to_string(packet.dst_sel) + ", not to memory");
  if (packet.addr_incr) return fault("unsupported-packet", "writing all words to one address is not modelled");
  if (packet.engine_sel) return fault("bad-packet", "names an engine that a compute queue lacks");
  if (packet.address % 4) return fault("bad-packet", "address " + hex(packet.address) + " is not a multiple of 4");
  if (packet.data.empty()) return fault("bad-packet", "has no data");
  return write(canonical(packet.address), packet.data.data(), packet.data.size_bytes(), {}) ? Step::next : Step::stop;
}

// Register ends of COPY_DATA: a dword offset from the start of all registers. Those that an IB may write, and of them
// only SH registers can be read: this device keeps no others.
CommandProcessor::Step CommandProcessor::write_registers(u64 offset, std::span<const u32> values) {
  for (const RegisterSpace space : {RegisterSpace::sh, RegisterSpace::uconfig})
    if (offset * 4 >= space_base(space) && offset * 4 < space_end(space))
      return set_registers(space, u32(offset) - space_base(space) / 4, values);
  return fault("unknown-register", "register " + hex(offset * 4) + " is not one that an IB may write here");
}

bool CommandProcessor::read_registers(u64 offset, u32 count, u64& value) {
  value = 0;
  for (u32 i = 0; i < count; ++i) {
    const u64 address = (offset + i) * 4;
    const bool is_sh = address >= space_base(RegisterSpace::sh) && address < space_end(RegisterSpace::sh);
    if (!is_sh || !find_register(u32(address)))
      return fault("unsupported-packet", "reading register " + hex(address) + " is not modelled"), false;
    if (!sh_set_[index_of(u32(address))])
      return fault("unset-register", "reads " + find_register(u32(address))->name + ", which this job has not set"), false;
    value |= u64(sh_[index_of(u32(address))]) << (32 * i);
  }
  return true;
}

CommandProcessor::Step CommandProcessor::copy_data(std::span<const u32> body) {
  using P = pm4::CopyData;
  const auto packet = P::read(body);
  const u64 size = packet.count_sel ? 8 : 4;
  u64 value = 0;
  switch (packet.src_sel) {
    case P::src_memory:
    case P::src_l2:
      if (packet.source % size) return fault("bad-packet", "source " + hex(packet.source) + " is not aligned");
      if (!read(canonical(packet.source), &value, size, {})) return Step::stop;
      break;
    case P::src_immediate: value = packet.source; break;
    case P::src_register:
      if (!read_registers(packet.source, u32(size / 4), value)) return Step::stop;
      break;
    case P::src_gpu_clock:
    case P::src_system_clock: value = Gpu::ticks(time_ns()); break;
    default: return fault("unsupported-packet", "source " + std::to_string(packet.src_sel) + " is not modelled");
  }
  if (packet.engine_sel) return fault("bad-packet", "names an engine that a compute queue lacks");
  if (packet.dst_sel == P::dst_register) {
    const u32 words[] = {u32(value), u32(value >> 32)};
    return write_registers(packet.destination, std::span(words).first(size / 4));
  }
  if (packet.dst_sel != P::dst_l2 && packet.dst_sel != P::dst_memory)
    return fault("unsupported-packet", "destination " + std::to_string(packet.dst_sel) + " is not modelled");
  if (packet.destination % size)
    return fault("bad-packet", "destination " + hex(packet.destination) + " is not aligned");
  return write(canonical(packet.destination), &value, size, {}) ? Step::next : Step::stop;
}

CommandProcessor::Step CommandProcessor::dma_data(std::span<const u32> body) {
  using P = pm4::DmaData;
  const auto packet = P::read(body);
  if (packet.sas || packet.das || packet.saic || packet.daic)
    return fault("unsupported-packet", "register and fixed addresses are not modelled");
  if (packet.dst_sel == P::dst_gds) return fault("unsupported-packet", "GDS is not modelled");
  if (packet.engine_sel) return fault("bad-packet", "names the PFP, which a compute queue lacks");
  std::vector<u8> data(packet.byte_count);
  if (data.empty()) return Step::next;
  if (packet.dst_sel == P::dst_nowhere) {      // brings code into L2: an access like any other, without an effect
    const bool from_memory = packet.src_sel == P::src_address || packet.src_sel == P::src_l2;
    if (!from_memory) return fault("bad-packet", "prefetches from source " + std::to_string(packet.src_sel));
    return read(canonical(packet.source), data.data(), data.size(), {.checked = false}) ? Step::next : Step::stop;
  }
  if (packet.src_sel == P::src_data) {
    const u32 word = u32(packet.source);
    for (size_t i = 0; i < data.size(); ++i) data[i] = u8(word >> (i % 4 * 8));
  } else if (packet.src_sel == P::src_address || packet.src_sel == P::src_l2) {
    if (!read(canonical(packet.source), data.data(), data.size(), {})) return Step::stop;
  } else {
    return fault("unsupported-packet", "source " + std::to_string(packet.src_sel) + " is not modelled");
  }
  return write(canonical(packet.destination), data.data(), data.size(), {}) ? Step::next : Step::stop;
}

// Command 1 repeats a compare-and-swap until it has swapped.
CommandProcessor::Step CommandProcessor::atomic_mem(std::span<const u32> body) {
  const auto packet = pm4::AtomicMem::read(body);
  const bool wide = packet.atomic & 0x20;
  const u32 op = packet.atomic & 0x1f;
  const u64 size = wide ? 8 : 4, mask = wide ? ~0ull : 0xffffffffull;
  const u64 va = canonical(packet.address);
  if (packet.command > 1 || (packet.command == 1 && op != atomic_cmpswap))
    return fault("unsupported-packet", "command " + std::to_string(packet.command) + " is not modelled");
  if (va % size) return fault("bad-packet", "address " + hex(va) + " is not aligned", va);
  u64 old = 0, result = 0;
  if (!read(va, &old, size, {.checked = packet.command == 0})) return Step::stop;
  if (!combine_atomic(op, old, packet.source_data & mask, packet.compare_data & mask, wide, result))
    return fault("unsupported-packet", "atomic operation " + hex(packet.atomic) + " is not modelled");
  if (packet.command == 1 && old != (packet.compare_data & mask)) return Step::again;
  return write(va, &result, size, {.checked = packet.command == 0}) ? Step::next : Step::stop;
}

// GL1 stands between L2 and both vector and scalar caches; instructions come past it.
void CommandProcessor::invalidate(u32 gcr_bits) {
  CacheState& caches = vm_.caches;
  if ((gcr_bits & bit_glv) && (gcr_bits & bit_gl1)) {
    caches.visible_vector = caches.completed;
    cpu_vector_ = true;
  }
  if ((gcr_bits & bit_glk) && (gcr_bits & bit_gl1)) {
    caches.visible_scalar = caches.completed;
    cpu_scalar_ = true;
  }
  if (gcr_bits & bit_gli) {
    caches.visible_instruction = caches.completed;
    cpu_instruction_ = true;
    ++vm_.code_generation;
  }
  if (gcr_bits & bit_gl2) cpu_l2_ = true;
}

}  // namespace amlm::vgpu
