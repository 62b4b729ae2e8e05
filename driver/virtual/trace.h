// AMLM_VGPU_TRACE: each dispatch as a complete event of the trace format that Perfetto and chrome://tracing read, one a
// line; and AMLM_VGPU_TRACE_CODE: a folder for the machine code of each kernel that was dispatched, HASH.bin, and for each
// indirect buffer that was read, PID-NUMBER-VA.ib (the same words at the same place once).
#pragma once

#include <cstdio>
#include <set>
#include <span>
#include <string>

#include "driver/base.h"
#include "isa/run.h"

namespace amlm::vgpu {

// Of a dispatch, besides what the executor knows: when it began on the modelled clock, and what stood between it and the
// dispatch before.
struct TracePlace { u64 start_ns = 0, barriers = 0, acquires = 0; };

class Trace {
 public:
  Trace(std::string path, std::string code_folder) : path_(std::move(path)), code_folder_(std::move(code_folder)) {}
  bool wanted() const { return !path_.empty(); }
  void dispatch(const isa::Dispatch& dispatch, const isa::RunReport& report, const isa::AddressSpace& space,
                const TracePlace& place);
  void indirect_buffer(u64 va, std::span<const u32> words);

 private:
  void open();
  void keep(const std::string& name, std::span<const u32> words) const;

  std::string path_, code_folder_;
  FILE* file_ = nullptr;                     // each line is written at once: the client may be killed
  std::set<std::string> kept_;               // code and indirect buffers, by content
  u32 buffer_count_ = 0;
};

std::string counts_json(const isa::Counters& counts);      // counters.cpp

}  // namespace amlm::vgpu
