#include "driver/virtual/real.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>

namespace amlm::vgpu::real {

void* next(const char* name) {
  void* symbol = dlsym(RTLD_NEXT, name);
  if (symbol) return symbol;
  fprintf(stderr, "amlm-vgpu: libc has no %s\n", name);
  abort();
}

int open(const char* path, int flags, mode_t mode) {
  static const auto function = reinterpret_cast<int (*)(const char*, int, ...)>(next("open"));
  return function(path, flags, mode);
}

int close(int fd) {
  static const auto function = reinterpret_cast<int (*)(int)>(next("close"));
  return function(fd);
}

int ioctl(int fd, unsigned long request, void* argument) {
  static const auto function = reinterpret_cast<int (*)(int, unsigned long, ...)>(next("ioctl"));
  return function(fd, request, argument);
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  static const auto function =
      reinterpret_cast<void* (*)(void*, size_t, int, int, int, off_t)>(next("mmap"));
  return function(address, size, protection, flags, fd, offset);
}

int munmap(void* address, size_t size) {
  static const auto function = reinterpret_cast<int (*)(void*, size_t)>(next("munmap"));
  return function(address, size);
}

FILE* fopen(const char* path, const char* mode) {
  static const auto function = reinterpret_cast<FILE* (*)(const char*, const char*)>(next("fopen"));
  return function(path, mode);
}

int dup_above(int fd, int lowest) {
  static const auto function = reinterpret_cast<int (*)(int, int, ...)>(next("fcntl"));
  return function(fd, F_DUPFD_CLOEXEC, lowest);
}

}  // namespace amlm::vgpu::real
