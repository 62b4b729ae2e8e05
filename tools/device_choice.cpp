#include "tools/device_choice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace amlm::tools {

namespace {

constexpr const char* library_name = "libamlm-vgpu.so";
constexpr const char* active_variable = "AMLM_VGPU_ACTIVE";

// Beside the program (build tree and tarball), in the build tree's own folder, or installed.
Result<std::string> find_library() {
  if (const char* given = std::getenv("AMLM_VGPU_LIBRARY")) {
    if (access(given, R_OK) == 0) return std::string(given);
    return fail(ErrorCode::file, fmt::format("AMLM_VGPU_LIBRARY names {}, which cannot be read: {}", given,
                                             std::strerror(errno)), errno);
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {".", "../driver/virtual", "../lib/amlm", "../lib"}) {
    const auto candidate = (self / place / library_name).lexically_normal();
    if (access(candidate.c_str(), R_OK) == 0) return candidate.string();
  }
  return fail(ErrorCode::file, fmt::format("the virtual gfx1151 ({}) is not beside {}, nor in ../lib/amlm: build it, or "
                                           "set AMLM_VGPU_LIBRARY to its path", library_name, self.string()));
}

}  // namespace

void add_device_option(CLI::App& command, std::string& device) {
  command.add_option("--device", device, "auto, virtual, or a render node (/dev/dri/renderD128)")
      ->default_val("auto")
      ->type_name("DEVICE");
}

bool under_virtual() { return std::getenv(active_variable) != nullptr; }

Error exec_under_virtual(char* const* argv, const VirtualOptions& options) {
  auto library = find_library();
  if (!library) return library.error();
  std::string preload = *library;
  if (const char* before = std::getenv("LD_PRELOAD"); before && *before) preload += std::string(":") + before;
  setenv("LD_PRELOAD", preload.c_str(), 1);
  setenv(active_variable, "1", 1);
  if (!std::getenv("AMLM_VGPU_MODE")) setenv("AMLM_VGPU_MODE", options.mode.c_str(), 1);
  for (const auto& [name, value] : options.variables) setenv(name.c_str(), value.c_str(), 1);
  execvp(argv[0], argv);
  return {ErrorCode::file, errno, fmt::format("{} cannot be started: {}", argv[0], std::strerror(errno))};
}

Result<std::unique_ptr<Device>> open_device(const std::string& device, const Invocation& invocation,
                                            const VirtualOptions& options) {
  if (device == "virtual" && !under_virtual()) {
    std::string self = "/proc/self/exe";
    std::vector<char*> arguments(invocation.argv, invocation.argv + invocation.argc);
    arguments[0] = self.data();
    arguments.push_back(nullptr);
    return std::unexpected(exec_under_virtual(arguments.data(), options));
  }
  if (device == "auto" || device == "virtual") {
    auto opened = Device::open({});
    if (!opened && device == "auto")
      opened.error().sentence += "\nWithout such a GPU, `--device virtual` runs the same program on the virtual gfx1151";
    return opened;
  }
  if (!device.starts_with('/'))
    return fail(ErrorCode::usage, fmt::format("--device {}: write auto, virtual, or the path of a render node such as "
                                              "/dev/dri/renderD128", device));
  return Device::open({.node = device});
}

}  // namespace amlm::tools
