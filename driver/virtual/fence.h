// What one waits for: fences, timelines of them, and sync files. All of it is guarded by Gpu::mutex.
#pragma once

#include <memory>
#include <vector>

#include "driver/base.h"

namespace amlm::vgpu {

struct Fence {
  bool signalled = false;
  int error = 0;            // 0 or -errno of the job
};
using FencePtr = std::shared_ptr<Fence>;
using Fences = std::vector<FencePtr>;

FencePtr signalled_fence();
bool all_signalled(const Fences& fences);

// A DRM syncobj. Empty = no fence yet; one entry at point 0 = binary; else a timeline in order of points.
struct Syncobj {
  struct Entry { u64 point = 0; FencePtr fence; };
  std::vector<Entry> entries;

  void replace(FencePtr fence);                    // binary signal, reset (null)
  void add_point(u64 point, FencePtr fence);
  // The fences that `point` (0 = everything so far) stands for; false when there is none yet.
  bool find(u64 point, Fences& fences) const;
  u64 signalled_point() const;
  u64 submitted_point() const;

 private:
  void collect();                                  // what has signalled needs no entry of its own
};

// SYNCOBJ_EVENTFD: the client's eventfd grows by one once the point has signalled, or is there at all.
struct EventfdWait {
  std::weak_ptr<Syncobj> syncobj;
  u64 point = 0;
  enum class For { signalled, available } what = For::signalled;
  int event_fd = -1;        // ours, a duplicate of the client's
  // True: it is over, one way or the other, and the descriptor is closed.
  bool finish();
};

struct SyncFile {
  Fences fences;
  int event_fd = -1;        // ours, a duplicate of the client's: readable once all fences have signalled
  bool written = false;
  ~SyncFile();
};

}  // namespace amlm::vgpu
