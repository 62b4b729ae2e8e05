// What the environment asks of the virtual GPU. Read once; a word it does not know ends the process with a sentence.
#pragma once

#include <string>

#include "driver/base.h"
#include "driver/virtual/kernel.h"
#include "isa/run.h"

namespace amlm::vgpu {

struct Config {
  isa::Mode mode = isa::Mode::strict;   // AMLM_VGPU_MODE=strict|fast
  u64 seed = 1;                         // AMLM_VGPU_SEED
  u64 gtt_bytes = 64ull << 30;          // AMLM_VGPU_GTT_MIB: half of a 128 GiB machine, the kernel's default
  u64 vram_bytes = 512ull << 20;        // AMLM_VGPU_VRAM_MIB: the firmware's carve-out
  const KernelVersion* kernel = &newest_kernel();   // AMLM_VGPU_KERNEL
  u64 job_timeout_ms = kernel->job_timeout_ms;      // AMLM_VGPU_JOB_TIMEOUT_MS; 0 = never (the word there)
  std::string lockup_timeout;           // what the module parameter of that name says
  std::string firmware;                 // AMLM_VGPU_FIRMWARE: versions to pretend, mes=0x83,mec=24
  u32 host_threads = 0;                 // AMLM_VGPU_THREADS; 0 = all cores
  bool ib_padding = true;               // AMLM_VGPU_IB_PADDING=0: sizes that are not a multiple of 8 dwords pass
  bool graphics_ring = false, sdma_ring = false;   // AMLM_VGPU_RINGS=compute,gfx,sdma: compute is always there
  bool primary_node = false;            // AMLM_VGPU_PRIMARY=1: /dev/dri/card0 too, as igt wants
  std::string faults_path;              // AMLM_VGPU_FAULTS: JSON lines
  std::string counters_path;            // AMLM_VGPU_COUNTERS: JSON, written at exit
  std::string record_path;              // AMLM_VGPU_RECORD: ioctl answers of a real machine
  std::string trace_path;               // AMLM_VGPU_TRACE: one JSON line a dispatch; %p is the process's id
  std::string trace_code_path;          // AMLM_VGPU_TRACE_CODE: a folder for the code of each traced kernel
  std::string inject;                   // AMLM_VGPU_INJECT
};

// Ends the process: the instrument is set up wrongly, or the host refuses what it needs.
[[noreturn]] void fatal(const std::string& sentence);

Config config_from_environment();

}  // namespace amlm::vgpu
