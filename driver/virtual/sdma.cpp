// SDMA 6 packets. Numbers and fields: Linux amdgpu/sdma_v6_0_0_pkt_open.h; cache policies and the software swap that a
// field may name have no effect on what is written.
#include "driver/virtual/sdma.h"

#include "driver/tables/tables.h"

namespace amlm::vgpu {

// A packet by operation and sub-operation. `bits`: what of the header, over the two numbers, may be set.
struct SdmaEngine::Row {
  u32 op, sub_op;
  const char* name;
  u32 dwords;                                  // at least; WRITE and NOP say how many more
  u32 bits;
  Handler handler;
};

namespace {

constexpr u32 word_fill = 2;                   // CONST_FILL's fillsize
constexpr u32 copy_parameter_bits = 0x1f1f0000;   // swap and cache policy of destination and source
constexpr u32 count_bits = 0x3fffffff, write_count_bits = 0xfffff, write_swap_bits = 0x03000000;

u64 address(std::span<const u32> packet, u32 at) { return canonical(u64(packet[at + 1]) << 32 | packet[at]); }

}  // namespace

const SdmaEngine::Row* SdmaEngine::find(u32 header) {
  static constexpr Row rows[] = {
      {0, 0, "SDMA NOP", 1, 0x3fff0000, &SdmaEngine::nothing},
      {1, 0, "SDMA COPY_LINEAR", 7, 0, &SdmaEngine::copy_linear},
      {2, 0, "SDMA WRITE_LINEAR", 5, 0, &SdmaEngine::write_linear},
      {5, 0, "SDMA FENCE", 4, 0x03d70000, &SdmaEngine::fence},
      {6, 0, "SDMA TRAP", 2, 0, &SdmaEngine::nothing},
      {8, 0, "SDMA POLL_REGMEM", 6, 0xf0700000, &SdmaEngine::poll_memory},
      {10, 0, "SDMA ATOMIC", 8, 0xfe710000, &SdmaEngine::atomic},
      {11, 0, "SDMA CONST_FILL", 5, 0xc7030000, &SdmaEngine::constant_fill},
      {13, 2, "SDMA TIMESTAMP_GET_GLOBAL", 3, 0, &SdmaEngine::global_timestamp},
  };
  for (const Row& row : rows)
    if (row.op == (header & 0xff) && row.sub_op == (header >> 8 & 0xff)) return &row;
  return nullptr;
}

FrontEnd::Step SdmaEngine::execute() {
  const std::span<const u32> rest = std::span<const u32>(words_).subspan(at_);
  const u32 header = rest[0];
  const Row* row = find(header);
  packet_name_ = row ? row->name : "an SDMA word";
  if (!row)
    return fault("unsupported-packet", "operation " + std::to_string(header & 0xff) + "." +
                                           std::to_string(header >> 8 & 0xff) + " (header " + hex(header) +
                                           ") is not modelled: this ring copies, fills and writes linearly");
  if (const u32 bits = header & 0xffff0000 & ~row->bits)
    return fault("reserved-bits", "sets bits " + hex(bits) + " of its header, which are not modelled");
  u64 length = row->dwords;
  if (row->handler == &SdmaEngine::nothing && row->op == 0) length += header >> 16 & 0x3fff;
  if (row->handler == &SdmaEngine::write_linear && rest.size() > 3) length += rest[3] & write_count_bits;
  if (length > rest.size()) return fault("bad-packet", "runs past the end of the indirect buffer");
  gpu_.counters.count(&QueueCounters::packets);
  const Step step = (this->*row->handler)(rest.first(length));
  if (step == Step::next) at_ += length;
  return step;
}

FrontEnd::Step SdmaEngine::nothing(std::span<const u32>) { return Step::next; }

FrontEnd::Step SdmaEngine::copy_linear(std::span<const u32> packet) {
  if ((packet[1] & ~count_bits) || (packet[2] & ~copy_parameter_bits)) return fault("reserved-bits", "sets reserved bits");
  std::vector<u8> data(u64(packet[1]) + 1);
  if (!read(address(packet, 3), data.data(), data.size(), {})) return Step::stop;
  return write(address(packet, 5), data.data(), data.size(), {}) ? Step::next : Step::stop;
}

FrontEnd::Step SdmaEngine::write_linear(std::span<const u32> packet) {
  if (packet[3] & ~(write_count_bits | write_swap_bits)) return fault("reserved-bits", "sets reserved bits");
  const u64 va = address(packet, 1);
  if (va % 4) return fault("bad-packet", "address " + hex(va) + " is not a multiple of 4", va);
  const auto data = packet.subspan(4);
  return write(va, data.data(), data.size_bytes(), {}) ? Step::next : Step::stop;
}

// Comes after what the ring did before it.
FrontEnd::Step SdmaEngine::fence(std::span<const u32> packet) {
  const u64 va = address(packet, 1);
  if (va % 4) return fault("bad-packet", "address " + hex(va) + " is not a multiple of 4", va);
  return write(va, &packet[3], 4, {.end_of_pipe = true}) ? Step::next : Step::stop;
}

FrontEnd::Step SdmaEngine::poll_memory(std::span<const u32> packet) {
  const u32 function = packet[0] >> 28 & 7;
  const bool is_memory = packet[0] >> 31;
  if (!is_memory) return fault("unsupported-packet", "waits on a register, which is not modelled");
  if (function > pm4::WaitRegMem::greater) return fault("bad-packet", "unknown comparison");
  const u64 va = address(packet, 1);
  if (va % 4) return fault("bad-packet", "address " + hex(va) + " is not a multiple of 4", va);
  u32 value = 0;
  if (!read(va, &value, 4, {.checked = false})) return Step::stop;
  return compare_values(function, value & packet[4], packet[3]) ? Step::next : Step::again;
}

// LOOP repeats a compare-and-swap until it has swapped.
FrontEnd::Step SdmaEngine::atomic(std::span<const u32> packet) {
  const u32 operation = packet[0] >> 25, op = operation & 0x1f;
  const bool wide = operation & 0x20, loops = packet[0] >> 16 & 1;
  const u64 size = wide ? 8 : 4, mask = wide ? ~0ull : 0xffffffffull, va = address(packet, 1);
  if (loops && op != atomic_cmpswap) return fault("bad-packet", "loops on what is not a compare-and-swap");
  if (va % size) return fault("bad-packet", "address " + hex(va) + " is not aligned", va);
  const u64 source = (u64(packet[4]) << 32 | packet[3]) & mask, expected = (u64(packet[6]) << 32 | packet[5]) & mask;
  u64 old = 0, result = 0;
  if (!read(va, &old, size, {.checked = !loops})) return Step::stop;
  if (!combine_atomic(op, old, source, expected, wide, result))
    return fault("unsupported-packet", "atomic operation " + hex(operation) + " is not modelled");
  if (loops && old != expected) return Step::again;
  return write(va, &result, size, {.checked = !loops}) ? Step::next : Step::stop;
}

FrontEnd::Step SdmaEngine::constant_fill(std::span<const u32> packet) {
  if (packet[0] >> 30 != word_fill) return fault("unsupported-packet", "fills bytes or halves, which is not modelled");
  const u64 va = address(packet, 1), size = u64(packet[4] & count_bits) + 1;
  if (va % 4 || size % 4) return fault("bad-packet", hex(size) + " bytes at " + hex(va) + " are not whole words");
  const std::vector<u32> data(size / 4, packet[3]);
  return write(va, data.data(), size, {}) ? Step::next : Step::stop;
}

FrontEnd::Step SdmaEngine::global_timestamp(std::span<const u32> packet) {
  const u64 va = address(packet, 1), ticks = Gpu::ticks(time_ns());
  if (va % 8) return fault("bad-packet", "address " + hex(va) + " is not a multiple of 8", va);
  return write(va, &ticks, 8, {.end_of_pipe = true}) ? Step::next : Step::stop;
}

}  // namespace amlm::vgpu
