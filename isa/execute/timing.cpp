#include "isa/execute/timing.h"

#include <algorithm>

#include "isa/tables.h"

namespace amlm::isa {

Count count_of(const Instruction& in) {
  if (in.format == Format::vopd) return Count::vopd;
  switch (info(in.opcode).op_class) {
    case OpClass::valu: return Count::valu;
    case OpClass::valu64: case OpClass::f64: case OpClass::quarter: return Count::valu_slow;
    case OpClass::trans: return Count::trans;
    case OpClass::dot: return Count::dot;
    case OpClass::wmma: return Count::wmma;
    case OpClass::salu: case OpClass::salu_float: return Count::salu;
    case OpClass::smem: return Count::smem;
    case OpClass::vmem_load: return Count::vmem_load;
    case OpClass::vmem_store: return Count::vmem_store;
    case OpClass::vmem_atomic: return Count::atomic;
    case OpClass::lds: return Count::lds;
    case OpClass::branch: return Count::branch;
    case OpClass::wait: return Count::wait;
    case OpClass::barrier: return Count::barrier;
    case OpClass::message: case OpClass::other: return Count::other;
  }
  return Count::other;
}

u64 modelled_ns(const Counters& counters, u64 cycles, u32 waves) {
  // Few waves cannot fill all SIMDs.
  const double busy = std::clamp<double>(waves, 1, simd_count);
  const double issue_ns = double(cycles) / busy / clock_ghz;
  const double memory_ns = double(counters.global_read_bytes + counters.global_write_bytes) / memory_bytes_per_ns;
  return launch_ns + u64(std::max(issue_ns, memory_ns));
}

}  // namespace amlm::isa
