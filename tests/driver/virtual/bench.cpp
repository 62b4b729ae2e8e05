#include "tests/driver/virtual/bench.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

namespace amlm::test {

namespace {

template <class F>
F hook(const char* name) {
  void* symbol = dlsym(RTLD_DEFAULT, name);
  REQUIRE(symbol != nullptr);           // the test must run with the virtual GPU preloaded
  return reinterpret_cast<F>(symbol);
}

std::string text_of(const char* name) {
  const auto function = hook<size_t (*)(char*, size_t)>(name);
  std::string text(function(nullptr, 0) + 1, '\0');
  text.resize(function(text.data(), text.size()));
  return text;
}

}  // namespace

u64 fault_count() { return hook<size_t (*)()>("amlm_vgpu_fault_count")(); }
std::string last_fault() { return text_of("amlm_vgpu_last_fault"); }
std::string counters() { return text_of("amlm_vgpu_counters"); }
bool set_option(const char* key, const std::string& value) {
  return hook<int (*)(const char*, const char*)>("amlm_vgpu_set")(key, value.c_str()) == 0;
}

int call(int fd, unsigned long request, void* argument) { return ioctl(fd, request, argument) < 0 ? -errno : 0; }

Stream& Stream::set(u32 address, u32 value) {
  if (address == left_out) return *this;
  return packet(pm4::SetShReg{.reg_offset = (address - space_base(RegisterSpace::sh)) / 4, .values = {&value, 1}});
}

Stream& Stream::acquire(u32 gcr) {
  return packet(pm4::AcquireMem{.size_lo = ~0u, .size_hi = 0xffffff, .poll_interval = 10,
                                .gcr_cntl = reg::gcr_cntl::read(gcr)});
}

Stream& Stream::flush() { return packet(pm4::EventWrite{.event_type = 7, .event_index = 4}); }

Stream& Stream::state() {
  set(reg::compute_resource_limits{});
  set(reg::compute_static_thread_mgmt_se0::address, ~0u);
  set(reg::compute_static_thread_mgmt_se1::address, ~0u);
  // 16 VGPRs, denormals kept; 5 user SGPRs and the workgroup id x
  set(reg::compute_pgm_rsrc1{.vgprs = 1, .float_mode = 0xc0, .mem_ordered = 1});
  set(reg::compute_pgm_rsrc2{.user_sgpr = 5, .tgid_x_en = 1});
  set(reg::compute_pgm_rsrc3{});
  set(reg::compute_num_thread_x{.num_thread_full = 32});
  set(reg::compute_num_thread_y{.num_thread_full = 1});
  set(reg::compute_num_thread_z{.num_thread_full = 1});
  return *this;
}

Stream& Stream::launch(const std::map<std::string, Kernel>& kernels, const Launch& l) {
  const u64 code = kernels.at(l.kernel).va;
  set(reg::compute_pgm_lo{.data = u32(code >> 8)});
  set(reg::compute_pgm_hi{.data = u32(code >> 40)});
  set(reg::compute_user_data_0{.data = u32(l.out)});
  set(reg::compute_user_data_1{.data = u32(l.out >> 32)});
  set(reg::compute_user_data_2{.data = u32(l.in)});
  set(reg::compute_user_data_3{.data = u32(l.in >> 32)});
  set(reg::compute_user_data_4{.data = l.number});
  return packet(pm4::DispatchDirect{.dim_x = l.groups, .dim_y = 1, .dim_z = 1,
                                    .initiator = {.compute_shader_en = 1, .force_start_at_000 = 1, .cs_w32_en = 1}});
}

Stream& Stream::pad() {
  while (words.size() % 8) words.push_back(0xffff1000);
  return *this;
}

Bench::Bench() {
  fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  u32 major = 0, minor = 0;
  REQUIRE(amdgpu_device_initialize(fd, &major, &minor, &device) == 0);
  fd = amdgpu_device_get_fd(device);
  context = new_context();
  load_code();
}

Bench::~Bench() {
  for (auto& ib : ibs_) free(ib);
  free(code);
  amdgpu_device_deinitialize(device);
}

u64 Bench::state(u32 of_context) const {
  drm_amdgpu_ctx args{};
  args.in.op = AMDGPU_CTX_OP_QUERY_STATE2;
  args.in.ctx_id = of_context;
  REQUIRE(call(fd, DRM_IOCTL_AMDGPU_CTX, &args) == 0);
  return args.out.state.flags;
}

u32 Bench::new_context() {
  drm_amdgpu_ctx args{};
  args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
  REQUIRE(call(fd, DRM_IOCTL_AMDGPU_CTX, &args) == 0);
  return args.out.alloc.ctx_id;
}

Memory Bench::memory(u64 size, u64 access, u64 flags) {
  Memory m{.size = size};
  amdgpu_bo_alloc_request request{.alloc_size = size, .preferred_heap = AMDGPU_GEM_DOMAIN_GTT, .flags = flags};
  REQUIRE(amdgpu_bo_alloc(device, &request, &m.bo) == 0);
  REQUIRE(amdgpu_bo_export(m.bo, amdgpu_bo_handle_type_kms, &m.handle) == 0);
  void* words = nullptr;
  REQUIRE(amdgpu_bo_cpu_map(m.bo, &words) == 0);
  m.words = static_cast<u32*>(words);
  // A page of nothing after each: running past the end must hit no neighbour.
  static u64 next_va = 0x1'0000'0000;
  m.va = next_va;
  next_va += (size + 2 * page - 1) / page * page;
  REQUIRE(amdgpu_bo_va_op_raw(device, m.bo, 0, size, m.va, access, AMDGPU_VA_OP_MAP) == 0);
  return m;
}

void Bench::free(Memory& m) {
  if (!m.bo) return;
  amdgpu_bo_cpu_unmap(m.bo);
  amdgpu_bo_va_op_raw(device, m.bo, 0, m.size, m.va, 0, AMDGPU_VA_OP_UNMAP);
  amdgpu_bo_free(m.bo);
  m = {};
}

// Segments at their addresses, as any loader does; kernels by the symbol table.
void Bench::load_code() {
  std::ifstream file(VGPU_KERNELS, std::ios::binary);
  const std::string elf((std::istreambuf_iterator<char>(file)), {});
  REQUIRE(elf.size() > sizeof(Elf64_Ehdr));
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(elf.data());
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(elf.data() + header.e_phoff);
  code = memory(64 << 10, readable | executable);
  for (const Elf64_Phdr& segment : std::span(segments, header.e_phnum))
    if (segment.p_type == PT_LOAD)
      memcpy(reinterpret_cast<u8*>(code.words) + segment.p_vaddr, elf.data() + segment.p_offset, segment.p_filesz);
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(elf.data() + header.e_shoff);
  for (u32 i = 0; i < header.e_shnum; ++i) {
    if (sections[i].sh_type != SHT_DYNSYM) continue;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(elf.data() + sections[i].sh_offset);
    const char* names = elf.data() + sections[sections[i].sh_link].sh_offset;
    for (u32 s = 1; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s)
      kernels[names + symbols[s].st_name] = {code.va + symbols[s].st_value};
  }
  REQUIRE(kernels.count("fill") == 1);
}

Memory Bench::place(Stream s) {
  if (ip != AMDGPU_HW_IP_DMA) s.pad();
  Memory ib = memory(std::max<u64>(page, (s.words.size() * 4 + page - 1) / page * page), readable | writeable | executable);
  memcpy(ib.words, s.words.data(), s.words.size() * 4);
  ibs_.push_back(ib);
  return ib;
}

i64 Bench::submit(Stream s, u32 ring, u32 flags, u32 ctx) {
  if (ip != AMDGPU_HW_IP_DMA) s.pad();
  const u64 size_bytes = s.words.size() * 4;
  return submit_at(place(std::move(s)).va, size_bytes, ring, flags, ctx);
}

i64 Bench::submit_at(u64 va, u64 size_bytes, u32 ring, u32 flags, u32 ctx) {
  drm_amdgpu_cs_chunk_ib data{};
  data.va_start = va;
  data.ib_bytes = u32(size_bytes);
  data.ip_type = ip;
  data.ring = ring;
  data.flags = flags;
  drm_amdgpu_cs_chunk chunk{.chunk_id = AMDGPU_CHUNK_ID_IB, .length_dw = sizeof data / 4, .chunk_data = u64(&data)};
  u64 chunks = u64(&chunk);
  drm_amdgpu_cs cs{};
  cs.in = {.ctx_id = ctx ? ctx : context, .bo_list_handle = 0, .num_chunks = 1, .flags = 0, .chunks = u64(&chunks)};
  const int error = call(fd, DRM_IOCTL_AMDGPU_CS, &cs);
  return error ? error : i64(cs.out.handle);
}

int Bench::submit_chunks(const std::vector<Chunk>& wanted, u32 ctx, u32 list) const {
  std::vector<drm_amdgpu_cs_chunk> chunks;
  std::vector<u64> pointers;
  for (const Chunk& chunk : wanted) chunks.push_back({chunk.id, chunk.size / 4, u64(chunk.data)});
  for (const auto& chunk : chunks) pointers.push_back(u64(&chunk));
  drm_amdgpu_cs args{};
  args.in = {.ctx_id = ctx ? ctx : context, .bo_list_handle = list,
             .num_chunks = u32(chunks.size()), .flags = 0, .chunks = u64(pointers.data())};
  const int error = call(fd, DRM_IOCTL_AMDGPU_CS, &args);
  return error ? error : int(args.out.handle);
}

int Bench::wait(i64 sequence, u64 timeout_ns, u32 ring, u32 ctx) {
  if (sequence < 0) return int(sequence);
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  drm_amdgpu_wait_cs args{};
  args.in.handle = u64(sequence);
  args.in.timeout = u64(now.tv_sec) * 1'000'000'000 + u64(now.tv_nsec) + timeout_ns;
  args.in.ip_type = ip;
  args.in.ring = ring;
  args.in.ctx_id = ctx ? ctx : context;
  const int error = call(fd, DRM_IOCTL_AMDGPU_WAIT_CS, &args);
  return error ? error : int(args.out.status);
}

std::string Bench::run_bad(Stream s, const char* kind) {
  const u64 before = fault_count();
  const int result = run(std::move(s));
  const std::string fault = last_fault();
  INFO("wanted " << kind << ", last fault: " << fault);
  CHECK(result == -ETIME);
  CHECK(fault_count() == before + 1);
  CHECK(fault.find("\"kind\":\"" + std::string(kind) + "\"") != std::string::npos);
  context = new_context();
  return fault;
}

}  // namespace amlm::test
