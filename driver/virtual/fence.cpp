#include "driver/virtual/fence.h"

#include <unistd.h>

#include <algorithm>

#include "driver/virtual/real.h"

namespace amlm::vgpu {

FencePtr signalled_fence() {
  auto fence = std::make_shared<Fence>();
  fence->signalled = true;
  return fence;
}

bool all_signalled(const Fences& fences) {
  return std::all_of(fences.begin(), fences.end(), [](const FencePtr& fence) { return fence->signalled; });
}

void Syncobj::replace(FencePtr fence) {
  entries.clear();
  if (fence) entries.push_back({0, std::move(fence)});
}

// A point that is not past the last one takes its number: Linux dma_fence_chain_init.
void Syncobj::add_point(u64 point, FencePtr fence) {
  collect();
  entries.push_back({std::max(point, submitted_point()), std::move(fence)});
}

bool Syncobj::find(u64 point, Fences& fences) const {
  if (entries.empty() || (point != 0 && entries.back().point < point)) return false;
  for (const Entry& entry : entries) {
    fences.push_back(entry.fence);
    if (point != 0 && entry.point >= point) break;
  }
  return true;
}

u64 Syncobj::signalled_point() const {
  u64 point = 0;
  for (const Entry& entry : entries) {
    if (!entry.fence->signalled) break;
    point = entry.point;
  }
  return point;
}

u64 Syncobj::submitted_point() const { return entries.empty() ? 0 : entries.back().point; }

void Syncobj::collect() {
  while (entries.size() > 1 && entries[0].fence->signalled && entries[1].fence->signalled)
    entries.erase(entries.begin());
}

bool EventfdWait::finish() {
  const auto still = syncobj.lock();
  Fences fences;
  if (still && !(still->find(point, fences) && (what == For::available || all_signalled(fences)))) return false;
  const u64 one = 1;
  if (still && ::write(event_fd, &one, sizeof one) != sizeof one) return false;    // full: once more later
  real::close(event_fd);
  return true;
}

SyncFile::~SyncFile() {
  if (event_fd >= 0) real::close(event_fd);
}

}  // namespace amlm::vgpu
