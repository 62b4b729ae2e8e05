// Runs one kernel of a code object on a device, as `amlm asm --run` asks, and says what it did.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "driver/base.h"
#include "tools/commands.h"
#include "tools/source_lines.h"

namespace amlm::tools {

struct LaunchRequest {
  std::string file;              // for messages
  std::string kernel, device, grid = "1,1,1", group;
  std::vector<std::string> arguments, dumps;
  u32 repeat = 1;
};

// gpu_fault: the sentence of the fault, with the source line of the instruction when the virtual GPU names it.
Result<void> launch_kernel(const LaunchRequest& request, const Invocation& invocation, std::span<const u8> elf,
                           const SourceLines& lines);

}  // namespace amlm::tools
