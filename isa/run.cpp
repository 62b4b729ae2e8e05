// Deals the workgroups of a dispatch to the host threads, in an order that the seed decides.
#include "isa/run.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <thread>

#include "isa/execute/launch.h"
#include "isa/execute/pool.h"
#include "isa/execute/timing.h"

#include <fmt/format.h>

namespace amlm::isa {

void Counters::add(const Counters& other_counts) {
  // All fields are u64 and nothing else: added as an array.
  static_assert(sizeof(Counters) % sizeof(u64) == 0);
  auto* to = reinterpret_cast<u64*>(this);
  const auto* from = reinterpret_cast<const u64*>(&other_counts);
  for (std::size_t i = 0; i < sizeof(Counters) / sizeof(u64); ++i) to[i] += from[i];
}

namespace {

u32 total_groups(const Dispatch& dispatch) {
  const u64 total = u64(dispatch.groups[0]) * dispatch.groups[1] * dispatch.groups[2];
  check(total < (1ull << 32), "fewer than 2^32 workgroups");
  return u32(total);
}

// A bijection of 0 .. count-1, different for each seed, without a table: i * step + start, step coprime to count.
class Order {
 public:
  Order(u32 count, u64 seed) : count_(count) {
    Random random(seed ^ 0x6a09e667f3bcc909ull);
    start_ = random.below(count);
    do step_ = 1 + random.below(count);
    while (std::gcd(step_, count) != 1);
  }
  u32 at(u32 i) const { return u32((u64(i) * step_ + start_) % count_); }

 private:
  u32 count_, start_ = 0;
  u32 step_ = 1;
};

// The fault of the workgroup that stands first in the order, so that threads do not make it a matter of luck.
struct FirstFault {
  std::mutex mutex;
  std::atomic<u32> position{~0u};
  std::optional<Fault> fault;

  void offer(u32 at, Fault&& found) {
    const std::lock_guard lock(mutex);
    if (at >= position) return;
    position = at;
    fault = std::move(found);
  }
};

std::optional<Fault> refuse(const Dispatch& dispatch) {
  const auto fault = [&](std::string sentence) {
    return Fault{.sentence = fmt::format("{}: {}", dispatch.label.empty() ? "kernel" : dispatch.label, sentence),
                 .kind = "dispatch", .label = dispatch.label, .pc = dispatch.code_va};
  };
  if (dispatch.wave_lanes != 32 && dispatch.wave_lanes != 64)
    return fault(fmt::format("waves have 32 or 64 lanes, not {}", dispatch.wave_lanes));
  const u64 lanes = u64(dispatch.group_lanes[0]) * dispatch.group_lanes[1] * dispatch.group_lanes[2];
  if (lanes == 0 || lanes > 1024) return fault(fmt::format("a workgroup has 1 to 1024 lanes, not {}", lanes));
  for (u32 d = 0; d < 3; ++d)
    if (dispatch.partial_lanes[d] > dispatch.group_lanes[d])
      return fault("the last workgroup of a dimension has more lanes than the others");
  if ((dispatch.rsrc2 >> 15 & 0x1ff) * 512 > lds_hardware_bytes) return fault("more than 64 KiB of LDS");
  return std::nullopt;
}

// Code that changed and was not made visible to instruction fetch (isa/memory.h).
std::optional<Fault> check_code(const Dispatch& dispatch, const Program& program, const AddressSpace& space,
                                const Visibility& visibility) {
  for (const Step& step : program.steps()) {
    const Mapping* mapping = space.find(step.pc);
    if (!mapping || !mapping->shadow) continue;
    const u32 writer =
        std::atomic_ref<u32>(mapping->shadow[(step.pc - mapping->va) / 4].writer_epoch).load(std::memory_order_relaxed);
    const bool fine = writer ? writer <= visibility.visible_instruction && writer <= visibility.completed
                             : visibility.cpu_instruction && (mapping->snooped || visibility.cpu_l2);
    if (fine) continue;
    const char* cache = writer || !visibility.cpu_instruction ? "the instruction cache" : "GL2";
    return Fault{.sentence = fmt::format("{}+{:#x}: instruction fetch from '{}', which {} wrote, without invalidating {}",
                                         dispatch.label.empty() ? "kernel" : dispatch.label, step.pc - dispatch.code_va,
                                         mapping->label, writer ? "an earlier dispatch" : "the CPU", cache),
                 .kind = "stale-read", .label = dispatch.label, .pc = step.pc, .address = step.pc};
  }
  return std::nullopt;
}

}  // namespace

struct Executor::Impl {
  ProgramCache programs;
  Pool pool;
  std::vector<std::unique_ptr<Workplace>> workplaces;

  std::optional<Fault> judge_overwrites(DispatchRun run, u32 threads, u32 groups);
};

// When a workgroup wrote over what another had read: the dispatch again, its workgroups one after the other, upwards and
// then downwards. In one of the two each reader comes after its writer, and what it reads may not be used.
std::optional<Fault> Executor::Impl::judge_overwrites(DispatchRun run, u32 threads, u32 groups) {
  bool seen = false;
  for (u32 i = 0; i < threads; ++i) seen |= workplaces[i]->memory().saw_overwrite();
  if (!seen) return std::nullopt;
  run.overwrites = Overwrites::judged;
  for (const bool upwards : {true, false}) {
    for (u32 i = 0; i < threads; ++i) workplaces[i]->memory().undo();
    workplaces[0]->begin(run, 0, threads);
    for (u32 i = 0; i < groups; ++i)
      if (std::optional<Fault> fault = workplaces[0]->run_group(upwards ? i : groups - 1 - i)) return fault;
  }
  return std::nullopt;
}

Executor::Executor() : impl_(std::make_unique<Impl>()) {}
Executor::~Executor() = default;

void Executor::forget() { impl_->programs.clear(); }

RunReport Executor::run(const Dispatch& dispatch, const AddressSpace& memory, const Visibility& visibility,
                        const RunOptions& options) {
  RunReport report;
  const u32 groups = total_groups(dispatch);
  if (groups == 0) return report;
  if ((report.fault = refuse(dispatch))) return report;
  const Program& program = impl_->programs.at(dispatch.code_va, memory);
  if (options.mode == Mode::strict && (report.fault = check_code(dispatch, program, memory, visibility))) return report;

  const u32 cores = options.host_threads ? options.host_threads : std::max(1u, std::thread::hardware_concurrency());
  u32 threads = std::min(cores, groups);
  if (dispatch.rsrc2 & 1) {
    // Scratch slots are dealt to the threads in equal parts, each enough for one workgroup.
    const u32 lanes = dispatch.group_lanes[0] * dispatch.group_lanes[1] * dispatch.group_lanes[2];
    const u32 waves = (lanes + dispatch.wave_lanes - 1) / dispatch.wave_lanes;
    threads = std::clamp(dispatch.scratch_waves / waves, 1u, threads);
  }
  while (impl_->workplaces.size() < threads) impl_->workplaces.push_back(std::make_unique<Workplace>());

  const DispatchRun run{&dispatch, &memory, &visibility, &options, &impl_->programs, &program};
  const Order order(groups, options.seed);
  std::atomic<u32> next{0};
  FirstFault first;
  const std::function<void(u32)> job = [&](u32 thread) {
    Workplace& workplace = *impl_->workplaces[thread];
    workplace.begin(run, thread, threads);
    for (u32 at; (at = next.fetch_add(1, std::memory_order_relaxed)) < groups;) {
      if (at > first.position.load(std::memory_order_relaxed)) break;
      if (std::optional<Fault> fault = workplace.run_group(order.at(at))) first.offer(at, std::move(*fault));
    }
    workplace.finish();
  };
  impl_->pool.run(threads, job);

  u64 cycles = 0;
  for (u32 i = 0; i < threads; ++i) {
    report.counters.add(impl_->workplaces[i]->counters());
    cycles += impl_->workplaces[i]->cycles();
  }
  report.fault = std::move(first.fault);
  if (!report.fault) report.fault = impl_->judge_overwrites(run, threads, groups);
  report.modelled_ns = modelled_ns(report.counters, cycles, u32(std::min<u64>(report.counters.waves, ~0u)));
  return report;
}

}  // namespace amlm::isa
