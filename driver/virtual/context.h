// A submission context: its entities and what it knows about resets.
#pragma once

#include <map>

#include "driver/virtual/scheduler.h"

namespace amlm::vgpu {

struct Context {
  u32 serial = 0;
  i32 priority = 0;
  u32 reset_counter = 0, reset_counter_query = 0;   // at creation; at the last QUERY_STATE
  u32 vram_lost_counter = 0;
  bool guilty = false;
  std::map<u64, EntityPtr> entities;                // by ip << 32 | ring

  EntityPtr entity(u32 ip, u32 ring);
};

// How many rings of an IP a client may name (HW_IP_INFO.available_rings): this device has compute queues only.
inline constexpr u32 compute_ip = 1, compute_rings = 4;
inline u32 ring_count(u32 ip) { return ip == compute_ip ? compute_rings : 0; }

}  // namespace amlm::vgpu
