// From the SH registers and a DISPATCH packet to the executor.
#include <string.h>

#include "driver/virtual/command_processor.h"
#include "driver/virtual/label.h"

namespace amlm::vgpu {

namespace {

using reg::compute_dispatch_initiator;

// A wave alone issues an instruction every four or five clocks at best: more than these in a job timeout cannot be.
constexpr u64 wave_instructions_per_ms = 500'000;
constexpr u32 max_group_lanes = 1024, max_lds_bytes = 64 << 10, shader_engines = 2, user_data_registers = 16;

// Registers that every dispatch reads. The rest is read on a condition (check_registers) or is a hint.
constexpr u32 always_used[] = {
    reg::compute_pgm_lo::address,          reg::compute_pgm_hi::address,
    reg::compute_pgm_rsrc1::address,       reg::compute_pgm_rsrc2::address,
    reg::compute_pgm_rsrc3::address,       reg::compute_num_thread_x::address,
    reg::compute_num_thread_y::address,    reg::compute_num_thread_z::address,
    reg::compute_resource_limits::address, reg::compute_static_thread_mgmt_se0::address,
    reg::compute_static_thread_mgmt_se1::address,
};
constexpr u32 start_registers[] = {reg::compute_start_x::address, reg::compute_start_y::address,
                                   reg::compute_start_z::address};
constexpr u32 scratch_registers[] = {reg::compute_tmpring_size::address, reg::compute_dispatch_scratch_base_lo::address,
                                     reg::compute_dispatch_scratch_base_hi::address};

u64 hash_code(const u8* data, u64 size) {
  u64 hash = size;
  for (u64 at = 0; at + 8 <= size; at += 8) {
    u64 word;
    memcpy(&word, data + at, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

CommandProcessor::Step CommandProcessor::dispatch_direct(std::span<const u32> body) {
  const auto packet = pm4::DispatchDirect::read(body);
  return dispatch({packet.dim_x, packet.dim_y, packet.dim_z}, packet.initiator);
}

CommandProcessor::Step CommandProcessor::dispatch_indirect(std::span<const u32> body) {
  const auto packet = pm4::DispatchIndirect::read(body);
  std::array<u32, 3> dims{};
  if (packet.address % 4) return fault("bad-packet", "address " + hex(packet.address) + " is not a multiple of 4");
  if (!read(canonical(packet.address), dims.data(), sizeof dims, {})) return Step::stop;
  return dispatch(dims, packet.initiator);
}

bool CommandProcessor::check_registers(const compute_dispatch_initiator& initiator) {
  const auto need = [&](u32 address, const char* why) {
    if (sh_set_[index_of(address)]) return true;
    fault("unset-register", find_register(address)->name + " was not set by this job, and the dispatch " + why +
                                ": it would use what another process left there");
    return false;
  };
  for (const u32 address : always_used)
    if (!need(address, "reads it")) return false;
  if (!initiator.force_start_at_000)
    for (const u32 address : start_registers)
      if (!need(address, "does not force its start at 0")) return false;
  const auto rsrc2 = get<reg::compute_pgm_rsrc2>();
  if (rsrc2.scratch_en)
    for (const u32 address : scratch_registers)
      if (!need(address, "has SCRATCH_EN")) return false;
  return true;
}

bool CommandProcessor::check_values(const compute_dispatch_initiator& initiator) {
  const auto refuse = [&](const char* kind, const std::string& why) { return fault(kind, why), false; };
  if (!initiator.compute_shader_en) return refuse("bad-dispatch", "COMPUTE_SHADER_EN is unset: no wave would run");
  if (initiator.ordered_append_enbl || initiator.ordered_append_mode || initiator.restore || initiator.amp_shader_en ||
      initiator.scalar_l1_inv_vol || initiator.vector_l1_inv_vol)
    return refuse("unsupported-packet", "an initiator bit other than those of RADV and radeonsi is not modelled");
  const auto rsrc2 = get<reg::compute_pgm_rsrc2>();
  if (rsrc2.user_sgpr > user_data_registers) return refuse("bad-dispatch", "USER_SGPR is more than 16");
  if (rsrc2.trap_present || rsrc2.excp_en || rsrc2.excp_en_msb)
    return refuse("unsupported-packet", "traps and exceptions are not modelled");
  if (rsrc2.tidig_comp_cnt == 3) return refuse("bad-dispatch", "TIDIG_COMP_CNT is 3");
  if (rsrc2.lds_size * 512 > max_lds_bytes)
    return refuse("bad-dispatch", "LDS_SIZE asks for " + std::to_string(rsrc2.lds_size * 512) + " bytes of 65536");
  const auto rsrc3 = get<reg::compute_pgm_rsrc3>();
  if (rsrc3.trap_on_start || rsrc3.trap_on_end) return refuse("unsupported-packet", "traps are not modelled");
  if (rsrc3.shared_vgpr_cnt && initiator.cs_w32_en) return refuse("bad-dispatch", "shared VGPRs need wave64");
  u64 lanes = 1;
  for (const u32 address : {reg::compute_num_thread_x::address, reg::compute_num_thread_y::address,
                            reg::compute_num_thread_z::address}) {
    const auto threads = reg::compute_num_thread_x::read(sh_[index_of(address)]);
    lanes *= threads.num_thread_full;
    if (initiator.partial_tg_en && threads.num_thread_partial > threads.num_thread_full)
      return refuse("bad-dispatch", "NUM_THREAD_PARTIAL is more than NUM_THREAD_FULL");
  }
  if (lanes == 0 || lanes > max_group_lanes)
    return refuse("bad-dispatch", "a workgroup of " + std::to_string(lanes) + " lanes (1 to 1024)");
  const u32 se0 = get<reg::compute_static_thread_mgmt_se0>().word();
  const u32 se1 = get<reg::compute_static_thread_mgmt_se1>().word();
  if (((se0 | se1) & 0x03ff03ff) == 0)
    return refuse("bad-dispatch", "STATIC_THREAD_MGMT leaves no compute unit: no wave would ever start");
  return true;
}

isa::Dispatch CommandProcessor::describe(std::array<u32, 3> dims, const compute_dispatch_initiator& initiator) const {
  isa::Dispatch d;
  const u64 code = u64(get<reg::compute_pgm_hi>().data) << 32 | get<reg::compute_pgm_lo>().data;
  d.code_va = canonical(code << 8);
  d.wave_lanes = initiator.cs_w32_en ? 32 : 64;
  for (u32 i = 0; i < 3; ++i) {
    const auto threads = reg::compute_num_thread_x::read(sh_[index_of(reg::compute_num_thread_x::address) + i]);
    const u32 full = threads.num_thread_full;
    d.group_lanes[i] = full;
    d.groups[i] = dims[i];
    if (initiator.use_thread_dimensions) {
      d.groups[i] = dims[i] / full + (dims[i] % full != 0);
      d.partial_lanes[i] = dims[i] % full;
    } else if (initiator.partial_tg_en) {
      d.partial_lanes[i] = threads.num_thread_partial == full ? 0 : threads.num_thread_partial;
    }
    d.group_start[i] = initiator.force_start_at_000 ? 0 : sh_[index_of(reg::compute_start_x::address) + i];
  }
  const auto rsrc2 = get<reg::compute_pgm_rsrc2>();
  d.rsrc1 = sh_[index_of(reg::compute_pgm_rsrc1::address)];
  d.rsrc2 = sh_[index_of(reg::compute_pgm_rsrc2::address)];
  d.rsrc3 = sh_[index_of(reg::compute_pgm_rsrc3::address)];
  // A kernel may have user SGPRs that it never reads (radeonsi's do): only a read of one that was not set is a fault.
  d.user_data_set = 0;
  for (u32 i = 0; i < user_data_registers; ++i) {
    const u32 at = index_of(reg::compute_user_data_0::address) + i;
    d.user_data[i] = sh_[at];
    d.user_data_set |= u32(sh_set_[at]) << i;
  }
  if (rsrc2.scratch_en) {
    const auto ring = get<reg::compute_tmpring_size>();
    const u64 base = u64(get<reg::compute_dispatch_scratch_base_hi>().data) << 32 |
                     get<reg::compute_dispatch_scratch_base_lo>().data;
    d.scratch_base = canonical(base << 8);
    d.scratch_wave_bytes = ring.wavesize * 256;
    d.scratch_waves = ring.waves * shader_engines;
  }
  return d;
}

isa::Visibility CommandProcessor::visibility() {
  const CacheState& caches = vm_.caches;
  return {.epoch = ++vm_.caches.issued,
          .completed = caches.completed,
          .visible_vector = caches.visible_vector,
          .visible_scalar = caches.visible_scalar,
          .visible_instruction = caches.visible_instruction,
          .cpu_vector = cpu_vector_,
          .cpu_scalar = cpu_scalar_,
          .cpu_instruction = cpu_instruction_,
          .cpu_l2 = cpu_l2_};
}

// What the executor has decoded stays good as long as the code's bytes are the same. They are looked at again after
// each instruction cache invalidation and each change of the page tables.
void CommandProcessor::refresh_code(u64 code_va) {
  constexpr u64 window = 4 << 20;
  const isa::Mapping* mapping = vm_.space.find(code_va);
  if (!mapping) return;                        // the executor reports it
  const bool whole = mapping->size_bytes <= window;
  const u64 from = whole ? mapping->va : code_va;
  const u64 size = whole ? mapping->size_bytes : std::min(window, mapping->va + mapping->size_bytes - code_va);
  const auto known = vm_.code_hashes.find(from);
  if (known != vm_.code_hashes.end() && known->second.generation == vm_.code_generation) return;
  const u64 hash = hash_code(mapping->host + (from - mapping->va), size);
  if (known != vm_.code_hashes.end() && known->second.hash != hash) {
    vm_.executor->forget();
    vm_.code_hashes.clear();
    vm_.labels.clear();
  }
  vm_.code_hashes[from] = {hash, vm_.code_generation};
}

CommandProcessor::Step CommandProcessor::dispatch(std::array<u32, 3> dims,
                                                  const compute_dispatch_initiator& initiator) {
  if (!check_registers(initiator) || !check_values(initiator)) return Step::stop;
  isa::Dispatch d = describe(dims, initiator);
  refresh_code(d.code_va);
  auto& label = vm_.labels[d.code_va];
  if (label.empty()) label = label_of_code(vm_.space, d.code_va);
  d.label = label;
  if (d.groups[0] == 0 || d.groups[1] == 0 || d.groups[2] == 0) return Step::next;
  if (!follow_script(d.label)) return Step::stop;
  const u64 timeout_ms = gpu_.config.job_timeout_ms;
  const isa::RunOptions options{.mode = gpu_.config.mode,
                                .seed = gpu_.config.seed + vm_.caches.issued,
                                .instruction_limit = timeout_ms ? timeout_ms * wave_instructions_per_ms : ~0u,
                                .host_threads = gpu_.config.host_threads,
                                .count_lines = gpu_.config.mode == isa::Mode::strict || gpu_.counters.wants_lines()};
  return report_run(d, vm_.executor->run(d, vm_.space, visibility(), options));
}

// False: the script ends the job here.
bool CommandProcessor::follow_script(const std::string& label) {
  for (const Action& action : scripted({.name = "DISPATCH", .busy_ns = gpu_.busy_ns + modelled_ns_, .kernel = label})) {
    if (action.kind == Action::Kind::stall) {
      modelled_ns_ += action.amount;
      continue;
    }
    job_.ended_by = action;
    fault("injected", label + ": " + apply_to_job(action, vm_));
    return false;
  }
  return true;
}

CommandProcessor::Step CommandProcessor::report_run(const isa::Dispatch& dispatch, const isa::RunReport& report) {
  gpu_.counters.add(dispatch, report, time_ns(), vm_.space);
  modelled_ns_ += report.modelled_ns;
  if (!report.fault) return Step::next;
  const isa::Fault& f = *report.fault;
  failed_ = true;
  const bool is_page_fault = f.kind == "unmapped" || f.kind == "no-read" || f.kind == "no-write" || f.kind == "no-exec";
  const bool is_write = f.sentence.find(": write of ") != std::string::npos;
  if (is_page_fault) vm_.page_fault(f.address, is_write);
  const u64 va = ib_va_ + at_ * 4;
  gpu_.faults.report({.sentence = f.sentence + " (" + packet_name_ + " at " + hex(va) + ")", .kind = f.kind,
                      .label = f.label.empty() ? dispatch.label : f.label, .pc = f.pc, .address = f.address,
                      .group = f.group, .wave = f.wave, .lane = f.lane, .packet_va = va});
  return Step::stop;
}

}  // namespace amlm::vgpu
