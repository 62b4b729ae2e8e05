#include "driver/record.h"

#include <nlohmann/json.hpp>

namespace amlm {

namespace {

using Json = nlohmann::ordered_json;

std::string hex(const std::vector<u8>& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const u8 byte : bytes) out.append({digits[byte >> 4], digits[byte & 15]});
  return out;
}

// --- For people: the well-known part of the structures -------------------------------------------------------------

struct Named { const char* name; u32 offset_bytes, size_bytes; };

// struct drm_amdgpu_info_device of include/uapi/drm/amdgpu_drm.h; the first part never changed.
constexpr Named dev_info_names[] = {
    {"device_id", 0, 4}, {"chip_rev", 4, 4}, {"external_rev", 8, 4}, {"pci_rev", 12, 4}, {"family", 16, 4},
    {"num_shader_engines", 20, 4}, {"num_shader_arrays_per_engine", 24, 4}, {"gpu_counter_freq", 28, 4},
    {"max_engine_clock", 32, 8}, {"max_memory_clock", 40, 8}, {"cu_active_number", 48, 4},
    {"ids_flags", 136, 8}, {"virtual_address_offset", 144, 8}, {"virtual_address_max", 152, 8},
    {"virtual_address_alignment", 160, 4}, {"pte_fragment_size", 164, 4}, {"gart_page_size", 168, 4},
    {"vram_type", 176, 4}, {"vram_bit_width", 180, 4}, {"wave_front_size", 240, 4},
    {"num_shader_visible_vgprs", 244, 4}, {"num_cu_per_sh", 248, 4}, {"num_tcc_blocks", 252, 4}};
// struct drm_amdgpu_memory_info: {total, usable, usage, max_allocation} of VRAM, visible VRAM, GTT.
constexpr Named memory_info_names[] = {
    {"vram.total_heap_size", 0, 8}, {"vram.usable_heap_size", 8, 8}, {"vram.heap_usage", 16, 8},
    {"vram.max_allocation", 24, 8}, {"cpu_accessible_vram.total_heap_size", 32, 8},
    {"cpu_accessible_vram.usable_heap_size", 40, 8}, {"cpu_accessible_vram.heap_usage", 48, 8},
    {"cpu_accessible_vram.max_allocation", 56, 8}, {"gtt.total_heap_size", 64, 8}, {"gtt.usable_heap_size", 72, 8},
    {"gtt.heap_usage", 80, 8}, {"gtt.max_allocation", 88, 8}};
// struct drm_amdgpu_info_hw_ip
constexpr Named hw_ip_names[] = {
    {"hw_ip_version_major", 0, 4}, {"hw_ip_version_minor", 4, 4}, {"capabilities_flags", 8, 8},
    {"ib_start_alignment", 16, 4}, {"ib_size_alignment", 20, 4}, {"available_rings", 24, 4},
    {"ip_discovery_version", 28, 4}};

template <std::size_t n>
Json structure(const std::vector<u8>& raw, const Named (&names)[n]) {
  Json fields = Json::object();
  for (const auto& named : names) {
    if (named.offset_bytes + named.size_bytes > raw.size()) continue;
    u64 value = 0;
    for (u32 i = 0; i < named.size_bytes; i++) value |= u64(raw[named.offset_bytes + i]) << 8 * i;
    fields[named.name] = value;
  }
  return {{"raw", hex(raw)}, {"fields", std::move(fields)}};
}

// --- Reading back: every key is checked, the first wrong one is named ----------------------------------------------

struct Reader {
  std::string wrong;      // "" while all is well

  void refuse(const std::string& key, const char* why) {
    if (wrong.empty()) wrong = "\"" + key + "\" " + why;
  }
  const Json* member(const Json& object, const std::string& key) {
    if (object.is_object())
      if (const auto found = object.find(key); found != object.end()) return &*found;
    refuse(key, "is missing");
    return nullptr;
  }
  u32 number(const Json& object, const std::string& key) {
    const Json* value = member(object, key);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned() || value->get<u64>() > 0xffffffffu)
      return refuse(key, "is not a number of 32 bits"), 0;
    return value->get<u32>();
  }
  std::string text(const Json& object, const std::string& key) {
    const Json* value = member(object, key);
    if (value == nullptr) return {};
    if (!value->is_string()) return refuse(key, "is not a string"), std::string();
    return value->get<std::string>();
  }
  std::vector<u8> raw(const Json& object, const std::string& key) {
    const std::string digits = text(object, "raw");
    if (digits.size() % 2 != 0 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      return refuse(key, "has a \"raw\" that is not hex"), std::vector<u8>();
    std::vector<u8> bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2)
      bytes.push_back(u8(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return bytes;
  }
  // {} when absent: the kernel refused that query.
  std::vector<u8> raw_member(const Json& object, const std::string& key) {
    const auto found = object.find(key);
    return found == object.end() ? std::vector<u8>() : raw(*found, key);
  }
  std::vector<Json> list(const Json& object, const std::string& key) {
    const Json* value = member(object, key);
    if (value == nullptr) return {};
    if (!value->is_array()) return refuse(key, "is not a list"), std::vector<Json>();
    return value->get<std::vector<Json>>();
  }
};

constexpr const char* format_name = "amlm device record 1";

}  // namespace

std::string write_record(const DeviceRecord& record) {
  Json json;
  json["format"] = format_name;
  json["drm_version"] = {{"major", record.drm_major}, {"minor", record.drm_minor}, {"patch", record.drm_patch},
                         {"name", record.drm_name}, {"date", record.drm_date}, {"desc", record.drm_description}};
  json["kernel_release"] = record.kernel_release;
  json["pci"] = {{"device", record.pci_device}, {"revision", record.pci_revision},
                 {"subvendor", record.pci_subvendor}, {"subdevice", record.pci_subdevice}};
  json["accel_working"] = record.accel_working;
  if (!record.dev_info.empty()) json["dev_info"] = structure(record.dev_info, dev_info_names);
  if (!record.memory_info.empty()) json["memory_info"] = structure(record.memory_info, memory_info_names);
  if (!record.vram_gtt.empty()) json["vram_gtt"] = {{"raw", hex(record.vram_gtt)}};
  if (!record.max_ibs.empty()) json["max_ibs"] = {{"raw", hex(record.max_ibs)}};
  json["hw_ip"] = Json::array();
  for (const auto& ip : record.hw_ip) {
    Json entry = {{"type", ip.type}, {"name", ip.name}, {"count", ip.count}};
    entry.update(structure(ip.raw, hw_ip_names));
    json["hw_ip"].push_back(std::move(entry));
  }
  json["firmware"] = Json::array();
  for (const auto& firmware : record.firmware)
    json["firmware"].push_back({{"type", firmware.type}, {"name", firmware.name}, {"version", firmware.version},
                                {"feature", firmware.feature}});
  json["parameters"] = Json::object();
  for (const auto& [name, value] : record.parameters) json["parameters"][name] = value;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<DeviceRecord> parse_record(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(ErrorCode::file, "not a device record: it is not a JSON object");
  Reader read;
  if (const auto format = read.text(json, "format"); format != format_name)
    return fail(ErrorCode::file, "not a device record: \"format\" is not \"" + std::string(format_name) + "\"");
  DeviceRecord record;
  static const Json nothing = Json::object();
  const auto object = [&](const char* key) -> const Json& {
    const Json* found = read.member(json, key);
    return found == nullptr ? nothing : *found;
  };
  const Json& version = object("drm_version");
  record.drm_major = read.number(version, "major");
  record.drm_minor = read.number(version, "minor");
  record.drm_patch = read.number(version, "patch");
  record.drm_name = read.text(version, "name");
  record.drm_date = read.text(version, "date");
  record.drm_description = read.text(version, "desc");
  record.kernel_release = read.text(json, "kernel_release");
  const Json& pci = object("pci");
  record.pci_device = read.number(pci, "device");
  record.pci_revision = read.number(pci, "revision");
  record.pci_subvendor = read.number(pci, "subvendor");
  record.pci_subdevice = read.number(pci, "subdevice");
  record.accel_working = read.number(json, "accel_working");
  record.dev_info = read.raw(object("dev_info"), "dev_info");
  record.memory_info = read.raw(object("memory_info"), "memory_info");
  record.vram_gtt = read.raw_member(json, "vram_gtt");
  record.max_ibs = read.raw_member(json, "max_ibs");
  for (const auto& entry : read.list(json, "hw_ip"))
    record.hw_ip.push_back({read.number(entry, "type"), read.text(entry, "name"), read.number(entry, "count"),
                            read.raw(entry, "hw_ip")});
  for (const auto& entry : read.list(json, "firmware"))
    record.firmware.push_back({read.number(entry, "type"), read.text(entry, "name"), read.number(entry, "version"),
                               read.number(entry, "feature")});
  const Json& parameters = object("parameters");
  if (!parameters.is_object()) read.refuse("parameters", "is not an object");
  else for (const auto& [name, value] : parameters.items()) record.parameters[name] = read.text(parameters, name);
  if (!read.wrong.empty()) return fail(ErrorCode::file, "device record: " + read.wrong);
  return record;
}

}  // namespace amlm
