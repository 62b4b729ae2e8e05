// `--device auto|virtual|/dev/dri/renderDNNN`: from the word to an open device.
//
// The virtual gfx1151 stands below libdrm, so a program must be started under it: `virtual` re-executes amlm with the
// library preloaded. Nothing in amlm links it, and `auto` never falls back to it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "driver/base.h"
#include "driver/device.h"
#include "tools/commands.h"

namespace amlm::tools {

struct VirtualOptions {
  std::string mode = "fast";     // "strict" or "fast", where AMLM_VGPU_MODE does not say
  std::vector<std::pair<std::string, std::string>> variables;   // AMLM_VGPU_*, set over those that are
};

void add_device_option(CLI::App& command, std::string& device);

// Does not return when `device` is "virtual" and this process is not yet under it (unless starting it fails).
Result<std::unique_ptr<Device>> open_device(const std::string& device, const Invocation& invocation,
                                            const VirtualOptions& options = {});

// Replaces this process by `argv` under the virtual gfx1151. Returns only an error.
Error exec_under_virtual(char* const* argv, const VirtualOptions& options);

// True in a process that runs under the virtual gfx1151.
bool under_virtual();

}  // namespace amlm::tools
