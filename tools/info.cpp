// amlm info: the device, what the kernel says of it, what is wrong and how to mend it.
#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "driver/record.h"
#include "tools/commands.h"
#include "tools/device_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

using nlohmann::json;

struct Options {
  std::string device, record;
  bool as_json = false;
};

constexpr f64 gib = 1024.0 * 1024.0 * 1024.0;

struct Advice {
  std::string what, remedy;
};

// Known-bad or surprising set-ups of Strix Halo (driver.md 3.4, 3.5, 3.8; users.md P1-P3).
std::vector<Advice> advise(const DeviceFacts& facts) {
  std::vector<Advice> all;
  for (const auto& firmware : facts.firmware) {
    if (firmware.name == "MES" && (firmware.version & 0xfff) == 0x83)
      all.push_back({"MES firmware 0x83 is known to hang on this chip",
                     "install linux-firmware of 2025-12 or later (MES 0x80) and remove amdgpu-dkms-firmware"});
  }
  if (facts.gtt_total_bytes != 0 && facts.gtt_total_bytes < 48 * u64(gib))
    all.push_back({fmt::format("GTT is {:.1f} GiB: larger models will not fit", facts.gtt_total_bytes / gib),
                   "boot with ttm.pages_limit=N (4 KiB pages; 25165824 = 96 GiB), and set the BIOS carve-out "
                   "to its minimum"});
  unsigned major = 0, minor = 0;
  if (std::sscanf(facts.kernel_release.c_str(), "%u.%u", &major, &minor) == 2 && (major < 6 || (major == 6 && minor < 17)))
    all.push_back({fmt::format("Linux {}.{} cancels our work when another program's hangs on the same queue", major, minor),
                   "boot Linux 6.17 or newer, which runs innocent work again after a reset"});
  if (facts.job_timeout_ms != 0 && facts.job_timeout_ms < 2000)
    all.push_back({fmt::format("the job timeout is {} ms", facts.job_timeout_ms),
                   "boot with amdgpu.lockup_timeout=2000 or more"});
  return all;
}

json as_json(const DeviceFacts& facts) {
  json firmware = json::object();
  for (const auto& entry : facts.firmware)
    firmware[entry.name] = {{"version", entry.version}, {"feature", entry.feature}};
  json advice = json::array();
  for (const auto& entry : advise(facts)) advice.push_back({{"what", entry.what}, {"remedy", entry.remedy}});
  return {{"node", facts.node}, {"name", facts.marketing_name}, {"virtual", facts.is_virtual},
          {"pci_device", fmt::format("0x{:04x}", facts.pci_device)},
          {"pci_revision", facts.pci_revision}, {"family", facts.family}, {"external_revision", facts.external_revision},
          {"gfx", fmt::format("{}.{}.{}", facts.gfx_major, facts.gfx_minor, facts.gfx_step)},
          {"compute_units", facts.compute_units}, {"shader_engines", facts.shader_engines},
          {"shader_arrays", facts.shader_arrays}, {"max_engine_clock_khz", facts.max_engine_clock_khz},
          {"max_memory_clock_khz", facts.max_memory_clock_khz}, {"counter_khz", facts.counter_khz},
          {"memory_bus_bits", facts.memory_bus_bits}, {"memory_limit_gbps", facts.memory_limit_gbps()},
          {"gtt_total_bytes", facts.gtt_total_bytes}, {"gtt_used_bytes", facts.gtt_used_bytes},
          {"vram_total_bytes", facts.vram_total_bytes}, {"vram_used_bytes", facts.vram_used_bytes},
          {"drm", fmt::format("{}.{}", facts.drm_major, facts.drm_minor)}, {"kernel", facts.kernel_release},
          {"job_timeout_ms", facts.job_timeout_ms}, {"job_timeout_source", facts.job_timeout_source},
          {"compute_rings", facts.compute_rings}, {"ib_start_alignment", facts.ib_start_alignment},
          {"ib_size_alignment", facts.ib_size_alignment}, {"firmware", firmware}, {"advice", advice}};
}

void print_text(const DeviceFacts& facts) {
  std::printf("device           %s%s\n", facts.marketing_name.c_str(), facts.is_virtual ? "  (virtual: no hardware)" : "");
  std::printf("node             %s   1002:%04x rev %02x\n", facts.node.c_str(), facts.pci_device, facts.pci_revision);
  std::printf("chip             gfx%u%u%x   %u CUs, %u shader engines, up to %.2f GHz\n", facts.gfx_major,
              facts.gfx_minor, facts.gfx_step, facts.compute_units, facts.shader_engines,
              static_cast<f64>(facts.max_engine_clock_khz) / 1e6);
  std::printf("memory           %u bit, %.0f GB/s in theory\n", facts.memory_bus_bits, facts.memory_limit_gbps());
  std::printf("GTT              %.2f GiB, %.2f GiB used\n", facts.gtt_total_bytes / gib, facts.gtt_used_bytes / gib);
  std::printf("VRAM carve-out   %.2f GiB\n", facts.vram_total_bytes / gib);
  std::printf("kernel           %s, DRM %u.%u\n", facts.kernel_release.c_str(), facts.drm_major, facts.drm_minor);
  std::printf("job timeout      %s   (%s)\n",
              facts.job_timeout_ms ? fmt::format("{} ms", facts.job_timeout_ms).c_str() : "none",
              facts.job_timeout_source.c_str());
  std::printf("compute rings    %u; IB alignment %u/%u bytes; counter %.2f MHz\n", facts.compute_rings,
              facts.ib_start_alignment, facts.ib_size_alignment, static_cast<f64>(facts.counter_khz) / 1e3);
  std::printf("firmware        ");
  for (const auto& entry : facts.firmware) std::printf(" %s 0x%x", entry.name.c_str(), entry.version);
  std::printf("\n");
  const auto advice = advise(facts);
  if (advice.empty()) std::printf("verdict          nothing wrong was found\n");
  for (const auto& entry : advice)
    std::printf("warning          %s\n  remedy         %s\n", entry.what.c_str(), entry.remedy.c_str());
}

int run_info(const Options& options, const Invocation& invocation) {
  auto device = open_device(options.device, invocation);
  if (!device) return report(device.error());
  const DeviceFacts& facts = (*device)->facts();
  if (options.as_json) {
    std::printf("%s\n", as_json(facts).dump(2).c_str());
  } else {
    print_text(facts);
  }
  if (!options.record.empty()) {
    if (auto written = record_device(**device, options.record); !written) return report(written.error());
    std::fprintf(stderr, "amlm: this machine's answers are in %s; `amlm vgpu --record %s -- COMMAND` takes them over\n",
                 options.record.c_str(), options.record.c_str());
  }
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("info", "The device, firmware, kernel and limits; what is wrong and how to mend it");
  auto options = std::make_shared<Options>();
  add_device_option(*command, options->device);
  command->add_flag("--json", options->as_json, "one JSON object");
  command->add_option("--record", options->record, "write the kernel's answers to this file")->type_name("FILE")
      ->check(not_empty);
  command->callback([options, &invocation] { invocation.exit_code = run_info(*options, invocation); });
}

}  // namespace amlm::tools
