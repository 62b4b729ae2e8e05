#include "driver/virtual/front_end.h"

#include <stdio.h>

#include <thread>

#include "driver/tables/tables.h"

namespace amlm::vgpu {

namespace {

constexpr u32 max_ib_dw = 0xfffff;            // INDIRECT_BUFFER.IB_SIZE
constexpr u64 ib_start_alignment = 32;        // the address field of INDIRECT_BUFFER and of SDMA's INDIRECT

// GL2's atomic operations, TC_OP of Mesa's sid.h and AMD's gfx enum headers; +0x20 = 64 bits, +0x40 = returns
// nothing.
enum AtomicOp : u32 {
  atomic_swap = 0x07, atomic_add = 0x0f, atomic_sub = 0x10, atomic_smin = 0x11,
  atomic_umin = 0x12, atomic_smax = 0x13, atomic_umax = 0x14, atomic_and = 0x15, atomic_or = 0x16, atomic_xor = 0x17,
  atomic_inc = 0x18, atomic_dec = 0x19,
};

}  // namespace

bool combine_atomic(u32 op, u64 old, u64 data, u64 compare, bool wide, u64& result) {
  const auto as_signed = [&](u64 value) { return wide ? i64(value) : i64(i32(value)); };
  switch (op) {
    case atomic_swap: result = data; return true;
    case atomic_cmpswap: result = old == compare ? data : old; return true;
    case atomic_add: result = old + data; return true;
    case atomic_sub: result = old - data; return true;
    case atomic_smin: result = as_signed(data) < as_signed(old) ? data : old; return true;
    case atomic_umin: result = data < old ? data : old; return true;
    case atomic_smax: result = as_signed(data) > as_signed(old) ? data : old; return true;
    case atomic_umax: result = data > old ? data : old; return true;
    case atomic_and: result = old & data; return true;
    case atomic_or: result = old | data; return true;
    case atomic_xor: result = old ^ data; return true;
    case atomic_inc: result = old >= data ? 0 : old + 1; return true;
    case atomic_dec: result = old == 0 || old > data ? data : old - 1; return true;
    default: return false;
  }
}

bool compare_values(u32 function, u32 value, u32 reference) {
  using P = pm4::WaitRegMem;
  switch (function) {
    case P::always: return true;
    case P::less: return value < reference;
    case P::less_equal: return value <= reference;
    case P::equal: return value == reference;
    case P::not_equal: return value != reference;
    case P::greater_equal: return value >= reference;
    default: return value > reference;
  }
}

std::string hex(u64 value) {
  char text[20];
  snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

FrontEnd::FrontEnd(Gpu& gpu, Job& job, u64 start_ns, u32 size_alignment_dw)
    : gpu_(gpu), job_(job), vm_(*job.vm), start_ns_(start_ns), size_alignment_dw_(size_alignment_dw),
      modelled_ns_(job.stall_ns) {
  const std::lock_guard executing(vm_.executing);
  if (job.starts_idle) vm_.caches.completed = vm_.caches.issued;
}

FrontEnd::Status FrontEnd::run() {
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

bool FrontEnd::next_ib() {
  const Ib ib = job_.ibs[next_ib_++];
  return enter(ib.va, ib.size_dw, "the submission's indirect buffer");
}

bool FrontEnd::enter(u64 va, u32 size_dw, const char* how) {
  packet_name_ = how;
  ib_va_ = va;
  at_ = 0;
  words_.clear();
  if (size_dw > max_ib_dw)
    return fault("ib-size", "has " + std::to_string(size_dw) + " dwords: the packet that starts it holds 20 bits of them"),
           false;
  if (va % ib_start_alignment)
    return fault("ib-alignment", "starts at " + hex(va) + ", not at a multiple of 32 bytes"), false;
  if (size_dw % size_alignment_dw_)
    return fault("ib-padding", "has " + std::to_string(size_dw) + " dwords: not padded to a multiple of " +
                                   std::to_string(size_alignment_dw_)), false;
  std::vector<u32> words(size_dw);
  if (size_dw && !read(va, words.data(), u64(size_dw) * 4, {.checked = false})) return false;
  words_ = std::move(words);
  gpu_.counters.indirect_buffer(va, words_);
  return true;
}

void FrontEnd::report_endless_wait() {
  fault("job-timeout",
        "was not satisfied within the job timeout of " + std::to_string(gpu_.config.job_timeout_ms) + " ms");
}

FrontEnd::Step FrontEnd::fault(const char* kind, const std::string& what, u64 address) {
  if (failed_) return Step::stop;              // the first one is the reason
  failed_ = true;
  const u64 va = ib_va_ + at_ * 4;
  gpu_.faults.report({.sentence = std::string(packet_name_) + " at " + hex(va) + " (dword " + std::to_string(at_) +
                                  " of its IB): " + what,
                      .kind = kind, .address = address, .packet_va = va});
  return Step::stop;
}

}  // namespace amlm::vgpu
