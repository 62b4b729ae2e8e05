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

// How many rings of an IP a client may name (HW_IP_INFO.available_rings, AMLM_VGPU_RINGS), and how many indirect
// buffers one of its jobs may have.
inline constexpr u32 graphics_ip = 0, compute_ip = 1, sdma_ip = 2, compute_rings = 4;
u32 ring_count(u32 ip);
inline constexpr u32 max_ibs(u32 ip) {
  constexpr u32 limits[] = {192, 125, 49};      // driver.md 3.2; IPs without rings say 0
  return ip < std::size(limits) ? limits[ip] : 0;
}

}  // namespace amlm::vgpu
