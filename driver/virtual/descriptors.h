// Which file descriptors of this process are ours, and what stands behind them.
#pragma once

#include <memory>
#include <vector>

#include "driver/base.h"

namespace amlm::vgpu {

struct File;
struct Bo;
struct Syncobj;
struct SyncFile;

struct Descriptor {
  std::shared_ptr<File> file;          // an open render node
  std::shared_ptr<Bo> buffer;          // a dma-buf
  std::shared_ptr<Syncobj> syncobj;
  std::shared_ptr<SyncFile> sync_file;
};
using DescriptorPtr = std::shared_ptr<Descriptor>;

// Null when the fd is not ours; without a lock for the fds of others.
DescriptorPtr descriptor(int fd);
void attach(int fd, DescriptorPtr what);
void detach(int fd);                   // before close; drops the last reference outside of any lock
// In the child of a fork: the files it has inherited. Frees the table of locks that died with the parent's threads.
std::vector<std::shared_ptr<File>> inherited_files();

}  // namespace amlm::vgpu
