// A machine's answers, written by `amlm info --record FILE` and taken over by the virtual GPU.
//
// The file is one JSON object. Structures of the kernel are kept as they came, in hex ("raw"); what stands beside them
// under "fields" is for people and is not read back.
//   {
//     "format": "amlm device record 1",
//     "drm_version": {"major": 3, "minor": 64, "patch": 0, "name": "amdgpu", "date": "20150101", "desc": "AMD GPU"},
//     "kernel_release": "7.3.4",
//     "pci": {"device": 5510, "revision": 193, "subvendor": 0, "subdevice": 0},
//     "dev_info": {"raw": "861500...", "fields": {...}},            INFO 0x16
//     "memory_info": {"raw": "...", "fields": {...}},               INFO 0x19
//     "vram_gtt": {"raw": "..."},                                   INFO 0x14
//     "accel_working": 1,                                           INFO 0x00
//     "max_ibs": {"raw": "..."},                                    INFO 0x22
//     "hw_ip": [{"type": 0, "name": "gfx", "count": 1, "raw": "...", "fields": {...}}, ...],   INFO 0x02 and 0x03
//     "firmware": [{"type": 4, "name": "ME", "version": 29, "feature": 35}, ...],              INFO 0x0E
//     "parameters": {"lockup_timeout": "", ...}                     /sys/module/{amdgpu,ttm}/parameters
//   }
// `raw` holds as many bytes as that kernel's structure has (the kernel copies no more than it knows). A query that the
// kernel refused is absent.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"

namespace amlm {

class Device;

struct DeviceRecord {
  struct HwIp { u32 type = 0; std::string name; u32 count = 0; std::vector<u8> raw; };
  struct Firmware { u32 type = 0; std::string name; u32 version = 0, feature = 0; };

  u32 drm_major = 0, drm_minor = 0, drm_patch = 0;
  std::string drm_name, drm_date, drm_description;
  std::string kernel_release;
  u32 pci_device = 0, pci_revision = 0, pci_subvendor = 0, pci_subdevice = 0;
  u32 accel_working = 0;
  std::vector<u8> dev_info, memory_info, vram_gtt, max_ibs;
  std::vector<HwIp> hw_ip;
  std::vector<Firmware> firmware;
  std::map<std::string, std::string> parameters;      // "lockup_timeout", "ttm.pages_limit"; amdgpu's have no prefix
};

// needs no device; in driver_tables_dep
std::string write_record(const DeviceRecord& record);             // JSON, indented
Result<DeviceRecord> parse_record(std::string_view json);         // ErrorCode::file with the key that is wrong

// asks the kernel
Result<DeviceRecord> record_device(Device& device);
// to a file
Result<void> record_device(Device& device, const std::string& path);

}  // namespace amlm
