// Asks the kernel everything that a device record holds.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "driver/device_impl.h"
#include "driver/record.h"

namespace amlm {

namespace {

constexpr u32 info_max_ibs = 0x22;           // AMDGPU_INFO_MAX_IBS, absent from older headers

constexpr struct { u32 type; const char* name; } ip_types[] = {
    {0, "gfx"}, {1, "compute"}, {2, "dma"}, {6, "vcn_dec"}, {7, "vcn_enc"}, {8, "vcn_jpeg"}, {9, "vpe"}};

constexpr struct { u32 type; const char* name; } firmware_types[] = {
    {0x04, "ME"}, {0x05, "PFP"}, {0x06, "CE"}, {0x07, "RLC"}, {0x08, "MEC"}, {0x0A, "SMC"}, {0x0B, "SDMA"},
    {0x0E, "VCN"}, {0x14, "DMCUB"}, {0x19, "MES_KIQ"}, {0x1A, "MES"}, {0x1B, "IMU"}, {0x1C, "VPE"}};

// The bytes that the kernel writes: asked twice over different fillings; the tail that keeps them was not written.
std::vector<u8> raw_answer(int fd, const InfoQuery& query) {
  std::array<u8, 1024> zeros{}, ones;
  ones.fill(0xff);
  if (query_info(fd, query, zeros.data(), zeros.size()) != 0 || query_info(fd, query, ones.data(), ones.size()) != 0)
    return {};
  std::size_t size = zeros.size();
  while (size > 0 && zeros[size - 1] == 0 && ones[size - 1] == 0xff) size--;
  return {zeros.begin(), zeros.begin() + std::ptrdiff_t(size)};
}

u32 ip_count(int fd, u32 type) {
  u32 count = 0;
  return query_info(fd, {.id = AMDGPU_INFO_HW_IP_COUNT, .type = type}, &count, sizeof count) == 0 ? count : 0;
}

void read_parameters(const std::string& folder, const std::string& prefix, DeviceRecord& record) {
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries))
    if (entry->d_name[0] != '.')
      record.parameters[prefix + entry->d_name] = read_small_file(folder + "/" + entry->d_name);
  closedir(entries);
}

Result<void> read_drm(int fd, DeviceRecord& record) {
  drmVersion* version = drmGetVersion(fd);
  if (version == nullptr) return fail(ErrorCode::kernel, "the kernel refuses to tell its DRM version", errno);
  record.drm_major = u32(version->version_major);
  record.drm_minor = u32(version->version_minor);
  record.drm_patch = u32(version->version_patchlevel);
  record.drm_name.assign(version->name, std::size_t(version->name_len));
  record.drm_date.assign(version->date, std::size_t(version->date_len));
  record.drm_description.assign(version->desc, std::size_t(version->desc_len));
  drmFreeVersion(version);
  return {};
}

}  // namespace

Result<DeviceRecord> record_device(Device& device) {
  const int fd = device.impl().fd;
  const DeviceFacts& facts = device.facts();
  DeviceRecord record{.kernel_release = facts.kernel_release, .pci_device = facts.pci_device,
                      .pci_revision = facts.pci_revision};
  TRY_VOID(read_drm(fd, record));
  drmDevice* pci = nullptr;
  if (drmGetDevice2(fd, 0, &pci) == 0) {
    if (pci->bustype == DRM_BUS_PCI) {
      record.pci_subvendor = pci->deviceinfo.pci->subvendor_id;
      record.pci_subdevice = pci->deviceinfo.pci->subdevice_id;
    }
    drmFreeDevice(&pci);
  }
  query_info(fd, {.id = AMDGPU_INFO_ACCEL_WORKING}, &record.accel_working, sizeof record.accel_working);
  record.dev_info = raw_answer(fd, {.id = AMDGPU_INFO_DEV_INFO});
  record.memory_info = raw_answer(fd, {.id = AMDGPU_INFO_MEMORY});
  record.vram_gtt = raw_answer(fd, {.id = AMDGPU_INFO_VRAM_GTT});
  record.max_ibs = raw_answer(fd, {.id = info_max_ibs});
  for (const auto& [type, name] : ip_types)
    if (auto raw = raw_answer(fd, {.id = AMDGPU_INFO_HW_IP_INFO, .type = type}); !raw.empty())
      record.hw_ip.push_back({type, name, ip_count(fd, type), std::move(raw)});
  for (const auto& [type, name] : firmware_types) {
    drm_amdgpu_info_firmware version{};
    if (query_info(fd, {.id = AMDGPU_INFO_FW_VERSION, .type = type}, &version, sizeof version) == 0)
      record.firmware.push_back({type, name, version.ver, version.feature});
  }
  read_parameters("/sys/module/amdgpu/parameters", "", record);
  read_parameters("/sys/module/ttm/parameters", "ttm.", record);
  return record;
}

Result<void> record_device(Device& device, const std::string& path) {
  const std::string json = write_record(TRY(record_device(device)));
  // Whole or not at all: beside the file, then under its name. What is not a plain file is written to directly.
  struct stat status{};
  const bool plain = ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
  const std::string place = plain ? path + ".part" : path;
  const int fd = ::open(place.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return fail(ErrorCode::file, path + " cannot be written: " + std::strerror(errno), errno);
  const ssize_t written = ::write(fd, json.data(), json.size());
  int error = errno;
  bool whole = ::close(fd) == 0 && written == ssize_t(json.size());
  if (whole && plain && ::rename(place.c_str(), path.c_str()) != 0) {
    error = errno;
    whole = false;
  }
  if (!whole && plain) ::unlink(place.c_str());
  if (!whole)
    return fail(ErrorCode::file, path + " cannot be written: " + std::strerror(error), error);
  return {};
}

}  // namespace amlm
