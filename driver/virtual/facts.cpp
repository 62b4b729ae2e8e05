#include "driver/virtual/facts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include <fstream>
#include <sstream>

#include "driver/virtual/context.h"
#include "driver/virtual/gpu.h"
#include "driver/virtual/uapi.h"

namespace amlm::vgpu {

namespace {

template <class T>
std::vector<u8> bytes(const T& value) {
  std::vector<u8> raw(sizeof value);
  memcpy(raw.data(), &value, sizeof value);
  return raw;
}

// Sources: driver.md 2.6 and 3.7. Where no gfx1151 value is public, gfx1150's from Mesa's device table stands
// (marked ~); `amlm info --record` on a real machine replaces them all.
uapi::DeviceInfo device_info() {
  uapi::DeviceInfo d{};
  d.device_id = 0x1586;
  d.chip_rev = 0;
  d.external_rev = 0xc1;
  d.pci_rev = 0xc1;
  d.family = uapi::family_gfx1150;
  d.shader_engines = 2;
  d.arrays_per_engine = 2;
  d.counter_khz = u32(counter_khz);
  d.max_engine_clock = 2'900'000;
  d.max_memory_clock = 1'000'000;      // LPDDR5X-8000; gfx1150 with 7500 MT/s reports 937 MHz: an eighth
  d.cu_active = 40;
  for (u32 engine = 0; engine < 2; ++engine)
    for (u32 array = 0; array < 2; ++array) d.cu_bitmap[engine][array] = 0x3ff;
  d.rb_pipes_mask = 0xff;
  d.rb_pipes = 8;
  d.gfx_contexts = 8;
  d.pcie_gen = 4;                      // ~
  d.ids_flags = 0x9;                   // ~ fusion, and the bit that gfx1150 reports with it
  d.va_offset = 64 << 10;
  d.va_max = 0x8000'0000'0000;
  d.va_alignment = 4096;
  d.pte_fragment = 2 << 20;
  d.gart_page = 4096;
  d.vram_type = 12;                    // ~ LPDDR5
  d.vram_bits = 256;
  d.wave_lanes = 32;
  d.shader_visible_vgprs = 1536;
  d.cu_per_array = 10;
  d.tcc_blocks = 4;                    // ~
  d.gs_vgt_table_depth = 32;           // ~
  d.gs_prim_buffer_depth = 1792;       // ~
  d.max_gs_waves_per_vgt = 32;         // ~
  d.pcie_lanes = 16;                   // ~
  d.high_va_offset = 0xffff'8000'0000'0000;
  d.high_va_max = 0xffff'ffff'ffbf'e000;
  d.min_engine_clock = 600'000;        // ~
  d.min_memory_clock = 400'000;        // ~
  d.tcp_kib = 32;
  d.sqc_per_wgp = 1;
  d.sqc_data_kib = 16;
  d.sqc_inst_kib = 32;
  d.gl1c_kib = 256;
  d.gl2c_kib = 2048;
  d.mall_bytes = 32 << 20;
  return d;
}

Facts assumed_facts() {
  Facts facts;
  facts.drm_major = 3;
  facts.drm_minor = Gpu::instance().config.kernel->drm_minor;
  facts.drm_name = "amdgpu";
  facts.drm_date = "20150101";
  facts.accel_working = 1;
  facts.dev_info = bytes(device_info());
  uapi::HwIpInfo compute{};
  compute.version_major = 11;
  compute.version_minor = 0;
  compute.ib_start_alignment = 32;
  compute.ib_size_alignment = 32;
  compute.available_rings = (1u << compute_rings) - 1;
  compute.ip_discovery_version = 0x0b0501;
  // Mesa takes the chip's generation from the graphics IP even where that has no ring, and then uses compute alone.
  uapi::HwIpInfo graphics = compute;
  graphics.available_rings = (1u << ring_count(graphics_ip)) - 1;
  facts.hw_ip = {{.type = AMDGPU_HW_IP_GFX, .name = "gfx", .count = 1, .raw = bytes(graphics)},
                 {.type = AMDGPU_HW_IP_COMPUTE, .name = "compute", .count = 1, .raw = bytes(compute)}};
  if (ring_count(sdma_ip)) {
    uapi::HwIpInfo sdma{};
    sdma.version_major = 6;
    sdma.version_minor = 1;
    sdma.ib_start_alignment = 256;
    sdma.ib_size_alignment = 4;
    sdma.available_rings = (1u << ring_count(sdma_ip)) - 1;
    sdma.ip_discovery_version = 0x060101;
    facts.hw_ip.push_back({.type = AMDGPU_HW_IP_DMA, .name = "sdma", .count = 1, .raw = bytes(sdma)});
  }
  // ~ versions of gfx1150; MES 0x80 is the one that users of gfx1151 are told to have (driver.md 3.8).
  facts.firmware = {{AMDGPU_INFO_FW_GFX_ME, "ME", 29, 35},   {AMDGPU_INFO_FW_GFX_PFP, "PFP", 39, 35},
                    {AMDGPU_INFO_FW_GFX_MEC, "MEC", 24, 35}, {AMDGPU_INFO_FW_GFX_RLC, "RLC", 1, 1},
                    {AMDGPU_INFO_FW_SMC, "SMC", 1, 0},       {AMDGPU_INFO_FW_SDMA, "SDMA", 1, 0},
                    {0x19, "MES_KIQ", 0x6c, 1},              {0x1a, "MES", 0x80, 1},
                    {0x1b, "IMU", 1, 0}};
  u32 most_ibs[AMDGPU_HW_IP_NUM] = {};
  for (u32 ip = 0; ip < AMDGPU_HW_IP_NUM; ++ip) most_ibs[ip] = max_ibs(ip);
  facts.max_ibs = bytes(most_ibs);
  return facts;
}

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](u8 x, u8 y) { return toupper(x) == toupper(y); });
}

// "mes=0x83,mec=24"
void pretend_firmware(Facts& facts, const std::string& text) {
  std::stringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const auto row = std::find_if(facts.firmware.begin(), facts.firmware.end(),
                                  [&](const auto& firmware) { return same_word(firmware.name, name); });
    if (row == facts.firmware.end()) {
      std::string known;
      for (const auto& firmware : facts.firmware) known += (known.empty() ? "" : ", ") + std::string(firmware.name);
      fatal("AMLM_VGPU_FIRMWARE names \"" + name + "\", which is none of " + known);
    }
    char* end = nullptr;
    const std::string number = equals == std::string::npos ? "" : word.substr(equals + 1);
    const u64 version = strtoull(number.c_str(), &end, 0);
    if (number.empty() || *end != 0 || version > ~0u)
      fatal("AMLM_VGPU_FIRMWARE: \"" + word + "\" has no version after " + name + "=");
    row->version = u32(version);
  }
}

Facts recorded_facts(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) fatal("cannot read AMLM_VGPU_RECORD=" + path);
  auto record = parse_record(text.str());
  if (!record) fatal("AMLM_VGPU_RECORD=" + path + ": " + record.error().sentence);
  bool has_compute = false;
  for (auto& row : record->hw_ip) {
    has_compute |= row.type == compute_ip;
    uapi::HwIpInfo ip{};
    memcpy(&ip, row.raw.data(), std::min(sizeof ip, row.raw.size()));
    ip.available_rings &= (1u << ring_count(row.type)) - 1;      // what this device lacks
    memcpy(row.raw.data(), &ip, std::min(sizeof ip, row.raw.size()));
  }
  if (!has_compute) fatal("AMLM_VGPU_RECORD=" + path + " has no compute IP");
  return *record;
}

// A version to pretend has its say over a record.
Facts load_facts() {
  const Config& config = Gpu::instance().config;
  Facts facts = config.record_path.empty() ? assumed_facts() : recorded_facts(config.record_path);
  if (const KernelVersion* kernel = pretended_kernel()) {
    facts.drm_minor = kernel->drm_minor;
    for (auto& row : facts.hw_ip) row.raw.resize(std::min<size_t>(row.raw.size(), kernel->hw_ip_bytes));
  }
  pretend_firmware(facts, config.firmware);
  return facts;
}

}  // namespace

u32 ring_count(u32 ip) {
  const Config& config = Gpu::instance().config;
  if (ip == compute_ip) return compute_rings;
  return (ip == graphics_ip && config.graphics_ring) || (ip == sdma_ip && config.sdma_ring) ? 1 : 0;
}

const Facts& gfx1151_facts() {
  static const Facts facts = load_facts();
  return facts;
}

std::optional<u32> readable_register(u32 dword_offset) {
  struct Row { u32 offset, value; };
  // Linux soc21_allowed_read_registers. Status registers read as an idle GPU's; GB_ADDR_CONFIG is gfx1150's.
  static constexpr Row rows[] = {
      {0x263e, 0x242},                                  // GB_ADDR_CONFIG
      {0x2002, 0}, {0x2004, 0}, {0x2005, 0}, {0x2006, 0},   // GRBM_STATUS2, GRBM_STATUS, _SE0, _SE1
      {0x21a0, 0}, {0x219d, 0}, {0x219e, 0}, {0x219f, 0}, {0x2084, 0}, {0x2085, 0}, {0x2086, 0},
      {0x2087, 0}, {0x2088, 0}, {0x2089, 0},            // CP_STAT, CP_STALLED_STAT1-3, CPC and CPF status
  };
  for (const Row& row : rows)
    if (row.offset == dword_offset) return row.value;
  return std::nullopt;
}

std::optional<u32> sensor(u32 type, u32 pstate) {
  switch (type) {
    case AMDGPU_INFO_SENSOR_GFX_SCLK:
      return pstate == AMDGPU_CTX_STABLE_PSTATE_STANDARD ? 700 : pstate == AMDGPU_CTX_STABLE_PSTATE_PEAK ? 2900 : 600;
    case AMDGPU_INFO_SENSOR_GFX_MCLK: return 1000;
    case AMDGPU_INFO_SENSOR_GPU_TEMP: return 40'000;
    case AMDGPU_INFO_SENSOR_GPU_LOAD: return 0;
    case AMDGPU_INFO_SENSOR_GPU_AVG_POWER:
    case uapi::sensor_input_power: return 5;
    case AMDGPU_INFO_SENSOR_VDDNB:
    case AMDGPU_INFO_SENSOR_VDDGFX: return 700;
    case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_SCLK: return 700;
    case AMDGPU_INFO_SENSOR_STABLE_PSTATE_GFX_MCLK: return 900;
    case uapi::sensor_peak_sclk: return 2900;
    case uapi::sensor_peak_mclk: return 1000;
    default: return std::nullopt;
  }
}

}  // namespace amlm::vgpu
