// /proc/PID/fdinfo/FD of a render node: what amdgpu tells there of the client's memory and engine time.
#pragma once

namespace amlm::vgpu {

// A descriptor to read it from when the path (relative to `folder`, as openat has it) names one of ours; else -1.
int open_fdinfo(int folder, const char* path);

}  // namespace amlm::vgpu
