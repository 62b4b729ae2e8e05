// Devices that do not serve: the virtual GPU answers from a changed record (AMLM_VGPU_RECORD), in a process of its own.
#include <catch2/catch.hpp>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "driver/device.h"
#include "driver/record.h"

using namespace amlm;

namespace {

void put(std::vector<u8>& bytes, std::size_t offset, u32 value) {
  REQUIRE(offset + 4 <= bytes.size());
  for (u32 i = 0; i < 4; i++) bytes[offset + i] = u8(value >> 8 * i);
}

// What opening says on a machine that answers as this record, changed.
std::string opening(const std::function<void(DeviceRecord&)>& change) {
  auto device = Device::open({});
  REQUIRE(device);
  auto record = record_device(**device);
  REQUIRE(record);
  change(*record);
  char path[] = "/tmp/amlm-record-XXXXXX";
  const int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  close(fd);
  std::ofstream(path) << write_record(*record);
  const std::string command = std::string("AMLM_VGPU_RECORD=") + path + " /proc/" + std::to_string(getpid()) +
                              "/exe '[child]' 2>/dev/null";
  FILE* child = popen(command.c_str(), "r");
  REQUIRE(child != nullptr);
  std::string all;
  char bytes[256];
  while (std::fgets(bytes, sizeof bytes, child) != nullptr) all += bytes;
  pclose(child);
  unlink(path);
  const auto start = all.find("<<"), end = all.find(">>");
  return start == std::string::npos || end == std::string::npos ? "the child said: " + all
                                                                : all.substr(start + 2, end - start - 2);
}

}  // namespace

TEST_CASE("opens for the test below", "[.][child]") {
  const auto device = Device::open({});
  const int code = device ? 0 : int(device.error().code);
  const std::string words = device ? (*device)->facts().marketing_name : device.error().sentence;
  std::printf("<<%d %s>>\n", code, words.c_str());
}

TEST_CASE("a device that does not serve says why") {
  constexpr std::size_t discovery = 28, rings = 24, external_revision = 8;
  const auto each_block = [](DeviceRecord& record, std::size_t offset, u32 value) {
    for (auto& ip : record.hw_ip)
      if (ip.type <= 1) put(ip.raw, offset, value);
  };
  CHECK(opening([](DeviceRecord&) {}) == "0 AMD Radeon 8060S Graphics");

  const auto other = opening([&](DeviceRecord& record) {
    put(record.dev_info, 0, 0x150E);
    record.pci_device = 0x150E;
    put(record.dev_info, external_revision, 0x11);
    each_block(record, discovery, 0x0B0500);
  });
  INFO(other);
  CHECK(other.starts_with("3 /dev/dri/renderD"));
  CHECK(other.find("(1002:150e) is gfx1150, not gfx1151 (Strix Halo)") != std::string::npos);

  const auto old = opening([&](DeviceRecord& record) { each_block(record, discovery, 0); });
  INFO(old);
  CHECK(old.starts_with("5 "));
  CHECK(old.find("too old to name the chip's generation. Mend: Linux 6.10 or newer") != std::string::npos);

  const auto ringless = opening([&](DeviceRecord& record) { each_block(record, rings, 0); });
  INFO(ringless);
  CHECK(ringless.starts_with("5 "));
  CHECK(ringless.find("no compute queue") != std::string::npos);
}
