#include "driver/ib.h"

#include <algorithm>
#include <cstring>

#include "driver/tables/tables.h"

namespace amlm {

namespace {

constexpr u32 ib_alignment_dw = 8;              // HW_IP_INFO reports 32 bytes for start and size (driver.md 2.4)
constexpr u32 ib_limit_dw = 0xfffff;            // the size field of the kernel's INDIRECT_BUFFER
constexpr u32 lds_granule_bytes = 512;          // of COMPUTE_PGM_RSRC2.LDS_SIZE
constexpr u32 shader_engines = 2;               // COMPUTE_TMPRING_SIZE.WAVES counts for each
constexpr u32 scratch_granule_bytes = 256, compute_unit_waves = 32;

u32 sh_offset(u32 byte_address) { return (byte_address - space_base(RegisterSpace::sh)) / 4; }

void write_event(std::vector<u32>& words) {
  pm4::EventWrite{.event_type = pm4::EventWrite::cs_partial_flush,
                  .event_index = pm4::EventWrite::index_partial_flush}.write(words);
}

// The whole address range, as RADV and the kernel state it; 10 clocks between polls.
void write_acquire(std::vector<u32>& words, const reg::gcr_cntl& caches) {
  pm4::AcquireMem{.size_lo = ~0u, .size_hi = 0xffffff, .poll_interval = 10, .gcr_cntl = caches}.write(words);
}

}  // namespace

IbBuilder::IbBuilder(std::span<u32> memory, u64 va) : memory_(memory), va_(va) {
  check(va % (ib_alignment_dw * 4) == 0, "an indirect buffer starts on 32 bytes");
}

IbBuilder::IbBuilder(const Buffer& target, u64 offset_bytes)
    : IbBuilder((check(target.data() != nullptr && offset_bytes % 4 == 0 && offset_bytes <= target.size_bytes(),
                       "an indirect buffer needs CPU-mapped memory"),
                 std::span<u32>(target.as<u32>(offset_bytes), (target.size_bytes() - offset_bytes) / 4)),
                target.va() + offset_bytes) {}

// 0xC3B1: instruction, scalar, vector and L1 caches; L2 written back and dropped, for what the CPU wrote past it.
// The partial flush comes first: the kernel lets a queue's next IB start while waves of the one before still run.
void IbBuilder::acquire_all() {
  write_event(words_);
  write_acquire(words_, {.gli_inv = reg::gcr_cntl::gli_inv_all, .glm_wb = 1, .glm_inv = 1, .glk_inv = 1, .glv_inv = 1,
                         .gl1_inv = 1, .gl2_inv = 1, .gl2_wb = 1});
}

u64 scratch_bytes(const Kernel& kernel, const DeviceFacts& facts) {
  return u64(kernel.scratch_wave_bytes()) * compute_unit_waves * facts.compute_units;
}

void IbBuilder::begin() {
  words_.clear();
  staged_.clear();
  written_.fill(std::nullopt);
  counts_ = {};
  begun_ = true;
  acquire_all();
  synchronized_ = true;

  stage(reg::compute_start_x{});
  stage(reg::compute_start_y{});
  stage(reg::compute_start_z{});
  stage(reg::compute_dispatch_pkt_addr_lo{});
  stage(reg::compute_dispatch_pkt_addr_hi{});
  stage(reg::compute_dispatch_scratch_base_lo{});
  stage(reg::compute_dispatch_scratch_base_hi{});
  stage(reg::compute_resource_limits{});
  // gfx1151 has two shader engines. A mask may name CUs that are absent or fused off; the kernel's own state does.
  stage(reg::compute_static_thread_mgmt_se0{.sa0_cu_en = 0xffff, .sa1_cu_en = 0xffff});
  stage(reg::compute_static_thread_mgmt_se1{.sa0_cu_en = 0xffff, .sa1_cu_en = 0xffff});
  stage(reg::compute_tmpring_size{});
  stage(reg::compute_static_thread_mgmt_se2{});
  stage(reg::compute_static_thread_mgmt_se3{});
  stage(reg::compute_restart_x{});
  stage(reg::compute_restart_y{});
  stage(reg::compute_restart_z{});
  stage(reg::compute_req_ctrl{});
  stage(reg::compute_user_accum_0{});
  stage(reg::compute_user_accum_1{});
  stage(reg::compute_user_accum_2{});
  stage(reg::compute_user_accum_3{});
  stage(reg::compute_shader_chksum{});
  stage(reg::compute_static_thread_mgmt_se4{});
  stage(reg::compute_static_thread_mgmt_se5{});
  stage(reg::compute_static_thread_mgmt_se6{});
  stage(reg::compute_static_thread_mgmt_se7{});
  stage(reg::compute_dispatch_interleave{.interleave = 64});
  stage(reg::compute_dispatch_tunnel{});
}

void IbBuilder::dispatch(const DispatchCall& call) {
  check(begun_, "dispatch before begin()");
  check(call.kernel != nullptr, "dispatch without a kernel");
  const Kernel& kernel = *call.kernel;
  const u32 lanes_x = call.group_lanes[0] != 0 ? call.group_lanes[0] : kernel.group_lanes;
  check(lanes_x != 0, "neither the call nor the kernel states the workgroup's size");
  check(u64(lanes_x) * call.group_lanes[1] * call.group_lanes[2] <= 1024 && call.group_lanes[1] != 0 &&
            call.group_lanes[2] != 0, "a workgroup has 1 to 1024 lanes");
  check(call.groups[0] != 0 && call.groups[1] != 0 && call.groups[2] != 0, "an empty grid");
  check(kernel.code_va % 256 == 0, "code starts on 256 bytes");
  check(kernel.kernarg_bytes == 0 || (call.kernarg_va != 0 && call.kernarg_va % 8 == 0), "kernarg address");

  stage(reg::compute_pgm_lo{.data = u32(kernel.code_va >> 8)});
  stage(reg::compute_pgm_hi{.data = u32(kernel.code_va >> 40) & 0xff});   // 48-bit addresses
  auto rsrc2 = reg::compute_pgm_rsrc2::read(kernel.rsrc2);
  rsrc2.lds_size = (kernel.lds_bytes + lds_granule_bytes - 1) / lds_granule_bytes;
  stage(reg::compute_pgm_rsrc1::address, kernel.rsrc1);
  stage(rsrc2);
  stage(reg::compute_pgm_rsrc3::address, kernel.rsrc3);
  stage(reg::compute_num_thread_x{.num_thread_full = lanes_x});
  stage(reg::compute_num_thread_y{.num_thread_full = call.group_lanes[1]});
  stage(reg::compute_num_thread_z{.num_thread_full = call.group_lanes[2]});
  if (kernel.scratch_lane_bytes != 0) stage_scratch(kernel, call.scratch);
  if (rsrc2.user_sgpr != 0) {
    stage(reg::compute_user_data_0{.data = u32(call.kernarg_va)});
    stage(reg::compute_user_data_1{.data = u32(call.kernarg_va >> 32)});
  }
  write_staged();
  // ORDER_MODE as RADV and radeonsi set it: workgroups start in order.
  pm4::DispatchDirect{.dim_x = call.groups[0], .dim_y = call.groups[1], .dim_z = call.groups[2],
                      .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1, .order_mode = 1,
                                    .cs_w32_en = kernel.wave_lanes == 32 ? 1u : 0u}}.write(words_);
  synchronized_ = false;
  counts_.dispatches++;
}

void IbBuilder::stage_scratch(const Kernel& kernel, const BufferView& scratch) {
  const u64 waves = scratch.size_bytes / kernel.scratch_wave_bytes() / shader_engines;
  check(scratch.va != 0 && scratch.va % scratch_granule_bytes == 0 && waves != 0, "the kernel wants scratch");
  stage(reg::compute_tmpring_size{.waves = u32(std::min<u64>(waves, 0xfff)),
                                  .wavesize = kernel.scratch_wave_bytes() / scratch_granule_bytes});
  stage(reg::compute_dispatch_scratch_base_lo{.data = u32(scratch.va >> 8)});
  stage(reg::compute_dispatch_scratch_base_hi{.data = u32(scratch.va >> 40) & 0xff});
}

void IbBuilder::barrier() {
  check(begun_, "barrier before begin()");
  if (synchronized_) return;
  write_event(words_);
  write_acquire(words_, {.glk_inv = 1, .glv_inv = 1, .gl1_inv = 1});    // 0x380: L2 is shared by all CUs and stays
  synchronized_ = true;
  counts_.barriers++;
}

void IbBuilder::timestamp(u64 va) {
  check(begun_ && va % 8 == 0, "timestamp address");
  pm4::ReleaseMem{.event_type = pm4::ReleaseMem::bottom_of_pipe_ts, .event_index = pm4::ReleaseMem::index_end_of_pipe,
                  .int_sel = pm4::ReleaseMem::confirm_without_int, .data_sel = pm4::ReleaseMem::data_gpu_clock,
                  .address = va}.write(words_);
}

// The caches of the kernel's own fence (gfx_v11_0_ring_emit_fence), without its interrupt.
void IbBuilder::signal(u64 va, u64 value) {
  check(begun_ && va % 8 == 0, "signal address");
  pm4::ReleaseMem{.event_type = pm4::ReleaseMem::cache_flush_and_inv_ts,
                  .event_index = pm4::ReleaseMem::index_end_of_pipe, .glm_wb = 1, .glm_inv = 1, .gl2_wb = 1,
                  .seq = pm4::ReleaseMem::seq_forward, .cache_policy = pm4::ReleaseMem::policy_bypass,
                  .int_sel = pm4::ReleaseMem::confirm_without_int, .data_sel = pm4::ReleaseMem::data_64_bit,
                  .address = va, .data = value}.write(words_);
}

BufferView IbBuilder::finish() {
  check(begun_, "finish before begin()");
  const u32 gap = u32(-words_.size()) % ib_alignment_dw;
  if (gap != 0) {
    const std::array<u32, ib_alignment_dw> zeros{};
    pm4::Nop{.ignored = std::span(zeros).first(gap - 1)}.write(words_);
  }
  check(words_.size() <= memory_.size(), "the indirect buffer is too small");
  check(words_.size() <= ib_limit_dw, "an indirect buffer has at most 0xfffff dwords");
  std::memcpy(memory_.data(), words_.data(), words_.size() * 4);
  counts_.dwords = u32(words_.size());
  begun_ = false;
  return {va_, words_.size() * 4};
}

void IbBuilder::stage(u32 byte_address, u32 word) {
  const u32 offset = sh_offset(byte_address);
  next_[offset] = word;
  const bool waiting = std::ranges::find(staged_, offset) != staged_.end();
  if (!waiting && written_[offset] != word) staged_.push_back(offset);
}

// One SET_SH_REG for each run of neighbours.
void IbBuilder::write_staged() {
  std::ranges::sort(staged_);
  for (std::size_t first = 0; first < staged_.size();) {
    std::vector<u32> values;
    std::size_t at = first;
    for (; at < staged_.size() && staged_[at] == staged_[first] + (at - first); at++) {
      values.push_back(next_[staged_[at]]);
      written_[staged_[at]] = next_[staged_[at]];
    }
    pm4::SetShReg{.reg_offset = staged_[first], .values = values}.write(words_);
    first = at;
  }
  staged_.clear();
}

}  // namespace amlm
