#include "driver/virtual/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "driver/virtual/gpu.h"
#include "driver/virtual/real.h"

namespace amlm::vgpu {

namespace {

constexpr std::string_view pci_path = "sys/devices/pci0000:00/0000:00:08.1/0000:c5:00.0";

constexpr std::string_view prefixes[] = {
    "/dev/dri", "/sys/class/drm", "/sys/dev/char/226:", "/sys/module/amdgpu", "/sys/module/ttm",
    "/sys/devices/pci0000:00/0000:00:08.1/0000:c5:00.0", "/sys/bus/pci/devices/0000:c5:00.0",
    "/sys/bus/pci/drivers/amdgpu",
};

struct TreeFile { std::string path, content; };
struct TreeLink { std::string path, target; };

struct Plan {
  std::vector<std::string> folders;
  std::vector<TreeFile> files;
  std::vector<TreeLink> links;
};

// The first 64 bytes of PCI configuration space, which libdrm reads before the single files.
std::string pci_config() {
  std::string bytes(64, '\0');
  const auto put = [&](size_t at, u16 value) {
    bytes[at] = char(value & 0xff);
    bytes[at + 1] = char(value >> 8);
  };
  put(0, pci_vendor);
  put(2, pci_device);
  bytes[8] = char(pci_revision);
  bytes[11] = 3;   // class: display controller
  put(44, pci_subsystem_vendor);
  put(46, pci_subsystem_device);
  return bytes;
}

void add_minor(Plan& plan, const std::string& name, u32 minor) {
  const std::string number = std::to_string(drm_major_number) + ":" + std::to_string(minor);
  const std::string folder = std::string(pci_path) + "/drm/" + name;
  plan.folders.push_back(folder);
  plan.files.push_back({folder + "/dev", number + "\n"});
  plan.files.push_back({folder + "/uevent", "MAJOR=226\nMINOR=" + std::to_string(minor) + "\nDEVNAME=dri/" + name +
                                                "\nDEVTYPE=drm_minor\n"});
  plan.links.push_back({folder + "/device", "../../../0000:c5:00.0"});
  plan.links.push_back({folder + "/subsystem", "../../../../../../class/drm"});
  plan.links.push_back({"sys/dev/char/" + number, "../../" + folder.substr(4)});
  plan.links.push_back({"sys/class/drm/" + name, "../../" + folder.substr(4)});
  plan.files.push_back({"dev/dri/" + name, ""});
}

Plan make_plan(const Config& config) {
  Plan plan;
  const std::string device(pci_path);
  plan.folders = {"dev/dri", "sys/dev/char", "sys/class/drm", "sys/bus/pci/devices", "sys/bus/pci/drivers/amdgpu",
                  "sys/module/amdgpu/parameters", "sys/module/ttm/parameters", device, device + "/drm"};
  plan.files = {
      {device + "/vendor", "0x1002\n"}, {device + "/device", "0x1586\n"}, {device + "/revision", "0xc1\n"},
      {device + "/subsystem_vendor", "0x1002\n"}, {device + "/subsystem_device", "0x1586\n"},
      {device + "/class", "0x030000\n"}, {device + "/config", pci_config()},
      {device + "/uevent", "DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_ID=1002:1586\nPCI_SUBSYS_ID=1002:1586\n"
                           "PCI_SLOT_NAME=0000:c5:00.0\n"},
      {device + "/mem_info_gtt_total", std::to_string(config.gtt_bytes) + "\n"},
      {device + "/mem_info_vram_total", std::to_string(config.vram_bytes) + "\n"},
      {"sys/module/amdgpu/parameters/lockup_timeout", config.lockup_timeout + "\n"},
      {"sys/module/ttm/parameters/pages_limit", std::to_string(config.gtt_bytes / 4096) + "\n"},
      {"sys/class/drm/version", "drm 1.1.0 20060810\n"},
  };
  if (config.kernel->has_user_queues) plan.files.push_back({"sys/module/amdgpu/parameters/user_queue", "-1\n"});
  // Linux 6.13 on, amdgpu_show_reset_mask; per-queue reset on all 11.5 parts (driver.md 3.6)
  if (config.kernel->has_reset_masks)
    for (const auto& [name, mask] : {std::pair("/gfx_reset_mask", "full soft queue \n"),
                                     std::pair("/compute_reset_mask", "full queue \n"),
                                     std::pair("/sdma_reset_mask", "full \n")})
      plan.files.push_back({device + name, mask});
  plan.links = {{device + "/subsystem", "../../../../bus/pci"},
                {device + "/driver", "../../../../bus/pci/drivers/amdgpu"},
                {"sys/bus/pci/devices/0000:c5:00.0", "../../../" + device.substr(4)}};
  add_minor(plan, "renderD128", render_minor);
  if (config.primary_node) add_minor(plan, "card0", primary_minor);
  return plan;
}

void make_folders(const std::string& path) {
  for (size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at + 1);
    if (::mkdir(path.substr(0, at).c_str(), 0700) != 0 && errno != EEXIST)
      fatal("cannot make " + path.substr(0, at) + ": " + strerror(errno));
  }
}

void write_plan(const Plan& plan, const std::string& root) {
  for (const auto& folder : plan.folders) make_folders(root + "/" + folder);
  for (const auto& file : plan.files) {
    const std::string path = root + "/" + file.path;
    const int fd = real::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || ::write(fd, file.content.data(), file.content.size()) != ssize_t(file.content.size()))
      fatal("cannot write " + path + ": " + strerror(errno));
    real::close(fd);
  }
  for (const auto& link : plan.links)
    if (::symlink(link.target.c_str(), (root + "/" + link.path).c_str()) != 0)
      fatal("cannot link " + root + "/" + link.path + ": " + strerror(errno));
}

u64 plan_hash(const Plan& plan) {   // FNV-1a: names the folder, so that processes with one configuration share it
  u64 hash = 0xcbf29ce484222325;
  const auto mix = [&](const std::string& text) {
    for (const char c : text + "\n") hash = (hash ^ u8(c)) * 0x100000001b3;
  };
  for (const auto& folder : plan.folders) mix(folder);
  for (const auto& file : plan.files) mix(file.path), mix(file.content);
  for (const auto& link : plan.links) mix(link.path), mix(link.target);
  return hash;
}

struct Tree {
  std::string root;
  dev_t device = 0;
  ino_t render = 0, primary = 0;
};

std::atomic<const Tree*> built{nullptr};

using StatFunction = int (*)(const char*, struct stat*);

ino_t inode_of(const std::string& path, dev_t& device) {
  struct stat status {};
  static const auto function = reinterpret_cast<StatFunction>(real::next("stat"));
  if (function(path.c_str(), &status) != 0) return 0;
  device = status.st_dev;
  return status.st_ino;
}

// Written under a name of this process and renamed: two processes that start at once do not see half a tree.
const Tree* build() {
  const Plan plan = make_plan(Gpu::instance().config);
  const char* temporary = getenv("TMPDIR");
  const std::string user = std::string(temporary && *temporary ? temporary : "/tmp") + "/amlm-vgpu-" +
                           std::to_string(getuid());
  char name[20];
  snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(plan_hash(plan)));
  auto* tree = new Tree;
  tree->root = user + "/" + name;
  make_folders(user);
  struct stat status {};
  static const auto function = reinterpret_cast<StatFunction>(real::next("lstat"));
  if (function(user.c_str(), &status) != 0 || status.st_uid != getuid() || !S_ISDIR(status.st_mode))
    fatal(user + " belongs to somebody else: set TMPDIR to a folder of yours");
  if (::access(tree->root.c_str(), F_OK) != 0) {
    const std::string fresh = tree->root + "." + std::to_string(getpid());
    write_plan(plan, fresh);
    if (::rename(fresh.c_str(), tree->root.c_str()) != 0) {
      if (errno != EEXIST && errno != ENOTEMPTY) fatal("cannot make " + tree->root + ": " + strerror(errno));
      std::filesystem::remove_all(fresh);      // another process was first
    }
  }
  tree->render = inode_of(tree->root + "/dev/dri/renderD128", tree->device);
  tree->primary = inode_of(tree->root + "/dev/dri/card0", tree->device);
  if (!tree->render) fatal(tree->root + " is damaged: remove it");
  return tree;
}

const Tree& tree() {
  if (const Tree* present = built.load(std::memory_order_acquire)) return *present;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (!built.load()) built.store(build(), std::memory_order_release);
  return *built.load();
}

bool is_ours(std::string_view path) {
  for (const auto prefix : prefixes) {
    if (!path.starts_with(prefix)) continue;
    if (prefix.back() == ':' || path.size() == prefix.size() || path[prefix.size()] == '/') return true;
  }
  return false;
}

}  // namespace

const char* redirect(const char* path, PathBuffer& buffer) {
  if (!path || path[0] != '/' || (path[1] != 'd' && path[1] != 's') || !is_ours(path)) return path;
  const std::string& root = tree().root;
  const size_t length = strlen(path);
  if (root.size() + length + 1 > sizeof buffer.text) return path;
  memcpy(buffer.text, root.data(), root.size());
  memcpy(buffer.text + root.size(), path, length + 1);
  return buffer.text;
}

bool tree_path(const char* path, std::string& outside) {
  const Tree* present = built.load(std::memory_order_acquire);
  if (!present || strncmp(path, present->root.c_str(), present->root.size()) != 0) return false;
  outside = path + present->root.size();
  return true;
}

NodeKind node_kind(dev_t device, ino_t inode) {
  const Tree* present = built.load(std::memory_order_acquire);
  if (!present || device != present->device || inode == 0) return NodeKind::none;
  if (inode == present->render) return NodeKind::render;
  return inode == present->primary ? NodeKind::primary : NodeKind::none;
}

u32 node_minor(NodeKind kind) { return kind == NodeKind::primary ? primary_minor : render_minor; }

}  // namespace amlm::vgpu
