// Addresses of MUBUF and MTBUF instructions, shared by loads, stores, atomics and formats.
#pragma once

#include "isa/execute/flat.h"

namespace amlm::isa {

struct Descriptor {
  u64 base;
  u32 stride, records;
  u32 element_bytes;          // swizzled: 4 or 16; linear: 0
  u32 index_stride;
  bool add_lane;
  u32 range_rule;
};

// Where each lane's bytes are, and the parts that the range rule looks at.
struct BufferLanes {
  Descriptor descriptor;
  u32 scalar_offset;
  alignas(64) std::array<u32, half_lanes> index, offset;
  alignas(64) std::array<u64, half_lanes> address;

  u64 linear(u32 lane) const { return u64(index[lane]) * descriptor.stride + offset[lane]; }

  // Are bytes up to `to` of the lane's payload in range?
  bool inside(u32 lane, u32 to) const {
    const Descriptor& d = descriptor;
    const bool structured = d.range_rule == 0 || (d.range_rule == 3 && d.element_bytes && d.stride);
    if (structured) return index[lane] < d.records && u64(offset[lane]) + to <= d.stride;
    if (d.range_rule == 1) return index[lane] < d.records;
    if (d.range_rule == 2) return d.records != 0;
    return linear(lane) + to + scalar_offset <= d.records;
  }
};

// TFE: the register after the data says which lanes met a page that is not resident. Here that is a fault, so: none.
void deposit_status(Wave& wave, const Instruction& in);

// False: a fault was raised.
bool buffer_lanes(Wave& wave, const Instruction& in, BufferLanes& lanes);

}  // namespace amlm::isa
