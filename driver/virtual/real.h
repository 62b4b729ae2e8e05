// The libc functions that we stand in front of, as the next library in the search order has them.
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "driver/base.h"

namespace amlm::vgpu::real {

// dlsym(RTLD_NEXT, name); aborts with a sentence when libc lacks it.
void* next(const char* name);

int open(const char* path, int flags, mode_t mode = 0);
int close(int fd);
int ioctl(int fd, unsigned long request, void* argument);
void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset);
int munmap(void* address, size_t size);
FILE* fopen(const char* path, const char* mode);
int dup_above(int fd, int lowest);   // F_DUPFD_CLOEXEC

}  // namespace amlm::vgpu::real
