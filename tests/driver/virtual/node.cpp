// How libdrm finds and describes the device.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/driver/virtual/bench.h"

using namespace amlm;
using namespace amlm::test;

TEST_CASE("libdrm lists one render node with its PCI facts") {
  drmDevicePtr devices[4] = {};
  REQUIRE(drmGetDevices2(DRM_DEVICE_GET_PCI_REVISION, devices, 4) == 1);
  CHECK(devices[0]->available_nodes == 1 << DRM_NODE_RENDER);
  CHECK(std::string(devices[0]->nodes[DRM_NODE_RENDER]) == "/dev/dri/renderD128");
  CHECK(devices[0]->deviceinfo.pci->vendor_id == 0x1002);
  CHECK(devices[0]->deviceinfo.pci->device_id == 0x1586);
  CHECK(devices[0]->deviceinfo.pci->revision_id == 0xc1);
  drmFreeDevices(devices, 1);
}

TEST_CASE("the node is a character device for every kind of stat") {
  struct stat status {};
  REQUIRE(stat("/dev/dri/renderD128", &status) == 0);
  CHECK(S_ISCHR(status.st_mode));
  CHECK(status.st_rdev == makedev(226, 128));
  const int fd = open("/dev/dri/renderD128", O_RDWR);
  REQUIRE(fd >= 0);
  REQUIRE(fstat(fd, &status) == 0);
  CHECK(status.st_rdev == makedev(226, 128));
  const int folder = open("/dev/dri", O_RDONLY | O_DIRECTORY);
  struct statx extended {};
  REQUIRE(statx(folder, "renderD128", 0, STATX_BASIC_STATS, &extended) == 0);
  CHECK(extended.stx_rdev_minor == 128);
  const int relative = openat(folder, "renderD128", O_RDWR);
  drm_get_cap cap{.capability = DRM_CAP_SYNCOBJ_TIMELINE, .value = 0};
  CHECK(call(relative, DRM_IOCTL_GET_CAP, &cap) == 0);
  CHECK(cap.value == 1);
  close(relative);
  close(folder);
  close(fd);
}

TEST_CASE("sysfs is there by every road") {
  std::string text;
  std::getline(std::ifstream("/sys/dev/char/226:128/device/vendor") >> std::ws, text);
  CHECK(text == "0x1002");
  char target[256] = {};
  REQUIRE(readlink("/sys/dev/char/226:128/device/subsystem", target, sizeof target - 1) > 0);
  CHECK(std::string(target).ends_with("/pci"));
  char* real = realpath("/sys/dev/char/226:128/device", nullptr);
  CHECK(std::string(real) == "/sys/devices/pci0000:00/0000:00:08.1/0000:c5:00.0");
  free(real);
  std::getline(std::ifstream("/sys/module/amdgpu/parameters/lockup_timeout"), text);
  CHECK(text == "2000");
  CHECK(access("/dev/dri/renderD129", F_OK) == -1);
  CHECK(errno == ENOENT);
}

TEST_CASE("sysfs says which resets there are") {
  std::string text;
  std::getline(std::ifstream("/sys/bus/pci/devices/0000:c5:00.0/compute_reset_mask"), text);
  CHECK(text == "full queue ");
}

TEST_CASE("version names the virtual device") {
  const int fd = open("/dev/dri/renderD128", O_RDWR);
  drmVersionPtr version = drmGetVersion(fd);
  REQUIRE(version != nullptr);
  CHECK(std::string(version->name) == "amdgpu");
  CHECK(version->version_major == 3);
  CHECK(std::string(version->desc).find("virtual") != std::string::npos);
  drmFreeVersion(version);
  close(fd);
}

TEST_CASE("descriptors: dup keeps the device, close ends it") {
  const int fd = open("/dev/dri/renderD128", O_RDWR);
  const int copy = dup(fd), other = fcntl(fd, F_DUPFD_CLOEXEC, 100);
  CHECK(other >= 100);
  drm_amdgpu_gem_create create{};
  create.in = {.bo_size = 4096, .alignment = 0, .domains = AMDGPU_GEM_DOMAIN_GTT, .domain_flags = 0};
  REQUIRE(call(fd, DRM_IOCTL_AMDGPU_GEM_CREATE, &create) == 0);
  close(fd);
  drm_gem_close gem_close{.handle = create.out.handle, .pad = 0};
  CHECK(call(copy, DRM_IOCTL_GEM_CLOSE, &gem_close) == 0);       // same file: the handle is there
  CHECK(call(other, DRM_IOCTL_GEM_CLOSE, &gem_close) == -EINVAL);
  close(copy);
  close(other);
  CHECK(call(other, DRM_IOCTL_GEM_CLOSE, &gem_close) == -EBADF);
}

TEST_CASE("the child of a fork goes on with what it inherited, and shares the memory") {
  Bench bench;
  Memory out = bench.memory(page);
  const auto fill = [&](u32 number) {
    Stream s = bench.begun();
    bench.launch(s, {.kernel = "fill", .out = out.va, .number = number});
    return bench.run(s);
  };
  REQUIRE(fill(10) == 0);                                         // worker and executor threads exist
  const pid_t child = fork();
  if (child == 0) {
    Memory mine = bench.memory(page);                             // must not be the parent's next memory
    mine.words[0] = 5;
    const int error = fill(20);
    usleep(50'000);
    _exit(error ? 1 : mine.words[0] == 5 ? 0 : 2);
  }
  Memory next = bench.memory(page);
  next.words[0] = 7;
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(next.words[0] == 7);
  CHECK(out.words[1] == 21);                                      // the child's dispatch
  CHECK(fill(30) == 0);
  CHECK(out.words[1] == 31);
  bench.free(out);
  bench.free(next);
}

// Needs a process that has made no buffer yet: the test below starts one.
TEST_CASE("a buffer made first in the child of a fork", "[.][fork-first]") {
  const int node = open("/dev/dri/renderD128", O_RDWR);
  REQUIRE(node >= 0);
  const pid_t child = fork();
  if (child == 0) {
    drm_amdgpu_gem_create made{};
    made.in = {.bo_size = page, .alignment = 0, .domains = AMDGPU_GEM_DOMAIN_GTT, .domain_flags = 0};
    drm_amdgpu_gem_mmap place{};
    if (call(node, DRM_IOCTL_AMDGPU_GEM_CREATE, &made) != 0) _exit(1);
    place.in.handle = made.out.handle;
    if (call(node, DRM_IOCTL_AMDGPU_GEM_MMAP, &place) != 0) _exit(2);
    void* words = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, node, off_t(place.out.addr_ptr));
    if (words == MAP_FAILED) _exit(3);
    *static_cast<volatile u32*>(words) = 7;
    _exit(*static_cast<volatile u32*>(words) == 7 ? 0 : 4);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  close(node);
}

TEST_CASE("a child that makes the first buffer, and one that was given no environment") {
  const std::string self = "/proc/self/exe";
  for (const char* what : {"[fork-first]", "version names the virtual device"}) {
    std::string words[] = {self, what};
    char* const arguments[] = {words[0].data(), words[1].data(), nullptr};
    const int quiet = open("/dev/null", O_WRONLY), kept = dup(1);
    dup2(quiet, 1);
    pid_t child = 0;
    REQUIRE(posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, nullptr) == 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    dup2(kept, 1);
    close(kept);
    close(quiet);
    INFO(what);
    CHECK(status == 0);
  }
}

TEST_CASE("an ioctl that this device does not have says so") {
  const int fd = open("/dev/dri/renderD128", O_RDWR);
  const u64 before = fault_count();
  u8 data[64] = {};
  CHECK(call(fd, DRM_IOWR(DRM_COMMAND_BASE + 0x16, u8[64]), data) == -EINVAL);
  CHECK(fault_count() == before + 1);
  close(fd);
}

TEST_CASE("INFO: facts of gfx1151, and the sizes of both header ages") {
  Bench bench;
  amdgpu_gpu_info gpu{};
  REQUIRE(amdgpu_query_gpu_info(bench.device, &gpu) == 0);
  CHECK(gpu.asic_id == 0x1586);
  CHECK(gpu.family_id == 150);
  CHECK(gpu.chip_external_rev == 0xc1);
  CHECK(gpu.gpu_counter_freq == 99810);
  drm_amdgpu_info_hw_ip ip{};
  REQUIRE(amdgpu_query_hw_ip_info(bench.device, AMDGPU_HW_IP_COMPUTE, 0, &ip) == 0);
  CHECK(ip.hw_ip_version_major == 11);
  CHECK(ip.available_rings == 0xf);
  for (const u32 size : {8u, 368u, 440u, 512u}) {
    std::vector<u8> answer(512, 0xee);
    drm_amdgpu_info args{};
    args.return_pointer = u64(answer.data());
    args.return_size = size;
    args.query = AMDGPU_INFO_DEV_INFO;
    REQUIRE(call(bench.fd, DRM_IOCTL_AMDGPU_INFO, &args) == 0);
    CHECK(answer[std::min(size, 440u)] == 0xee);                  // min(return_size, the kernel's)
    CHECK(answer[std::min(size, 440u) - 1] != 0xee);
  }
  u32 value = 0;
  CHECK(amdgpu_read_mm_registers(bench.device, 0x263e, 1, ~0u, 0, &value) == 0);
  CHECK(amdgpu_read_mm_registers(bench.device, 0x1234, 1, ~0u, 0, &value) == -EFAULT);
  u64 first = 0, second = 0;
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_TIMESTAMP, 8, &first) == 0);
  usleep(1000);
  REQUIRE(amdgpu_query_info(bench.device, AMDGPU_INFO_TIMESTAMP, 8, &second) == 0);
  CHECK(second >= first + 99);                                    // idle or not, 99.81 MHz
}
