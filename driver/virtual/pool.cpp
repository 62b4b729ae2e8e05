#include "driver/virtual/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/virtual/config.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {
constexpr u64 first_offset = 1ull << 32;     // as the kernel's: far from offset 0, which is never a buffer
}

Pool::Pool(u64 capacity_bytes) : capacity_(capacity_bytes), first_(first_offset) { holes_[first_] = capacity_; }

void Pool::after_fork() {
  new (&mutex_) std::mutex;
  first_ = u64(getpid()) << 40;              // sparse: no process comes near 2^40 bytes
  holes_ = {{first_, capacity_}};
  // All children extend the one file; it only ever grows.
  if (fd_ >= 0 && ftruncate(fd_, INT64_MAX / 4096 * 4096) != 0)
    fatal(std::string("cannot extend the memory of the virtual GPU: ") + strerror(errno));
}

int Pool::fd() {
  static std::mutex first_use;
  const std::lock_guard lock(first_use);
  if (fd_ >= 0) return fd_;
  const int low = memfd_create("amlm-vgpu-gtt", MFD_CLOEXEC);
  // Out of the way of programs that expect small numbers or close a range of them.
  fd_ = low < 0 ? -1 : real::dup_above(low, 900);
  if (fd_ < 0) fd_ = low;
  else real::close(low);
  if (fd_ < 0 || ftruncate(fd_, off_t(first_ + capacity_)) != 0)
    fatal(std::string("cannot make the memory of the virtual GPU: ") + strerror(errno));
  return fd_;
}

u64 Pool::allocate(u64 size_bytes, u64 alignment_bytes) {
  const std::lock_guard lock(mutex_);
  for (auto hole = holes_.begin(); hole != holes_.end(); ++hole) {
    const auto [start, size] = *hole;
    const u64 offset = (start + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
    if (offset - start > size || size - (offset - start) < size_bytes) continue;
    const u64 end = start + size;
    if (offset == start) holes_.erase(hole);
    else hole->second = offset - start;
    if (offset + size_bytes < end) holes_[offset + size_bytes] = end - (offset + size_bytes);
    return offset;
  }
  return ~0ull;
}

void Pool::release(u64 offset, u64 size_bytes) {
  if (offset < first_ || offset >= first_ + capacity_) return;   // of the parent, which may still use it
  // Memory handed out again must read as zero, as the kernel's does.
  if (fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(offset), off_t(size_bytes)) != 0)
    fatal(std::string("cannot free memory of the virtual GPU: ") + strerror(errno));
  const std::lock_guard lock(mutex_);
  auto next = holes_.lower_bound(offset);
  if (next != holes_.end() && offset + size_bytes == next->first) {
    size_bytes += next->second;
    next = holes_.erase(next);
  }
  if (next != holes_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size_bytes;
      return;
    }
  }
  holes_[offset] = size_bytes;
}

}  // namespace amlm::vgpu
