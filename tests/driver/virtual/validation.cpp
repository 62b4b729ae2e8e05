// What amdgpu and the DRM core refuse, a row each: driver.md 3.2 and the sources it names (Linux amdgpu_cs.c,
// amdgpu_ctx.c, amdgpu_gem.c, amdgpu_vm.c, amdgpu_bo_list.c, drm_syncobj.c). Every row starts from a good request that
// differs from it in one thing, and the good requests are rows too.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include <catch2/catch.hpp>
#include <functional>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

namespace {

constexpr u64 base = 0x40'0000'0000, access_rw = readable | writeable;
constexpr u32 no_such = 4711;

// A client with one of everything.
struct Client : Bench {
  Memory ib = nops(), fence = memory(page), large = memory(2 * page), range = memory(64 << 10);
  u32 other = new_context();
  u32 empty = create_syncobj(0), ready = create_syncobj(DRM_SYNCOBJ_CREATE_SIGNALED);
  void* user = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ~Client() {
    for (Memory* m : {&ib, &fence, &large, &range}) free(*m);
    munmap(user, 8192);
  }

  Memory nops() {
    Memory m = memory(page);
    for (u32 i = 0; i < page / 4; ++i) m.words[i] = 0xffff1000;
    return m;
  }
  u32 create_syncobj(u32 flags) {
    u32 handle = 0;
    REQUIRE(drmSyncobjCreate(fd, flags, &handle) == 0);
    return handle;
  }

  // CS: the good IB, changed, and more chunks behind it.
  int cs(const std::function<void(drm_amdgpu_cs_chunk_ib&)>& change, std::vector<Chunk> more = {}, u32 ctx = 0,
         u32 list = 0, u32 copies = 1) {
    drm_amdgpu_cs_chunk_ib chunk{};
    chunk.va_start = ib.va;
    chunk.ib_bytes = 32;
    chunk.ip_type = AMDGPU_HW_IP_COMPUTE;
    if (change) change(chunk);
    std::vector<Chunk> chunks(copies, Chunk{AMDGPU_CHUNK_ID_IB, sizeof chunk, &chunk});
    chunks.insert(chunks.end(), more.begin(), more.end());
    return said(submit_chunks(chunks, ctx, list));
  }
  int with_fence(u32 handle, u32 offset, u32 copies = 1) {
    const drm_amdgpu_cs_chunk_fence chunk{.handle = handle, .offset = offset};
    return cs({}, std::vector<Chunk>(copies, {AMDGPU_CHUNK_ID_FENCE, sizeof chunk, &chunk}));
  }
  int with_handles(u32 handle, u32 copies = 1, u32 list = 0) {
    const drm_amdgpu_bo_list_entry entry{handle, 0};
    const drm_amdgpu_bo_list_in chunk{.operation = ~0u, .list_handle = ~0u, .bo_number = 1, .bo_info_size = sizeof entry,
                                      .bo_info_ptr = u64(&entry)};
    return cs({}, std::vector<Chunk>(copies, {AMDGPU_CHUNK_ID_BO_HANDLES, sizeof chunk, &chunk}), 0, list);
  }
  int with_sem(u32 id, u32 handle, u32 copies = 1) {
    const drm_amdgpu_cs_chunk_sem chunk{.handle = handle};
    return cs({}, std::vector<Chunk>(copies, {id, sizeof chunk, &chunk}));
  }
  int with_dependency(const std::function<void(drm_amdgpu_cs_chunk_dep&)>& change) {
    REQUIRE(cs({}) == 0);
    drm_amdgpu_cs_chunk_dep chunk{};
    chunk.ip_type = AMDGPU_HW_IP_COMPUTE;
    chunk.ctx_id = context;
    chunk.handle = 1;
    if (change) change(chunk);
    return cs({}, {{AMDGPU_CHUNK_ID_DEPENDENCIES, sizeof chunk, &chunk}});
  }
  int bo_list(u32 operation, u32 handle, u32 bo, u32* made = nullptr) {
    const drm_amdgpu_bo_list_entry entry{bo, 0};
    drm_amdgpu_bo_list args{};
    args.in = {.operation = operation, .list_handle = handle, .bo_number = 1, .bo_info_size = sizeof entry,
               .bo_info_ptr = u64(&entry)};
    const int error = call(fd, DRM_IOCTL_AMDGPU_BO_LIST, &args);
    if (made) *made = args.out.list_handle;
    return error;
  }
  u32 good_list() {
    u32 list = 0;
    REQUIRE(bo_list(AMDGPU_BO_LIST_OP_CREATE, 0, ib.handle, &list) == 0);
    return list;
  }
  int create(u64 size, u64 domains, u64 flags, u64 alignment = 0) {
    drm_amdgpu_gem_create args{};
    args.in = {.bo_size = size, .alignment = alignment, .domains = domains, .domain_flags = flags};
    return call(fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
  }
  int map(u64 va, u64 offset, u64 size, u64 flags = access_rw, u32 op = AMDGPU_VA_OP_MAP) {
    return map_handle(range.handle, va, offset, size, flags, op);
  }
  int map_handle(u32 handle, u64 va, u64 offset, u64 size, u64 flags = access_rw, u32 op = AMDGPU_VA_OP_MAP) {
    drm_amdgpu_gem_va args{};
    args.handle = handle;
    args.operation = op;
    args.flags = u32(flags);
    args.va_address = va;
    args.offset_in_bo = offset;
    args.map_size = size;
    return call(fd, DRM_IOCTL_AMDGPU_GEM_VA, &args);
  }
  int userptr(u64 address, u64 size, u32 flags) {
    drm_amdgpu_gem_userptr args{.addr = address, .size = size, .flags = flags, .handle = 0};
    const int error = call(fd, DRM_IOCTL_AMDGPU_GEM_USERPTR, &args);
    last_handle = args.handle;
    return error;
  }
  int wait_for(u64 sequence, const std::function<void(drm_amdgpu_wait_cs_in&)>& change = {}) {
    drm_amdgpu_wait_cs args{};
    args.in.handle = sequence;
    args.in.ip_type = AMDGPU_HW_IP_COMPUTE;
    args.in.timeout = ~0ull;
    args.in.ctx_id = context;
    if (change) change(args.in);
    const int error = call(fd, DRM_IOCTL_AMDGPU_WAIT_CS, &args);
    return error ? error : int(args.out.status);
  }
  int ctx(u32 op, u32 id, u32 flags = 0, i32 priority = 0) {
    drm_amdgpu_ctx args{};
    args.in = {.op = op, .flags = flags, .ctx_id = id, .priority = priority};
    return call(fd, DRM_IOCTL_AMDGPU_CTX, &args);
  }
  int syncobj_wait(u32 handle, u32 count, u32 flags) {
    drm_syncobj_wait args{};
    args.handles = u64(&handle);
    args.count_handles = count;
    args.flags = flags;
    return call(fd, DRM_IOCTL_SYNCOBJ_WAIT, &args);
  }
  int info(u32 query, u32 size = 8) {
    u64 answer[64] = {};
    drm_amdgpu_info args{};
    args.return_pointer = u64(answer);
    args.return_size = size;
    args.query = query;
    return call(fd, DRM_IOCTL_AMDGPU_INFO, &args);
  }
  int read_registers(u32 first, u32 count) {
    u32 answer[256] = {};
    drm_amdgpu_info args{};
    args.return_pointer = u64(answer);
    args.return_size = sizeof answer;
    args.query = AMDGPU_INFO_READ_MMR_REG;
    args.read_mmr_reg.dword_offset = first;
    args.read_mmr_reg.count = count;
    args.read_mmr_reg.instance = ~0u;
    return call(fd, DRM_IOCTL_AMDGPU_INFO, &args);
  }
  u32 last_handle = 0;
  static int said(int result) { return result < 0 ? result : 0; }
};

struct Row { const char* what; int expected; std::function<int(Client&)> act; };

using Ib = drm_amdgpu_cs_chunk_ib;
using Dep = drm_amdgpu_cs_chunk_dep;
constexpr u32 sem_in = AMDGPU_CHUNK_ID_SYNCOBJ_IN, sem_out = AMDGPU_CHUNK_ID_SYNCOBJ_OUT;

const Row cs_rows[] = {
    {"a good CS", 0, [](Client& c) { return c.cs({}); }},
    {"no chunks", -EINVAL, [](Client& c) { return Client::said(c.submit_chunks({})); }},
    {"an unknown context", -EINVAL, [](Client& c) { return c.cs({}, {}, no_such); }},
    {"an unknown chunk", -EINVAL, [](Client& c) { const u32 word = 0; return c.cs({}, {{0x77, 4, &word}}); }},
    {"an IB chunk shorter than its structure", -EINVAL, [](Client& c) {
       const Ib chunk{};
       return Client::said(c.submit_chunks({{AMDGPU_CHUNK_ID_IB, 28, &chunk}}));
     }},
    {"a fence chunk shorter than its structure", -EINVAL, [](Client& c) {
       return c.cs({}, {{AMDGPU_CHUNK_ID_FENCE, 4, &c.fence.handle}});
     }},
    {"no IB", -EINVAL, [](Client& c) {
       const drm_amdgpu_cs_chunk_sem chunk{.handle = c.ready};
       return Client::said(c.submit_chunks({{sem_in, sizeof chunk, &chunk}}));
     }},
    {"chunk data that cannot be read", -EFAULT, [](Client& c) { return c.cs({}, {{sem_in, 4, nullptr}}); }},
    {"an IP that does not exist", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.ip_type = 99; }); }},
    {"instance 1", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.ip_instance = 1; }); }},
    {"ring 3", 0, [](Client& c) { return c.cs([](Ib& ib) { ib.ring = 3; }); }},
    {"ring 4", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.ring = 4; }); }},
    {"125 IBs", 0, [](Client& c) { return c.cs({}, {}, 0, 0, 125); }},
    {"126 IBs", -EINVAL, [](Client& c) { return c.cs({}, {}, 0, 0, 126); }},
    {"an IB of 0x100000 dwords", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.ib_bytes = 0x400000; }); }},
    {"the CE flag", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.flags = AMDGPU_IB_FLAG_CE; }); }},
    {"a secure IB without TMZ", -EINVAL, [](Client& c) { return c.cs([](Ib& ib) { ib.flags = AMDGPU_IB_FLAGS_SECURE; }); }},
    {"a user fence", 0, [](Client& c) { return c.with_fence(c.fence.handle, 4088); }},
    {"a user fence past the end", -EINVAL, [](Client& c) { return c.with_fence(c.fence.handle, 4089); }},
    {"a user fence in a larger buffer", -EINVAL, [](Client& c) { return c.with_fence(c.large.handle, 0); }},
    {"a user fence in no buffer", -EINVAL, [](Client& c) { return c.with_fence(no_such, 0); }},
    {"two user fences", -EINVAL, [](Client& c) { return c.with_fence(c.fence.handle, 0, 2); }},
    {"a user fence in user memory", -EINVAL, [](Client& c) {
       REQUIRE(c.userptr(u64(c.user), page, AMDGPU_GEM_USERPTR_ANONONLY | AMDGPU_GEM_USERPTR_REGISTER) == 0);
       return c.with_fence(c.last_handle, 0);
     }},
    {"a BO list", 0, [](Client& c) { return c.cs({}, {}, 0, c.good_list()); }},
    {"an unknown BO list", -ENOENT, [](Client& c) { return c.cs({}, {}, 0, no_such); }},
    {"BO handles", 0, [](Client& c) { return c.with_handles(c.ib.handle); }},
    {"BO handles with an unknown one", -ENOENT, [](Client& c) { return c.with_handles(no_such); }},
    {"BO handles twice", -EINVAL, [](Client& c) { return c.with_handles(c.ib.handle, 2); }},
    {"BO handles and a list", -EINVAL, [](Client& c) { return c.with_handles(c.ib.handle, 1, c.good_list()); }},
    {"a wait for a signalled syncobj", 0, [](Client& c) { return c.with_sem(sem_in, c.ready); }},
    {"a wait for a syncobj without a fence", -EINVAL, [](Client& c) { return c.with_sem(sem_in, c.empty); }},
    {"a wait for an unknown syncobj", -ENOENT, [](Client& c) { return c.with_sem(sem_in, no_such); }},
    {"a signal of a syncobj", 0, [](Client& c) { return c.with_sem(sem_out, c.empty); }},
    {"a signal of an unknown syncobj", -EINVAL, [](Client& c) { return c.with_sem(sem_out, no_such); }},
    {"two signal chunks", -EINVAL, [](Client& c) { return c.with_sem(sem_out, c.empty, 2); }},
    {"signals of both kinds", -EINVAL, [](Client& c) {
       const drm_amdgpu_cs_chunk_sem binary{.handle = c.empty};
       const drm_amdgpu_cs_chunk_syncobj point{.handle = c.ready, .flags = 0, .point = 5};
       return c.cs({}, {{sem_out, sizeof binary, &binary}, {AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL, sizeof point, &point}});
     }},
    {"a dependency", 0, [](Client& c) { return c.with_dependency({}); }},
    {"a dependency on an unknown context", -EINVAL, [](Client& c) {
       return c.with_dependency([](Dep& d) { d.ctx_id = no_such; });
     }},
    {"a dependency on a job to come", -EINVAL, [](Client& c) { return c.with_dependency([](Dep& d) { d.handle = 2; }); }},
    {"a dependency on ring 4", -EINVAL, [](Client& c) { return c.with_dependency([](Dep& d) { d.ring = 4; }); }},
    {"an IB where nothing is mapped: only the GPU finds out", 0, [](Client& c) {
       return c.cs([](Ib& ib) { ib.va_start = base; });
     }},
};

const Row memory_rows[] = {
    {"GEM_CREATE", 0, [](Client& c) { return c.create(4096, AMDGPU_GEM_DOMAIN_GTT, 0); }},
    {"GEM_CREATE of nothing", -EINVAL, [](Client& c) { return c.create(0, AMDGPU_GEM_DOMAIN_GTT, 0); }},
    {"GEM_CREATE in an unknown domain", -EINVAL, [](Client& c) { return c.create(4096, 0x100, 0); }},
    {"GEM_CREATE with an unknown flag", -EINVAL, [](Client& c) {
       return c.create(4096, AMDGPU_GEM_DOMAIN_GTT, 1ull << 40);
     }},
    {"GEM_CREATE encrypted without TMZ", -EINVAL, [](Client& c) {
       return c.create(4096, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_CREATE_ENCRYPTED);
     }},
    {"GEM_CREATE past GTT", -ENOMEM, [](Client& c) { return c.create(1ull << 50, AMDGPU_GEM_DOMAIN_GTT, 0); }},
    {"GEM_CLOSE of an unknown handle", -EINVAL, [](Client& c) {
       drm_gem_close args{.handle = no_such, .pad = 0};
       return call(c.fd, DRM_IOCTL_GEM_CLOSE, &args);
     }},
    {"GEM_MMAP of an unknown handle", -ENOENT, [](Client& c) {
       drm_amdgpu_gem_mmap args{};
       args.in.handle = no_such;
       return call(c.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &args);
     }},
    {"GEM_MMAP of user memory", -EPERM, [](Client& c) {
       REQUIRE(c.userptr(u64(c.user), page, AMDGPU_GEM_USERPTR_ANONONLY | AMDGPU_GEM_USERPTR_REGISTER) == 0);
       drm_amdgpu_gem_mmap args{};
       args.in.handle = c.last_handle;
       return call(c.fd, DRM_IOCTL_AMDGPU_GEM_MMAP, &args);
     }},
    {"GEM_WAIT_IDLE of an unknown handle", -ENOENT, [](Client& c) {
       drm_amdgpu_gem_wait_idle args{};
       args.in.handle = no_such;
       return call(c.fd, DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &args);
     }},
    {"GEM_OP of an unknown handle", -ENOENT, [](Client& c) {
       drm_amdgpu_gem_op args{.handle = no_such, .op = AMDGPU_GEM_OP_SET_PLACEMENT, .value = 2};
       return call(c.fd, DRM_IOCTL_AMDGPU_GEM_OP, &args);
     }},
    {"GEM_OP that is none", -EINVAL, [](Client& c) {
       drm_amdgpu_gem_op args{.handle = c.ib.handle, .op = 77, .value = 0};
       return call(c.fd, DRM_IOCTL_AMDGPU_GEM_OP, &args);
     }},
    {"BO_LIST with an unknown buffer", -ENOENT, [](Client& c) { return c.bo_list(AMDGPU_BO_LIST_OP_CREATE, 0, no_such); }},
    {"BO_LIST update of none", -ENOENT, [](Client& c) {
       return c.bo_list(AMDGPU_BO_LIST_OP_UPDATE, no_such, c.ib.handle);
     }},
    {"BO_LIST update", 0, [](Client& c) { return c.bo_list(AMDGPU_BO_LIST_OP_UPDATE, c.good_list(), c.ib.handle); }},
    {"BO_LIST operation that is none", -EINVAL, [](Client& c) { return c.bo_list(9, 0, c.ib.handle); }},
    {"an export of an unknown handle", -ENOENT, [](Client& c) {
       drm_prime_handle args{.handle = no_such, .flags = 0, .fd = -1};
       return call(c.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);
     }},
    {"an export with unknown flags", -EINVAL, [](Client& c) {
       drm_prime_handle args{.handle = c.ib.handle, .flags = 1, .fd = -1};
       return call(c.fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);
     }},
    {"USERPTR", 0, [](Client& c) { return c.userptr(u64(c.user), 8192, 0xf & ~AMDGPU_GEM_USERPTR_READONLY); }},
    {"USERPTR unaligned", -EINVAL, [](Client& c) { return c.userptr(u64(c.user) + 8, 4096, AMDGPU_GEM_USERPTR_REGISTER); }},
    {"USERPTR of part of a page", -EINVAL, [](Client& c) {
       return c.userptr(u64(c.user), 100, AMDGPU_GEM_USERPTR_REGISTER);
     }},
    {"USERPTR with an unknown flag", -EINVAL, [](Client& c) { return c.userptr(u64(c.user), 4096, 1u << 9); }},
    {"USERPTR writable and not registered", -EACCES, [](Client& c) { return c.userptr(u64(c.user), 4096, 0); }},
    {"USERPTR read-only", 0, [](Client& c) { return c.userptr(u64(c.user), 4096, AMDGPU_GEM_USERPTR_READONLY); }},
    {"USERPTR of nothing mapped, to validate", -EFAULT, [](Client& c) {
       return c.userptr(base, 4096, AMDGPU_GEM_USERPTR_VALIDATE | AMDGPU_GEM_USERPTR_REGISTER);
     }},
    {"USERPTR of a file, anonymous only", -EPERM, [](Client& c) {
       const int file = open("/proc/self/exe", O_RDONLY);
       void* mapped = mmap(nullptr, page, PROT_READ, MAP_PRIVATE, file, 0);
       const int error = c.userptr(u64(mapped), page, AMDGPU_GEM_USERPTR_READONLY | AMDGPU_GEM_USERPTR_ANONONLY |
                                                          AMDGPU_GEM_USERPTR_VALIDATE);
       munmap(mapped, page);
       close(file);
       return error;
     }},
};

const Row address_rows[] = {
    {"MAP", 0, [](Client& c) { return c.map(base, 0, 8192); }},
    {"MAP in the high half", 0, [](Client& c) { return c.map(0xffff'8000'0000'0000, 0, 4096); }},
    {"MAP below 64 KiB", -EINVAL, [](Client& c) { return c.map(0xf000, 0, 4096); }},
    {"MAP at the start of the hole", -EINVAL, [](Client& c) { return c.map(0x8000'0000'0000, 0, 4096); }},
    {"MAP at the end of the hole", -EINVAL, [](Client& c) { return c.map(0xffff'7fff'ffff'f000, 0, 4096); }},
    {"MAP into the reserved top", -EINVAL, [](Client& c) { return c.map(0xffff'ffff'ffff'0000, 0, 4096); }},
    {"MAP at an unaligned address", -EINVAL, [](Client& c) { return c.map(base + 8, 0, 4096); }},
    {"MAP of an unaligned offset", -EINVAL, [](Client& c) { return c.map(base, 8, 4096); }},
    {"MAP of an unaligned size", -EINVAL, [](Client& c) { return c.map(base, 0, 100); }},
    {"MAP of nothing", -EINVAL, [](Client& c) { return c.map(base, 0, 0); }},
    {"MAP of more than the buffer", -EINVAL, [](Client& c) { return c.map(base, 0, 128 << 10); }},
    {"MAP across the buffer's end", -EINVAL, [](Client& c) { return c.map(base, 60 << 10, 8192); }},
    {"MAP with an unknown flag", -EINVAL, [](Client& c) { return c.map(base, 0, 4096, 1u << 20); }},
    {"an operation that is none", -EINVAL, [](Client& c) { return c.map(base, 0, 4096, access_rw, 9); }},
    {"MAP of an unknown handle", -ENOENT, [](Client& c) { return c.map_handle(no_such, base, 0, 4096); }},
    {"MAP over a mapping's tail", -EINVAL, [](Client& c) { return c.map(base, 0, 8192) ?: c.map(base + 4096, 0, 4096); }},
    {"MAP over a mapping's head", -EINVAL, [](Client& c) { return c.map(base, 0, 8192) ?: c.map(base - 4096, 0, 8192); }},
    {"REPLACE over a mapping", 0, [](Client& c) {
       return c.map(base, 0, 8192) ?: c.map(base + 4096, 0, 4096, access_rw, AMDGPU_VA_OP_REPLACE);
     }},
    {"UNMAP in the middle", -ENOENT, [](Client& c) {
       return c.map(base, 0, 8192) ?: c.map(base + 4096, 0, 4096, 0, AMDGPU_VA_OP_UNMAP);
     }},
    {"UNMAP", 0, [](Client& c) { return c.map(base, 0, 8192) ?: c.map(base, 0, 8192, 0, AMDGPU_VA_OP_UNMAP); }},
    {"UNMAP of nothing", -ENOENT, [](Client& c) { return c.map(base, 0, 8192, 0, AMDGPU_VA_OP_UNMAP); }},
};

const Row wait_rows[] = {
    {"WAIT_CS", 0, [](Client& c) { return c.cs({}) ?: c.wait_for(1); }},
    {"WAIT_CS for the next job", -EINVAL, [](Client& c) { return c.cs({}) ?: c.wait_for(2); }},
    {"WAIT_CS for the newest job, by the number of all", 0, [](Client& c) { return c.cs({}) ?: c.wait_for(~0ull); }},
    {"WAIT_CS in an unknown context", -EINVAL, [](Client& c) {
       return c.wait_for(1, [](auto& in) { in.ctx_id = no_such; });
     }},
    {"WAIT_CS on instance 1", -EINVAL, [](Client& c) { return c.wait_for(1, [](auto& in) { in.ip_instance = 1; }); }},
    {"WAIT_CS on ring 4", -EINVAL, [](Client& c) { return c.wait_for(1, [](auto& in) { in.ring = 4; }); }},
    {"WAIT_FENCES for none", -EINVAL, [](Client& c) {
       drm_amdgpu_wait_fences args{};
       return call(c.fd, DRM_IOCTL_AMDGPU_WAIT_FENCES, &args);
     }},
    {"a fence to an unknown kind of handle", -EINVAL, [](Client& c) {
       REQUIRE(c.cs({}) == 0);
       drm_amdgpu_fence_to_handle args{};
       args.in.fence = {.ctx_id = c.context, .ip_type = AMDGPU_HW_IP_COMPUTE, .ip_instance = 0, .ring = 0, .seq_no = 1};
       args.in.what = 9;
       return call(c.fd, DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, &args);
     }},
    {"a syncobj wait for none", 0, [](Client& c) { return c.syncobj_wait(c.ready, 0, 0); }},
    {"a syncobj wait", 0, [](Client& c) { return c.syncobj_wait(c.ready, 1, 0); }},
    {"a syncobj wait with an unknown flag", -EINVAL, [](Client& c) { return c.syncobj_wait(c.ready, 1, 1u << 20); }},
    {"a syncobj wait without a fence", -EINVAL, [](Client& c) { return c.syncobj_wait(c.empty, 1, 0); }},
    {"a syncobj wait for a submission that does not come", -ETIME, [](Client& c) {
       return c.syncobj_wait(c.empty, 1, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT);
     }},
    {"a syncobj wait for an unknown handle", -ENOENT, [](Client& c) { return c.syncobj_wait(no_such, 1, 0); }},
    {"a syncobj signal of none", -EINVAL, [](Client& c) {
       drm_syncobj_array args{};
       return call(c.fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &args);
     }},
    {"a syncobj with an unknown flag", -EINVAL, [](Client& c) {
       drm_syncobj_create args{.handle = 0, .flags = 8};
       return call(c.fd, DRM_IOCTL_SYNCOBJ_CREATE, &args);
     }},
    {"a syncobj destroyed that is none", -EINVAL, [](Client& c) {
       drm_syncobj_destroy args{.handle = no_such, .pad = 0};
       return call(c.fd, DRM_IOCTL_SYNCOBJ_DESTROY, &args);
     }},
    {"a transfer from an unknown syncobj", -ENOENT, [](Client& c) {
       return drmSyncobjTransfer(c.fd, c.empty, 1, no_such, 0, 0) ? -errno : 0;
     }},
    {"a transfer from a syncobj without a fence", -EINVAL, [](Client& c) {
       return drmSyncobjTransfer(c.fd, c.ready, 1, c.empty, 0, 0) ? -errno : 0;
     }},
};

const Row other_rows[] = {
    {"CTX free of an unknown one", -EINVAL, [](Client& c) { return c.ctx(AMDGPU_CTX_OP_FREE_CTX, no_such); }},
    {"CTX state of an unknown one", -EINVAL, [](Client& c) { return c.ctx(AMDGPU_CTX_OP_QUERY_STATE2, no_such); }},
    {"CTX operation that is none", -EINVAL, [](Client& c) { return c.ctx(77, c.context); }},
    {"CTX with flags", -EINVAL, [](Client& c) { return c.ctx(AMDGPU_CTX_OP_ALLOC_CTX, 0, 1); }},
    {"CTX of a priority that is none", 0, [](Client& c) { return c.ctx(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, 12345); }},
    {"CTX of low priority", 0, [](Client& c) {
       return c.ctx(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, AMDGPU_CTX_PRIORITY_VERY_LOW);
     }},
    {"a stable power state that is none", -EINVAL, [](Client& c) {
       return c.ctx(AMDGPU_CTX_OP_SET_STABLE_PSTATE, c.context, 9);
     }},
    {"a stable power state that another context holds", -EBUSY, [](Client& c) {
       return c.ctx(AMDGPU_CTX_OP_SET_STABLE_PSTATE, c.other, AMDGPU_CTX_STABLE_PSTATE_PEAK) ?:
              c.ctx(AMDGPU_CTX_OP_SET_STABLE_PSTATE, c.context, AMDGPU_CTX_STABLE_PSTATE_PEAK);
     }},
    {"SCHED without being master", -EACCES, [](Client& c) {
       drm_amdgpu_sched args{};
       args.in.op = AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE;
       return call(c.fd, DRM_IOCTL_AMDGPU_SCHED, &args);
     }},
    {"VM operation that is none", -EINVAL, [](Client& c) {
       drm_amdgpu_vm args{};
       args.in.op = 9;
       return call(c.fd, DRM_IOCTL_AMDGPU_VM, &args);
     }},
    {"VM with flags", -EINVAL, [](Client& c) {
       drm_amdgpu_vm args{};
       args.in = {.op = AMDGPU_VM_OP_RESERVE_VMID, .flags = 1};
       return call(c.fd, DRM_IOCTL_AMDGPU_VM, &args);
     }},
    {"INFO that is none", -EINVAL, [](Client& c) { return c.info(0x7777); }},
    {"INFO without room", -EINVAL, [](Client& c) { return c.info(AMDGPU_INFO_GTT_USAGE, 0); }},
    {"INFO of a sensor that is none", -EOPNOTSUPP, [](Client& c) { return c.info(AMDGPU_INFO_SENSOR); }},
    {"INFO of GRBM_STATUS", 0, [](Client& c) { return c.read_registers(0x2004, 1); }},
    {"INFO of a register off the list", -EFAULT, [](Client& c) { return c.read_registers(0x1234, 1); }},
    {"INFO of 129 registers", -EINVAL, [](Client& c) { return c.read_registers(0x2004, 129); }},
};

void run(std::span<const Row> rows) {
  for (const Row& row : rows) {
    Client client;
    INFO(row.what);
    CHECK(row.act(client) == row.expected);
  }
}

}  // namespace

TEST_CASE("validation of CS") { run(cs_rows); }
TEST_CASE("validation of buffers") { run(memory_rows); }
TEST_CASE("validation of the address space") { run(address_rows); }
TEST_CASE("validation of waits and syncobjs") { run(wait_rows); }
TEST_CASE("validation of contexts, power states and questions") { run(other_rows); }

TEST_CASE("an entity in error answers with it, whatever is asked; a context of before a loss of VRAM is cancelled") {
  Client client;
  REQUIRE(client.cs({}) == 0);
  REQUIRE(client.wait_for(1) == 0);
  REQUIRE(set_option("inject", "JOB nth 1: hang"));
  CHECK(client.wait(client.submit(client.begun())) == -ETIME);
  REQUIRE(set_option("inject", ""));
  CHECK(client.cs({}) == -ETIME);
  CHECK(client.wait_for(1) == -ETIME);                     // although that job was done long before
  const Dep dependency{AMDGPU_HW_IP_COMPUTE, 0, 0, client.context, 1};
  CHECK(client.cs({}, {{AMDGPU_CHUNK_ID_DEPENDENCIES, sizeof dependency, &dependency}}, client.other) == -ETIME);
  CHECK(client.cs([](Ib& ib) { ib.ring = 1; }) == 0);      // another entity of the same context
  REQUIRE(set_option("inject", "INFO nth 1: reset vram-lost"));
  (void)client.info(AMDGPU_INFO_GTT_USAGE);
  REQUIRE(set_option("inject", ""));
  CHECK(client.cs({}, {}, client.other) == -ECANCELED);
  CHECK(client.cs({}, {}, client.new_context()) == 0);
}
