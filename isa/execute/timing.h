// A coarse estimate of how long a dispatch takes: what the virtual clock and the 2 s job timeout need. Not a pipeline.
#pragma once

#include <array>

#include "isa/execute/wave.h"

namespace amlm::isa {

Count count_of(const Instruction& in);

// Issue cycles of one wave32 instruction on its SIMD, in the order of Count (isa.md 6, column "issue cycles").
inline constexpr std::array<u32, count_kinds> issue_cycles = {
    1,    // valu: Mesa aco_statistics, LLVM GFX11SpeedModel
    4,    // valu_slow: 64-bit, f64 and quarter rate; f64 add takes 16, shifts take 2: 4 stands for the mix
    1,    // vopd: guide 7.6
    1,    // trans: 1 on the VALU port; the unit's 4 overlap with other waves
    32,   // wmma: AMD matrix calculator, 1024 op/WGP/clk
    1,    // dot
    1,    // salu
    1,    // smem
    1,    // vmem_load: data rate is counted as bytes below
    1,    // vmem_store
    4,    // atomic: assumed
    4,    // lds: 128 bytes a clock and CU for 4 SIMDs' b128 accesses: assumed from guide 12
    3,    // branch: Mesa
    1,    // wait
    16,   // barrier: gfx1100 thread traces, 16-21
    1,    // other
};

inline constexpr u32 simd_count = 80;              // 40 CUs, 2 SIMD32 each (driver.md)
inline constexpr double clock_ghz = 2.9;           // Radeon 8060S boost clock
inline constexpr double memory_bytes_per_ns = 225; // performance.md: best measured read rate, rounded up
inline constexpr u64 launch_ns = 3000;             // one dispatch and its barrier: performance.md

u64 modelled_ns(const Counters& counters, u64 cycles, u32 waves);

}  // namespace amlm::isa
