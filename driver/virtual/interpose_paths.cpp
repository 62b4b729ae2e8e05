// The calls that only name a path or ask what stands behind it: rewritten into our tree, and the render node's
// place-holder reported as the character device that it stands for.
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <vector>

#include "driver/virtual/fdinfo.h"
#include "driver/virtual/interpose.h"
#include "driver/virtual/kernel.h"
#include "driver/virtual/real.h"
#include "driver/virtual/tree.h"

using namespace amlm::vgpu;

namespace {

#define NEXT(name, type) static const auto next_function = reinterpret_cast<type>(real::next(name))

int patch(int result, struct stat* status) {
  if (result != 0) return result;
  const NodeKind kind = node_kind(status->st_dev, status->st_ino);
  if (kind == NodeKind::none) return result;
  status->st_mode = S_IFCHR | 0666;
  status->st_rdev = makedev(drm_major_number, node_minor(kind));
  return result;
}

int stat_at(int folder, const char* path, struct stat* status, int flags) {
  NEXT("fstatat", int (*)(int, const char*, struct stat*, int));
  PathBuffer buffer;
  return patch(next_function(folder, redirect(path, buffer), status, flags), status);
}

int stat_fd(int fd, struct stat* status) {
  NEXT("fstat", int (*)(int, struct stat*));
  return patch(next_function(fd, status), status);
}

}  // namespace

// On x86-64 struct stat64 is struct stat, and the version argument of the __x forms has had one value since 2.2.5.
INTERPOSE(int, stat, (const char* path, struct stat* status)) { return stat_at(AT_FDCWD, path, status, 0); }
INTERPOSE(int, stat64, (const char* path, struct stat* status)) { return stat_at(AT_FDCWD, path, status, 0); }
INTERPOSE(int, lstat, (const char* path, struct stat* status)) {
  return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
INTERPOSE(int, lstat64, (const char* path, struct stat* status)) {
  return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
INTERPOSE(int, fstat, (int fd, struct stat* status)) { return stat_fd(fd, status); }
INTERPOSE(int, fstat64, (int fd, struct stat* status)) { return stat_fd(fd, status); }
INTERPOSE(int, fstatat, (int folder, const char* path, struct stat* status, int flags)) {
  return stat_at(folder, path, status, flags);
}
INTERPOSE(int, fstatat64, (int folder, const char* path, struct stat* status, int flags)) {
  return stat_at(folder, path, status, flags);
}
INTERPOSE(int, __xstat, (int, const char* path, struct stat* status)) { return stat_at(AT_FDCWD, path, status, 0); }
INTERPOSE(int, __xstat64, (int, const char* path, struct stat* status)) { return stat_at(AT_FDCWD, path, status, 0); }
INTERPOSE(int, __lxstat, (int, const char* path, struct stat* status)) {
  return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
INTERPOSE(int, __lxstat64, (int, const char* path, struct stat* status)) {
  return stat_at(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
INTERPOSE(int, __fxstat, (int, int fd, struct stat* status)) { return stat_fd(fd, status); }
INTERPOSE(int, __fxstat64, (int, int fd, struct stat* status)) { return stat_fd(fd, status); }
INTERPOSE(int, __fxstatat, (int, int folder, const char* path, struct stat* status, int flags)) {
  return stat_at(folder, path, status, flags);
}
INTERPOSE(int, __fxstatat64, (int, int folder, const char* path, struct stat* status, int flags)) {
  return stat_at(folder, path, status, flags);
}

INTERPOSE(int, statx, (int folder, const char* path, int flags, unsigned mask, struct statx* status)) {
  NEXT("statx", int (*)(int, const char*, int, unsigned, struct statx*));
  PathBuffer buffer;
  const int result = next_function(folder, redirect(path, buffer), flags, mask | STATX_INO, status);
  if (result != 0) return result;
  const NodeKind kind = node_kind(makedev(status->stx_dev_major, status->stx_dev_minor), status->stx_ino);
  if (kind == NodeKind::none) return result;
  status->stx_mode = S_IFCHR | 0666;
  status->stx_rdev_major = drm_major_number;
  status->stx_rdev_minor = node_minor(kind);
  return result;
}

// A child without an environment is a child of this machine all the same.
static int spawn(const char* symbol, pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                 const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  using Spawn = int (*)(pid_t*, const char*, const posix_spawn_file_actions_t*, const posix_spawnattr_t*, char* const*,
                        char* const*);
  std::vector<char*> ours;
  for (char** variable = environ; !environment && variable && *variable; ++variable)
    if (strncmp(*variable, "AMLM_VGPU_", 10) == 0 || strncmp(*variable, "LD_PRELOAD=", 11) == 0) ours.push_back(*variable);
  ours.push_back(nullptr);
  return reinterpret_cast<Spawn>(real::next(symbol))(pid, file, actions, attributes, arguments,
                                                     environment ? environment : ours.data());
}
INTERPOSE(int, posix_spawn, (pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                             const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment)) {
  return spawn("posix_spawn", pid, file, actions, attributes, arguments, environment);
}
INTERPOSE(int, posix_spawnp, (pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                              const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment)) {
  return spawn("posix_spawnp", pid, file, actions, attributes, arguments, environment);
}

INTERPOSE(int, uname, (struct utsname* name)) {
  NEXT("uname", int (*)(struct utsname*));
  const int result = next_function(name);
  if (const KernelVersion* kernel = pretended_kernel(); result == 0 && kernel)
    snprintf(name->release, sizeof name->release, "%s", kernel->release);
  return result;
}

INTERPOSE(int, access, (const char* path, int mode)) {
  NEXT("access", int (*)(const char*, int));
  PathBuffer buffer;
  return next_function(redirect(path, buffer), mode);
}
INTERPOSE(int, euidaccess, (const char* path, int mode)) {
  NEXT("euidaccess", int (*)(const char*, int));
  PathBuffer buffer;
  return next_function(redirect(path, buffer), mode);
}
INTERPOSE(int, eaccess, (const char* path, int mode)) {
  NEXT("euidaccess", int (*)(const char*, int));
  PathBuffer buffer;
  return next_function(redirect(path, buffer), mode);
}
INTERPOSE(int, faccessat, (int folder, const char* path, int mode, int flags)) {
  NEXT("faccessat", int (*)(int, const char*, int, int));
  PathBuffer buffer;
  return next_function(folder, redirect(path, buffer), mode, flags);
}

INTERPOSE(ssize_t, readlink, (const char* path, char* target, size_t size)) {
  NEXT("readlink", ssize_t (*)(const char*, char*, size_t));
  PathBuffer buffer;
  return next_function(redirect(path, buffer), target, size);
}
INTERPOSE(ssize_t, __readlink_chk, (const char* path, char* target, size_t size, size_t room)) {
  if (size > room) abort();
  NEXT("readlink", ssize_t (*)(const char*, char*, size_t));
  PathBuffer buffer;
  return next_function(redirect(path, buffer), target, size);
}
INTERPOSE(ssize_t, readlinkat, (int folder, const char* path, char* target, size_t size)) {
  NEXT("readlinkat", ssize_t (*)(int, const char*, char*, size_t));
  PathBuffer buffer;
  return next_function(folder, redirect(path, buffer), target, size);
}

static char* real_path(const char* path, char* resolved) {
  // Version 2.3 is the one that allocates when `resolved` is null; dlsym may find the older one.
  static const auto next_function =
      reinterpret_cast<char* (*)(const char*, char*)>(dlvsym(RTLD_NEXT, "realpath", "GLIBC_2.3"));
  PathBuffer buffer;
  const char* place = redirect(path, buffer);
  char* result = next_function(place, resolved);
  std::string outside;
  if (!result || place == path || !tree_path(result, outside)) return result;
  memcpy(result, outside.c_str(), outside.size() + 1);   // shorter than what stood there
  return result;
}
INTERPOSE(char*, realpath, (const char* path, char* resolved)) { return real_path(path, resolved); }
INTERPOSE(char*, __realpath_chk, (const char* path, char* resolved, size_t)) { return real_path(path, resolved); }
INTERPOSE(char*, canonicalize_file_name, (const char* path)) { return real_path(path, nullptr); }

static FILE* open_stream(const char* symbol, const char* path, const char* mode) {
  const auto next_function = reinterpret_cast<FILE* (*)(const char*, const char*)>(real::next(symbol));
  if (const int fd = open_fdinfo(AT_FDCWD, path); fd >= 0) return fdopen(fd, "r");
  PathBuffer buffer;
  return next_function(redirect(path, buffer), mode);
}
INTERPOSE(FILE*, fopen, (const char* path, const char* mode)) { return open_stream("fopen", path, mode); }
INTERPOSE(FILE*, fopen64, (const char* path, const char* mode)) { return open_stream("fopen64", path, mode); }

INTERPOSE(DIR*, opendir, (const char* path)) {
  NEXT("opendir", DIR* (*)(const char*));
  PathBuffer buffer;
  return next_function(redirect(path, buffer));
}

using Filter = int (*)(const struct dirent*);
using Order = int (*)(const struct dirent**, const struct dirent**);
using Scan = int (*)(const char*, struct dirent***, Filter, Order);
INTERPOSE(int, scandir, (const char* path, struct dirent*** names, Filter filter, Order order)) {
  NEXT("scandir", Scan);
  PathBuffer buffer;
  return next_function(redirect(path, buffer), names, filter, order);
}
INTERPOSE(int, scandir64, (const char* path, struct dirent*** names, Filter filter, Order order)) {
  NEXT("scandir64", Scan);
  PathBuffer buffer;
  return next_function(redirect(path, buffer), names, filter, order);
}
