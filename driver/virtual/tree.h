// The part of /dev and /sys that a DRM client looks at, as real files in a private directory. The interposed calls
// rewrite a path that begins like one of ours and let libc do the rest, so that opendir, realpath, fopen and their
// relatives need no model of their own. Only the render node is special: its place-holder is known by its inode, and
// stat then reports the character device 226:128.
#pragma once

#include <limits.h>
#include <sys/stat.h>

#include <string>

#include "driver/base.h"

namespace amlm::vgpu {

inline constexpr u32 drm_major_number = 226, render_minor = 128, primary_minor = 0;
inline constexpr u16 pci_vendor = 0x1002, pci_device = 0x1586, pci_revision = 0xc1;
inline constexpr u16 pci_subsystem_vendor = 0x1002, pci_subsystem_device = 0x1586;

struct PathBuffer { char text[PATH_MAX]; };

// `path` itself, or its place in the tree written into `buffer`. Builds the tree at the first path of ours.
const char* redirect(const char* path, PathBuffer& buffer);
// "/tmp/amlm-vgpu-0/1234/sys/devices/x" -> "/sys/devices/x"; false when it is not in the tree.
bool tree_path(const char* path, std::string& outside);

enum class NodeKind { none, render, primary };
NodeKind node_kind(dev_t device, ino_t inode);
u32 node_minor(NodeKind kind);

}  // namespace amlm::vgpu
