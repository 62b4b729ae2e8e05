// The libc calls through which a DRM client reaches a device. What is not ours goes on to libc unchanged.
//
// The functions have names of our own and asm labels of libc's, so that libc's headers (with their noexcept,
// fortified and 64-bit variants of the same names) cannot disagree with them.
#undef _FILE_OFFSET_BITS

#include "driver/virtual/interpose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/virtual/descriptors.h"
#include "driver/virtual/fdinfo.h"
#include "driver/virtual/file.h"
#include "driver/virtual/gpu.h"
#include "driver/virtual/fault_script.h"
#include "driver/virtual/real.h"
#include "driver/virtual/tree.h"

namespace amlm::vgpu {

namespace {

NodeKind kind_of(int fd) {
  static const auto function = reinterpret_cast<int (*)(int, struct stat*)>(real::next("fstat"));
  struct stat status {};
  return function(fd, &status) == 0 ? node_kind(status.st_dev, status.st_ino) : NodeKind::none;
}

// Turns a fresh descriptor of the place-holder into an open device.
int adopt(int fd) {
  const NodeKind kind = kind_of(fd);
  if (kind == NodeKind::none) return fd;
  if (const int error = call_error("OPEN")) {
    real::close(fd);
    errno = error;
    return -1;
  }
  auto what = std::make_shared<Descriptor>();
  what->file = std::make_shared<File>(kind);
  attach(fd, std::move(what));
  return fd;
}

using OpenAt = int (*)(int, const char*, int, ...);

int open_at(int folder, const char* path, int flags, mode_t mode) {
  static const auto function = reinterpret_cast<OpenAt>(real::next("openat"));
  if (const int fd = open_fdinfo(folder, path); fd >= 0) return fd;
  PathBuffer buffer;
  const char* place = redirect(path, buffer);
  const bool ours = place != path;
  if (ours) flags &= ~(O_CREAT | O_TRUNC | O_EXCL);
  const int fd = function(folder, place, flags, mode);
  if (fd < 0) return fd;
  const bool relative = path && path[0] != '/' && folder != AT_FDCWD;
  return ours || relative ? adopt(fd) : fd;
}

mode_t mode_argument(int flags, va_list arguments) {
  return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

}  // namespace amlm::vgpu

using namespace amlm::vgpu;

INTERPOSE(int, open, (const char* path, int flags, ...)) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}
INTERPOSE(int, open64, (const char* path, int flags, ...)) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
INTERPOSE(int, openat, (int folder, const char* path, int flags, ...)) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}
INTERPOSE(int, openat64, (int folder, const char* path, int flags, ...)) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags | O_LARGEFILE, mode);
}
INTERPOSE(int, __open_2, (const char* path, int flags)) { return open_at(AT_FDCWD, path, flags, 0); }
INTERPOSE(int, __open64_2, (const char* path, int flags)) { return open_at(AT_FDCWD, path, flags | O_LARGEFILE, 0); }
INTERPOSE(int, __openat_2, (int folder, const char* path, int flags)) { return open_at(folder, path, flags, 0); }
INTERPOSE(int, __openat64_2, (int folder, const char* path, int flags)) {
  return open_at(folder, path, flags | O_LARGEFILE, 0);
}

INTERPOSE(int, close, (int fd)) {
  detach(fd);
  return real::close(fd);
}

INTERPOSE(int, dup, (int fd)) {
  static const auto function = reinterpret_cast<int (*)(int)>(real::next("dup"));
  const int copy = function(fd);
  if (copy >= 0)
    if (auto what = descriptor(fd)) attach(copy, std::move(what));
  return copy;
}

static int dup_to(int fd, int target, int flags) {
  static const auto dup2_function = reinterpret_cast<int (*)(int, int)>(real::next("dup2"));
  static const auto dup3_function = reinterpret_cast<int (*)(int, int, int)>(real::next("dup3"));
  auto what = descriptor(fd);
  if (fd != target) detach(target);
  const int copy = flags == 0 ? dup2_function(fd, target) : dup3_function(fd, target, flags);
  if (copy >= 0 && what) attach(copy, std::move(what));
  return copy;
}
INTERPOSE(int, dup2, (int fd, int target)) { return dup_to(fd, target, 0); }
INTERPOSE(int, dup3, (int fd, int target, int flags)) {
  if (flags == 0 && fd == target) {
    errno = EINVAL;
    return -1;
  }
  return dup_to(fd, target, flags);
}

static int fcntl_any(int fd, int command, void* argument) {
  static const auto function = reinterpret_cast<int (*)(int, int, ...)>(real::next("fcntl"));
  const int result = function(fd, command, argument);
  if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
    if (auto what = descriptor(fd)) attach(result, std::move(what));
  return result;
}
INTERPOSE(int, fcntl, (int fd, int command, ...)) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return fcntl_any(fd, command, argument);
}
INTERPOSE(int, fcntl64, (int fd, int command, ...)) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return fcntl_any(fd, command, argument);
}

INTERPOSE(int, ioctl, (int fd, unsigned long request, ...)) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  const auto what = descriptor(fd);
  if (!what) return real::ioctl(fd, request, argument);
  const int result = device_ioctl(*what, request, argument);
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

static void* map_any(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  const auto what = (flags & MAP_ANONYMOUS) ? nullptr : descriptor(fd);
  if (flags & MAP_FIXED) Gpu::forget_mapping(address, size);
  if (!what) return real::mmap(address, size, protection, flags, fd, offset);
  return device_mmap(*what, {.address = address, .size = size, .protection = protection, .flags = flags,
                             .offset = amlm::u64(offset)});
}
INTERPOSE(void*, mmap, (void* address, size_t size, int protection, int flags, int fd, off_t offset)) {
  return map_any(address, size, protection, flags, fd, offset);
}
INTERPOSE(void*, mmap64, (void* address, size_t size, int protection, int flags, int fd, off_t offset)) {
  return map_any(address, size, protection, flags, fd, offset);
}
INTERPOSE(int, munmap, (void* address, size_t size)) {
  const int result = real::munmap(address, size);
  if (result == 0) Gpu::forget_mapping(address, size);
  return result;
}
