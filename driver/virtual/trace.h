// AMLM_VGPU_TRACE: each dispatch as a complete event of the trace format that Perfetto and chrome://tracing read, one a
// line; and AMLM_VGPU_TRACE_CODE: the machine code of each kernel that was dispatched, as HASH.bin in a folder.
#pragma once

#include <cstdio>
#include <set>
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

 private:
  void open();
  void keep_code(const std::string& hash, const u8* code, u64 size_bytes);

  std::string path_, code_folder_;
  FILE* file_ = nullptr;                     // each line is written at once: the client may be killed
  std::set<std::string> kept_;
};

std::string counts_json(const isa::Counters& counts);      // counters.cpp

}  // namespace amlm::vgpu
