#include "driver/virtual/descriptors.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "driver/virtual/config.h"

namespace amlm::vgpu {

namespace {

constexpr int fd_limit = 1 << 20;

struct Table {
  std::atomic<u8> used[fd_limit] = {};
  std::mutex mutex;
  std::unordered_map<int, DescriptorPtr> rows;
};

Table& table() {
  static auto* present = new Table;   // never destroyed: close() is called after static destructors
  return *present;
}

}  // namespace

DescriptorPtr descriptor(int fd) {
  if (fd < 0 || fd >= fd_limit) return nullptr;
  Table& t = table();
  if (!t.used[fd].load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard lock(t.mutex);
  const auto row = t.rows.find(fd);
  return row == t.rows.end() ? nullptr : row->second;
}

void attach(int fd, DescriptorPtr what) {
  if (fd < 0 || fd >= fd_limit) fatal("file descriptor " + std::to_string(fd) + " is past the table");
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  t.rows[fd] = std::move(what);
  t.used[fd].store(1, std::memory_order_release);
}

void detach(int fd) {
  if (fd < 0 || fd >= fd_limit) return;
  Table& t = table();
  if (!t.used[fd].load(std::memory_order_acquire)) return;
  DescriptorPtr last;
  const std::lock_guard lock(t.mutex);
  const auto row = t.rows.find(fd);
  if (row == t.rows.end()) return;
  last = std::move(row->second);
  t.rows.erase(row);
  t.used[fd].store(0, std::memory_order_release);
}

std::vector<std::shared_ptr<File>> inherited_files() {
  Table& t = table();
  new (&t.mutex) std::mutex;
  std::vector<std::shared_ptr<File>> files;
  for (const auto& row : t.rows)
    if (row.second->file) files.push_back(row.second->file);
  return files;
}

}  // namespace amlm::vgpu
