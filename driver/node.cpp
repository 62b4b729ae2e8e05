// Finding a render node that serves, and saying of each other one why it does not and what to do.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "driver/device_impl.h"

namespace amlm {

namespace {

constexpr const char* node_folder = "/dev/dri";

std::string user_name() {
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : text("$(id -un)");
}

// Which group may open the node, and the command that lets this user in.
Error no_permission(const std::string& node, int error) {
  struct stat status{};
  if (stat(node.c_str(), &status) != 0 || (status.st_mode & 0060) != 0060)
    return {ErrorCode::permission, error,
            text("%s may not be opened (mode %03o). Mend: sudo chmod 0660 %s, or in a container: --device %s",
                 node.c_str(), status.st_mode & 0777, node.c_str(), node.c_str())};
  const group* owner = getgrgid(status.st_gid);
  const std::string name = owner != nullptr ? owner->gr_name : text("%u", status.st_gid);
  return {ErrorCode::permission, error,
          text("%s belongs to group %s (gid %u), of which this process is not a member. Mend: sudo usermod -aG "
               "%s %s, then log in again; in a container: --group-add %u (podman: --group-add keep-groups)",
               node.c_str(), name.c_str(), status.st_gid, name.c_str(), user_name().c_str(), status.st_gid)};
}

Error cannot_open(const std::string& node, int error) {
  if (error == EACCES || error == EPERM) return no_permission(node, error);
  if (error == ENOENT)
    return {ErrorCode::no_device, error, text("%s does not exist: ls %s shows the render nodes", node.c_str(), node_folder)};
  if (error == EISDIR || error == ENXIO || error == ENODEV)
    return {ErrorCode::no_device, error, node + " is not a render node: those are /dev/dri/renderD128 and following"};
  return {ErrorCode::kernel, error, node + " cannot be opened: " + std::strerror(error)};
}

struct DrmVersion { std::string name, description; int major = 0, minor = 0; };

Result<DrmVersion> drm_version(int fd, const std::string& node) {
  drmVersion* version = drmGetVersion(fd);
  if (version == nullptr)
    return fail(ErrorCode::no_device, node + " is not a DRM device: render nodes are /dev/dri/renderD128 and following",
                errno);
  DrmVersion result{std::string(version->name, std::size_t(version->name_len)),
                    std::string(version->desc, std::size_t(version->desc_len)), version->version_major,
                    version->version_minor};
  drmFreeVersion(version);
  return result;
}

Result<void> require_gfx1151(const Device::Impl& device, const std::string& node) {
  const DeviceFacts& facts = device.facts;
  const std::string chip = text("%s: %s (1002:%04x)", node.c_str(), facts.marketing_name.c_str(), facts.pci_device);
  if (facts.gfx_major == 0)
    return fail(ErrorCode::kernel,
                text("%s: amdgpu %u.%u of Linux %s is too old to name the chip's generation. Mend: Linux 6.10 or newer",
                     chip.c_str(), facts.drm_major, facts.drm_minor, facts.kernel_release.c_str()));
  if (facts.gfx_major != 11 || facts.gfx_minor != 5 || facts.gfx_step != 1)
    return fail(ErrorCode::no_device, text("%s is gfx%u%u%x, not gfx1151 (Strix Halo)", chip.c_str(), facts.gfx_major,
                                           facts.gfx_minor, facts.gfx_step));
  u32 accel_working = 0;
  if (const int error = query_info(device.fd, {.id = AMDGPU_INFO_ACCEL_WORKING}, &accel_working, sizeof accel_working);
      error != 0)
    return fail(ErrorCode::kernel, chip + ": the kernel refuses to tell whether its engines work: " +
                                       std::strerror(-error), -error);
  if (accel_working == 0)
    return fail(ErrorCode::kernel,
                chip + ": the kernel could not start its engines (accel_working is 0). See: sudo dmesg | grep "
                       "amdgpu; most often the firmware is missing (package linux-firmware, or "
                       "firmware-amd-graphics on Debian)");
  if (facts.compute_rings == 0)
    return fail(ErrorCode::kernel,
                chip + ": the kernel offers no compute queue. Mend: boot without amdgpu.user_queue=2 and "
                       "amdgpu.num_kcq=0");
  return {};
}

}  // namespace

Result<std::unique_ptr<Device::Impl>> open_node(const std::string& node) {
  auto device = std::make_unique<Device::Impl>();
  device->fd = ::open(node.c_str(), O_RDWR | O_CLOEXEC);
  if (device->fd < 0) return std::unexpected(cannot_open(node, errno));
  const DrmVersion version = TRY(drm_version(device->fd, node));
  if (version.name != "amdgpu")
    return fail(ErrorCode::no_device, text("%s is driven by %s, not amdgpu", node.c_str(), version.name.c_str()));
  DeviceFacts& facts = device->facts;
  facts.node = node;
  facts.is_virtual = version.description.find("virtual") != std::string::npos;
  facts.drm_major = u32(version.major);
  facts.drm_minor = u32(version.minor);
  u32 major = 0, minor = 0;
  if (const int error = amdgpu_device_initialize(device->fd, &major, &minor, &device->handle); error != 0)
    return fail(ErrorCode::kernel,
                text("%s: libdrm_amdgpu cannot use it (amdgpu %u.%u): %s", node.c_str(), facts.drm_major,
                     facts.drm_minor, std::strerror(-error)),
                -error);
  TRY_VOID(read_facts(*device));
  TRY_VOID(require_gfx1151(*device, node));
  return device;
}

Result<std::unique_ptr<Device>> Device::open(const DeviceChoice& choice) {
  std::vector<std::string> nodes;
  if (!choice.node.empty()) {
    nodes.push_back(choice.node);
  } else if (DIR* folder = opendir(node_folder)) {
    while (const dirent* entry = readdir(folder))
      if (std::string_view(entry->d_name).starts_with("renderD"))
        nodes.push_back(std::string(node_folder) + "/" + entry->d_name);
    closedir(folder);
  }
  std::ranges::sort(nodes);
  if (nodes.empty())
    return fail(
        ErrorCode::no_device,
        text("no usable gfx1151: there is no render node in %s. Either amdgpu is not loaded (sudo modprobe amdgpu; "
             "sudo dmesg | grep amdgpu), or this is a container without --device /dev/dri/renderD128",
             node_folder));
  Error refusal{ErrorCode::no_device, 0, "no usable gfx1151:"};
  for (const auto& node : nodes) {
    auto opened = open_node(node);
    if (opened) {
      std::unique_ptr<Device> device(new Device());
      device->impl_ = *std::move(opened);
      return device;
    }
    const Error& reason = opened.error();
    if (nodes.size() == 1) return std::unexpected(reason);
    refusal.sentence += "\n  " + reason.sentence;
    // A node that might serve once mended says more than another chip does.
    if (reason.code != ErrorCode::no_device) {
      refusal.code = reason.code;
      refusal.errno_value = reason.errno_value;
    }
  }
  return std::unexpected(refusal);
}

}  // namespace amlm
