#include "driver/queue.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "driver/device_impl.h"
#include "driver/job_error.h"

namespace amlm {

namespace {

constexpr u32 max_ibs = 16;                     // the kernel allows 125 on a compute ring (INFO MAX_IBS)
constexpr u32 ring = 0;                         // one scheduler entity: its jobs stay in order
constexpr auto goodbye = std::chrono::seconds(5);
constexpr u32 memory_retries = 1000;            // of 1 ms: other processes may be giving memory back (as RADV does)

}  // namespace

struct Queue::Impl {
  Device* device = nullptr;
  amdgpu_context_handle context = nullptr;
  u64 submitted = 0;          // last point handed out
  u64 reached = 0;            // highest point that is over
  u64 in_flight = 0;          // jobs that may still run
  u64 first = 0;              // point of this context's sequence number 0
  struct Lost { u64 after, through; };
  std::vector<Lost> lost;     // points that went down with an earlier context
  Error failure{ErrorCode::ok, 0, ""};
  QueueCounts counts;

  // Whatever the last job comes to was reported by an earlier wait, or nobody wants to know any more.
  ~Impl() {
    if (!is_lost() && submitted > reached) (void)query(submitted, goodbye);
    if (context != nullptr) amdgpu_cs_ctx_free(context);
    set_in_flight(0);
  }

  // The device counts the jobs of all queues: while there are any, no buffer may go.
  void set_in_flight(u64 jobs) {
    device->impl().jobs_in_flight += jobs - in_flight;
    in_flight = jobs;
  }

  void set_reached(u64 point) {
    reached = point;
    set_in_flight(submitted - reached);
  }

  // This context takes no more work. Jobs that were on the ring behind the failed one may still run after a reset, so
  // the last of them is waited for; how it ends no longer matters.
  std::unexpected<Error> lose(int error) {
    failure = job_error(*device, context, -error);
    if (submitted > first) (void)query(submitted, goodbye);
    set_in_flight(0);
    return std::unexpected(failure);
  }

  struct Answer { int error; bool done; };
  Answer query(u64 point, std::chrono::nanoseconds timeout) {
    amdgpu_cs_fence fence{.context = context, .ip_type = AMDGPU_HW_IP_COMPUTE, .ip_instance = 0, .ring = ring,
                          .fence = point - first};
    u32 expired = 0;
    counts.waits++;
    const int error = amdgpu_cs_query_fence_status(&fence, u64(timeout.count()), 0, &expired);
    return {error, expired != 0};
  }

  bool is_lost() const { return failure.code != ErrorCode::ok; }
  Result<bool> ask(u64 point, std::chrono::nanoseconds timeout);
};

Queue::Queue(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Queue::Queue(Queue&&) noexcept = default;
Queue& Queue::operator=(Queue&&) noexcept = default;

Queue::~Queue() = default;

Result<Queue> Queue::create(Device& device) {
  auto impl = std::make_unique<Impl>();
  impl->device = &device;
  if (const int error = amdgpu_cs_ctx_create2(device.impl().handle, AMDGPU_CTX_PRIORITY_NORMAL, &impl->context);
      error != 0)
    return impl->context = nullptr,
           fail(ErrorCode::kernel, text("the kernel refuses a submission context: %s", std::strerror(-error)), -error);
  return Queue(std::move(impl));
}

u64 Queue::submitted() const { return impl_->submitted; }
const QueueCounts& Queue::counts() const { return impl_->counts; }

Result<u64> Queue::submit(std::span<const BufferView> ibs) {
  check(!ibs.empty() && ibs.size() <= max_ibs, "1 to 16 indirect buffers");
  if (impl_->is_lost()) return std::unexpected(impl_->failure);
  std::array<drm_amdgpu_cs_chunk_ib, max_ibs> bodies{};
  std::array<drm_amdgpu_cs_chunk, max_ibs> chunks{};
  for (std::size_t i = 0; i < ibs.size(); i++) {
    check(ibs[i].va % 32 == 0 && ibs[i].size_bytes % 32 == 0 && ibs[i].size_bytes != 0, "an unpadded indirect buffer");
    bodies[i].va_start = ibs[i].va;
    bodies[i].ib_bytes = u32(ibs[i].size_bytes);
    bodies[i].ip_type = AMDGPU_HW_IP_COMPUTE;
    bodies[i].ring = ring;
    chunks[i].chunk_id = AMDGPU_CHUNK_ID_IB;
    chunks[i].length_dw = sizeof bodies[i] / 4;
    chunks[i].chunk_data = reinterpret_cast<std::uintptr_t>(&bodies[i]);
  }
  __builtin_ia32_sfence();                       // write-combined stores of ours are on their way before the GPU starts
  u64 sequence = 0;
  int error = 0;
  for (u32 attempt = 0; attempt < memory_retries; attempt++) {
    impl_->counts.submits++;
    error = amdgpu_cs_submit_raw2(impl_->device->impl().handle, impl_->context, 0, int(ibs.size()), chunks.data(),
                                  &sequence);
    if (error != -ENOMEM) break;
    usleep(1000);
  }
  if (error == -ETIME || error == -ECANCELED || error == -ENODATA) return impl_->lose(error);
  if (error == -ENOMEM)
    return fail(ErrorCode::memory,
                "the kernel cannot bring our buffers into GTT: other processes use too much memory", ENOMEM);
  if (error != 0)
    return fail(ErrorCode::kernel, text("the kernel refuses a submission: %s", std::strerror(-error)), -error);
  if (impl_->first + sequence != impl_->submitted + 1)
    return fail(ErrorCode::kernel, text("the kernel numbered a submission %llu; %llu was due",
                                        static_cast<unsigned long long>(sequence),
                                        static_cast<unsigned long long>(impl_->submitted + 1 - impl_->first)));
  impl_->submitted++;
  impl_->set_in_flight(impl_->submitted - impl_->reached);
  return impl_->submitted;
}

// False: not yet.
Result<bool> Queue::Impl::ask(u64 point, std::chrono::nanoseconds timeout) {
  check(point <= submitted, "a point that nobody submitted");
  for (const auto& range : lost)
    if (point > range.after && point <= range.through)
      return fail(ErrorCode::gpu_fault, "this work was lost with an earlier GPU context", ECANCELED);
  if (point <= reached) return true;
  if (is_lost()) return std::unexpected(failure);
  const Answer answer = query(point, timeout);
  if (answer.error != 0) return lose(answer.error);
  if (answer.done) set_reached(point);
  return answer.done;
}

Result<bool> Queue::reached(u64 point) { return impl_->ask(point, {}); }

Result<void> Queue::wait(u64 point, std::chrono::milliseconds timeout) {
  const bool done = TRY(impl_->ask(point, timeout));
  if (done) return {};
  return std::unexpected(unfinished(timeout));
}

Error Queue::unfinished(std::chrono::milliseconds waited) {
  return {ErrorCode::gpu_fault, ETIMEDOUT,
          text("the GPU has not finished after %.1f s, and the kernel has not cancelled the job: it is still running, or "
               "waits behind other programs' work", double(waited.count()) / 1000)};
}

Result<void> Queue::recover() {
  amdgpu_context_handle fresh = nullptr;
  if (const int error = amdgpu_cs_ctx_create2(impl_->device->impl().handle, AMDGPU_CTX_PRIORITY_NORMAL, &fresh);
      error != 0)
    return fail(ErrorCode::kernel, text("the kernel refuses a new submission context after a fault: %s",
                                        std::strerror(-error)), -error);
  amdgpu_cs_ctx_free(impl_->context);            // ends what is left of the old one's jobs
  impl_->context = fresh;
  if (impl_->reached < impl_->submitted) impl_->lost.push_back({impl_->reached, impl_->submitted});
  impl_->set_reached(impl_->submitted);
  impl_->first = impl_->submitted;
  impl_->failure = {ErrorCode::ok, 0, ""};
  return {};
}

}  // namespace amlm
