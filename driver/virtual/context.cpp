// Contexts, BO lists and priorities. Linux amdgpu_ctx.c, amdgpu_bo_list.c, amdgpu_sched.c.
#include "driver/virtual/context.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/virtual/handlers.h"

namespace amlm::vgpu {

namespace {

bool may_raise_priority() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct caps[2] = {};
  return syscall(SYS_capget, &header, caps) == 0 && (caps[0].effective & (1u << CAP_SYS_NICE));
}

bool is_known_priority(i32 priority) {
  switch (priority) {
    case AMDGPU_CTX_PRIORITY_VERY_LOW:
    case AMDGPU_CTX_PRIORITY_LOW:
    case AMDGPU_CTX_PRIORITY_NORMAL:
    case AMDGPU_CTX_PRIORITY_HIGH:
    case AMDGPU_CTX_PRIORITY_VERY_HIGH: return true;
    default: return false;
  }
}

int allocate(Call& call, drm_amdgpu_ctx& args) {
  i32 priority = args.in.priority;
  if (!is_known_priority(priority)) priority = AMDGPU_CTX_PRIORITY_NORMAL;
  if (priority > AMDGPU_CTX_PRIORITY_NORMAL && !may_raise_priority()) return -EACCES;
  auto context = std::make_shared<Context>();
  context->serial = call.gpu.next_context_serial++;
  context->priority = priority;
  context->reset_counter = context->reset_counter_query = call.gpu.reset_counter;
  context->vram_lost_counter = call.gpu.vram_lost_counter;
  args.out = {};
  args.out.alloc.ctx_id = call.file.contexts.add(std::move(context));
  return 0;
}

int query_state(Call& call, Context& context, drm_amdgpu_ctx& args) {
  args.out = {};
  args.out.state.reset_status = context.reset_counter_query == call.gpu.reset_counter ? AMDGPU_CTX_NO_RESET
                                                                                      : AMDGPU_CTX_UNKNOWN_RESET;
  context.reset_counter_query = call.gpu.reset_counter;
  return 0;
}

int query_state2(Call& call, const Context& context, drm_amdgpu_ctx& args) {
  args.out = {};
  if (context.reset_counter != call.gpu.reset_counter) args.out.state.flags |= AMDGPU_CTX_QUERY2_FLAGS_RESET;
  if (context.vram_lost_counter != call.gpu.vram_lost_counter)
    args.out.state.flags |= AMDGPU_CTX_QUERY2_FLAGS_VRAMLOST;
  if (context.guilty) args.out.state.flags |= AMDGPU_CTX_QUERY2_FLAGS_GUILTY;
  return 0;
}

int set_pstate(Call& call, const Context& context, u32 flags) {
  if (flags > AMDGPU_CTX_STABLE_PSTATE_PEAK) return -EINVAL;
  if (call.gpu.pstate_holder && call.gpu.pstate_holder != context.serial) return -EBUSY;
  call.gpu.pstate = flags;
  call.gpu.pstate_holder = flags == AMDGPU_CTX_STABLE_PSTATE_NONE ? 0 : context.serial;
  return 0;
}

void release_pstate(Gpu& gpu, const Context& context) {
  if (gpu.pstate_holder != context.serial) return;
  gpu.pstate_holder = 0;
  gpu.pstate = AMDGPU_CTX_STABLE_PSTATE_NONE;
}

std::atomic<u64> next_client_id{1};

int make_list(Call& call, u64 entries, u32 count, u32 stride, std::vector<BoPtr>& bos) {
  if (count && (bad_pointer(entries, 1) || stride < sizeof(u32))) return -EINVAL;
  for (u32 i = 0; i < count; ++i) {
    bos.push_back(call.file.bos.find(*user_array<u32>(entries + u64(i) * stride)));
    if (!bos.back()) return -ENOENT;
  }
  return 0;
}

}  // namespace

EntityPtr Context::entity(u32 ip, u32 ring) {
  EntityPtr& entity = entities[u64(ip) << 32 | ring];
  if (!entity) {
    entity = std::make_shared<Entity>();
    entity->ip = ip;
    entity->ring = ring;
  }
  return entity;
}

File::File(NodeKind node_kind) : kind(node_kind), vm(std::make_shared<Vm>()), client_id(next_client_id++) {}

File::~File() {
  Gpu& gpu = Gpu::instance();
  const Lock lock(gpu.mutex);
  for (const auto& row : contexts.rows()) release_pstate(gpu, *row.second);
}

int context_op(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_ctx*>(data);
  const drm_amdgpu_ctx_in in = args.in;
  if (in.op == AMDGPU_CTX_OP_ALLOC_CTX) return in.flags ? -EINVAL : allocate(call, args);
  const auto context = call.file.contexts.find(in.ctx_id);
  const bool wants_no_flags = in.op != AMDGPU_CTX_OP_SET_STABLE_PSTATE;
  if (wants_no_flags && in.flags) return -EINVAL;
  if (in.op < AMDGPU_CTX_OP_ALLOC_CTX || in.op > AMDGPU_CTX_OP_SET_STABLE_PSTATE) return -EINVAL;
  if (!context) return -EINVAL;
  switch (in.op) {
    case AMDGPU_CTX_OP_FREE_CTX:
      release_pstate(call.gpu, *context);
      call.file.contexts.remove(in.ctx_id);
      return 0;
    case AMDGPU_CTX_OP_QUERY_STATE: return query_state(call, *context, args);
    case AMDGPU_CTX_OP_QUERY_STATE2: return query_state2(call, *context, args);
    case AMDGPU_CTX_OP_GET_STABLE_PSTATE:
      args.out = {};
      args.out.pstate.flags = call.gpu.pstate;
      return 0;
    default: return set_pstate(call, *context, in.flags);
  }
}

int bo_list_op(Call& call, void* data) {
  auto& args = *static_cast<drm_amdgpu_bo_list*>(data);
  const drm_amdgpu_bo_list_in in = args.in;
  auto list = std::make_shared<BoList>();
  if (const int error = make_list(call, in.bo_info_ptr, in.bo_number, in.bo_info_size, list->bos)) return error;
  switch (in.operation) {
    case AMDGPU_BO_LIST_OP_CREATE:
      args.out = {.list_handle = call.file.lists.add(std::move(list))};
      return 0;
    case AMDGPU_BO_LIST_OP_DESTROY:
      call.file.lists.remove(in.list_handle);
      args.out = {};
      return 0;
    case AMDGPU_BO_LIST_OP_UPDATE: {
      const auto present = call.file.lists.find(in.list_handle);
      if (!present) return -ENOENT;
      present->bos = std::move(list->bos);
      args.out = {.list_handle = in.list_handle};
      return 0;
    }
    default: return -EINVAL;
  }
}

// Only a DRM master may override priorities, and a render node has none.
int sched_op(Call&, void*) { return -EACCES; }

}  // namespace amlm::vgpu
