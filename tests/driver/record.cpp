// Device records: what is written comes back; a damaged file is refused by the name of its key.
#include <catch2/catch.hpp>

#include "driver/record.h"

using namespace amlm;

namespace {

DeviceRecord example() {
  DeviceRecord record{.drm_major = 3, .drm_minor = 64, .drm_name = "amdgpu", .drm_date = "20150101",
                      .drm_description = "AMD GPU", .kernel_release = "7.3.4", .pci_device = 0x1586,
                      .pci_revision = 0xC1, .accel_working = 1};
  record.dev_info.assign(440, 0);
  record.dev_info[0] = 0x86;
  record.dev_info[1] = 0x15;
  record.memory_info.assign(96, 7);
  record.hw_ip.push_back({1, "compute", 1, std::vector<u8>(32, 9)});
  record.firmware.push_back({0x1A, "MES", 0x80, 1});
  record.parameters = {{"lockup_timeout", "10000"}, {"ttm.pages_limit", "16308224"}};
  return record;
}

std::string refusal(const std::string& text) {
  const auto record = parse_record(text);
  return record ? "" : record.error().sentence;
}

}  // namespace

TEST_CASE("a record comes back as it was written") {
  const std::string text = write_record(example());
  CHECK(text.find("\"device_id\": 5510") != std::string::npos);
  const auto record = parse_record(text);
  REQUIRE(record);
  CHECK(record->dev_info == example().dev_info);
  CHECK(record->hw_ip.at(0).raw == example().hw_ip.at(0).raw);
  CHECK(record->firmware.at(0).version == 0x80);
  CHECK(record->parameters == example().parameters);
  CHECK(record->max_ibs.empty());
  CHECK(write_record(*record) == text);
}

TEST_CASE("damaged records are refused by name") {
  const std::string text = write_record(example());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const auto at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, from.size(), to);
  };
  CHECK(refusal("[]") == "not a device record: it is not a JSON object");
  CHECK(refusal(with("record 1", "record 9")).find("\"format\"") != std::string::npos);
  CHECK(refusal(with("\"minor\": 64", "\"minor\": -1")) == "device record: \"minor\" is not a number of 32 bits");
  CHECK(refusal(with("\"kernel_release\"", "\"release\"")) == "device record: \"kernel_release\" is missing");
  CHECK(refusal(with("\"8615", "\"86x5")) == "device record: \"dev_info\" has a \"raw\" that is not hex");
  for (std::size_t length = 0; length + 2 < text.size(); length++) CHECK(!refusal(text.substr(0, length)).empty());
}
