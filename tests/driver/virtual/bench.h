// A DRM client of its own, on libdrm alone: the tests of the virtual GPU must not depend on amlm's driver.
#pragma once

#include <amdgpu.h>
#include <amdgpu_drm.h>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "driver/tables/tables.h"

namespace amlm::test {

inline constexpr u32 page = 4096;
inline constexpr u64 readable = AMDGPU_VM_PAGE_READABLE, writeable = AMDGPU_VM_PAGE_WRITEABLE,
                     executable = AMDGPU_VM_PAGE_EXECUTABLE;

// Hooks of the preloaded library (driver/virtual/hooks.h), by dlsym.
u64 fault_count();
std::string last_fault();
std::string counters();
bool set_option(const char* key, const std::string& value);

// One ioctl on the node; 0 or -errno.
int call(int fd, unsigned long request, void* argument);

struct Memory {
  amdgpu_bo_handle bo = nullptr;
  u32 handle = 0;
  u64 va = 0, size = 0;
  u32* words = nullptr;
};

struct Kernel { u64 va = 0; };

// One chunk of a CS: `size` in bytes, a multiple of 4.
struct Chunk { u32 id; u32 size; const void* data; };

struct Launch {
  const char* kernel;
  u64 out = 0, in = 0;
  u32 number = 0;
  u32 groups = 1;
};

// Words of an IB with what every dispatch needs.
class Stream {
 public:
  std::vector<u32> words;
  u32 left_out = 0;                     // byte address of a register not to write

  template <class Packet> Stream& packet(const Packet& p) { return p.write(words), *this; }
  template <class Register> Stream& set(const Register& value) {
    return set(Register::address, value.word());
  }
  Stream& set(u32 address, u32 value);
  Stream& acquire(u32 gcr = 0xc3b1);
  Stream& flush();
  Stream& barrier(u32 gcr = 0x380) { return flush().acquire(gcr); }
  Stream& state();                      // what does not change between dispatches
  Stream& launch(const std::map<std::string, Kernel>& kernels, const Launch& l);
  Stream& pad();
};

class Bench {
 public:
  Bench();
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  int fd = -1;
  amdgpu_device_handle device = nullptr;
  u32 context = 0;
  u32 ip = AMDGPU_HW_IP_COMPUTE;        // whose ring submit() and wait() use
  std::map<std::string, Kernel> kernels;
  Memory code;

  Memory memory(u64 size, u64 access = readable | writeable, u64 flags = 0);
  void free(Memory& m);
  u32 new_context();
  u64 state(u32 of_context) const;       // AMDGPU_CTX_QUERY2_FLAGS_*
  Stream stream() { return Stream{}; }
  Stream begun() { Stream s; s.flush().acquire().state(); return s; }
  void launch(Stream& s, const Launch& l) { s.launch(kernels, l); }

  // Pads, copies into a fresh IB, submits on `ring`; the sequence number, or -errno.
  i64 submit(Stream s, u32 ring = 0, u32 flags = 0, u32 ctx = 0);
  Memory place(Stream s);                // the stream, padded, in an IB of its own; freed with the bench
  i64 submit_at(u64 va, u64 size_bytes, u32 ring = 0, u32 flags = 0, u32 ctx = 0);
  // The sequence number, or -errno; 0 = the bench's own context.
  int submit_chunks(const std::vector<Chunk>& wanted, u32 ctx = 0, u32 list = 0) const;
  int wait(i64 sequence, u64 timeout_ns = 20'000'000'000, u32 ring = 0, u32 ctx = 0);   // 0, -ETIME, ..., 1 = busy
  int run(Stream s) { return wait(submit(std::move(s))); }
  // The job must end with a fault of this kind; makes a fresh context afterwards. Returns the fault's JSON.
  std::string run_bad(Stream s, const char* kind);

 private:
  void load_code();
  std::vector<Memory> ibs_;
};

}  // namespace amlm::test
