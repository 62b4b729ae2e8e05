// Differential test: random C programs, compiled by clang for x86 and for gfx1151 at several levels, must leave the
// same bytes in memory. A canary patches one opcode in the machine code and must be noticed.
//
//   isa-differential [--seed N] [--programs N] [--levels 0123] [--wave64] [--flags FLAGS] [--shown N] [--show SEED]
//   isa-differential --seeds FILE     those of the file
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tests/isa/differential/arguments.h"
#include "tests/isa/differential/generator.h"
#include "tests/isa/differential/gpu_unit.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::differential;

namespace {

constexpr u32 group_lanes = 64, groups = 2, lanes = group_lanes * groups, input_words = 24, output_words = 48;
constexpr u32 shared_bytes = 2080, batch_programs = 25;

struct Memory {
  std::vector<u32> in, uni, out, sum;
  bool operator==(const Memory& other) const { return out == other.out && sum == other.sum; }
};

u64 mixed(u64 x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

Memory inputs(u64 seed) {
  Memory memory;
  static constexpr u32 special[] = {0, 1, ~0u, 0x80000000u, 0x7fffffffu, 0x3f800000u, 0xbf800000u, 0x7f800000u,
                                    0x7fc00000u, 0x00800000u, 0x00000007u, 0x80000001u, 0x7f7fffffu, 0x4b000001u};
  for (u32 i = 0; i < lanes * input_words; ++i) {
    const u64 random = mixed(seed * 1000003 + i);
    memory.in.push_back(random >> 60 == 0 ? special[random % std::size(special)]
                        : random >> 60 == 1 ? u32(random) & 0xff : u32(random));
  }
  for (u32 i = 0; i < 8; ++i) memory.uni.push_back(u32(mixed(seed ^ (i + 77))));
  memory.out.assign(lanes * output_words, 0xcdcdcdcd);
  memory.sum.assign(8, 0);
  return memory;
}

using HostGroup = void (*)(u32, const u32*, const u32*, u32*, u32*);

class HostUnit {
 public:
  HostUnit(const Options& options, const std::string& source, u32 wave_lanes) {
    const std::string c = options.directory + "/host.c";
    library_ = fmt::format("{}/host{}.so", options.directory, serial_++);
    std::ofstream(c) << source;
    run_command(fmt::format("{} -x c -std=gnu17 -DWAVE_LANES={} -O1 -w -fPIC -shared -fwrapv -ffp-contract=off -mfma "
                            "-mf16c -mavx2 -Xclang -ffloat16-excess-precision=none {} {} -o {} -lm", options.clang,
                            wave_lanes, options.includes, c, library_));
    handle_ = dlopen(library_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) std::fprintf(stderr, "%s\n", dlerror());
    check(handle_, "the x86 side loads");
  }
  HostUnit(const HostUnit&) = delete;
  ~HostUnit() {
    dlclose(handle_);
    std::remove(library_.c_str());
  }
  void run(const Program& program, Memory& memory) const {
    const auto function = reinterpret_cast<HostGroup>(dlsym(handle_, (program.name + "_group").c_str()));
    check(function, "the x86 side has the program");
    for (u32 group = 0; group < groups; ++group)
      function(group, memory.in.data(), memory.uni.data(), memory.out.data(), memory.sum.data());
  }

 private:
  static inline u32 serial_ = 0;
  std::string library_;
  void* handle_ = nullptr;
};

constexpr u64 in_va = 0x7d0000000000, uni_va = 0x7d0000100000, out_va = 0x7d0000200000, sum_va = 0x7d0000300000;

RunReport run_on(Device& device, GpuUnit& unit, const std::string& kernel, Memory& memory, Mode mode, u64 seed) {
  AddressSpace space;
  Buffers buffers;
  buffers.map(space, in_va, memory.in, access_read, "in");
  buffers.map(space, uni_va, memory.uni, access_read, "uniform");
  buffers.map(space, out_va, memory.out, access_write, "out");
  buffers.map(space, sum_va, memory.sum, access_read | access_write, "sum");
  return device.run(unit, unit.kernel(kernel), space,
                    {.groups = groups, .group_lanes = group_lanes, .shared_bytes = shared_bytes,
                     .arguments = {in_va, uni_va, out_va, sum_va}, .mode = mode, .seed = seed});
}

struct BatchArguments : Arguments {
  u32 shown = 3;
};

struct Tally { u32 compared = 0, different = 0, faults = 0; };

void report(const Program& program, const std::string& flags, const Memory& host, const Memory& gpu,
            const RunReport& run, const char* mode) {
  std::printf("DIFFERENT: seed %llu, %s, %s\n%s", static_cast<unsigned long long>(program.seed), flags.c_str(), mode,
              program.source.c_str());
  if (run.fault) std::printf("fault %s: %s\n", run.fault->kind.c_str(), run.fault->sentence.c_str());
  u32 shown = 0;
  for (u32 i = 0; i < host.out.size() && !run.fault; ++i) {
    if (host.out[i] == gpu.out[i] || shown++ >= 12) continue;
    std::printf("  lane %u word %u: x86 %08x, gfx1151 %08x\n", i / output_words, i % output_words, host.out[i],
                gpu.out[i]);
  }
  for (u32 i = 0; i < host.sum.size() && !run.fault; ++i)
    if (host.sum[i] != gpu.sum[i]) std::printf("  sum %u: x86 %08x, gfx1151 %08x\n", i, host.sum[i], gpu.sum[i]);
}

// Turns xor into or in the machine code; how many of the programs then differ from x86?
u32 canary(GpuUnit& unit, Device& gpu, const std::vector<Program>& programs, const std::vector<Memory>& expected) {
  u32 noticed = 0;
  plant_mistake(unit);
  for (u32 p = 0; p < programs.size(); ++p) {
    Memory memory = inputs(programs[p].seed);
    const RunReport run = run_on(gpu, unit, programs[p].name, memory, Mode::fast, 1);
    noticed += !run.fault && !(memory == expected[p]);
  }
  unit.reset();
  return noticed;
}

enum class Canary { without, with };

Tally compare_batch(const Options& options, const BatchArguments& arguments, const std::vector<Program>& programs,
                    Device& gpu, Canary canary_wanted) {
  Tally tally;
  std::vector<Memory> expected;
  {
    const HostUnit host(options, unit_for_host(programs), arguments.wave64 ? 64 : 32);
    for (const Program& program : programs) {
      expected.push_back(inputs(program.seed));
      host.run(program, expected.back());
    }
  }
  const std::string source = unit_for_gpu(programs);
  for (const char level : arguments.levels) {
    const std::string flags = fmt::format("-O{} -DWAVE_LANES={}{} {}", level, arguments.wave64 ? 64 : 32,
                                          arguments.wave64 ? " -mwavefrontsize64" : "", arguments.flags);
    GpuUnit unit(options, source, flags);
    for (u32 p = 0; p < programs.size(); ++p) {
      for (const Mode mode : {Mode::fast, Mode::strict}) {
        Memory memory = inputs(programs[p].seed);
        const RunReport run = run_on(gpu, unit, programs[p].name, memory, mode, programs[p].seed);
        ++tally.compared;
        tally.faults += run.fault.has_value();
        if (!run.fault && memory == expected[p]) continue;
        if (tally.different++ < arguments.shown)
          report(programs[p], flags, expected[p], memory, run, mode == Mode::fast ? "fast" : "strict");
        break;
      }
    }
    if (canary_wanted == Canary::with && level == arguments.levels.back()) {
      const u32 noticed = canary(unit, gpu, programs, expected);
      std::printf("canary: xor turned into or in the machine code, noticed in %u of %zu programs\n", noticed,
                  programs.size());
      if (noticed == 0) ++tally.different;
    }
  }
  return tally;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"random programs on gfx1151 against x86"};
  BatchArguments arguments;
  arguments.programs = 200;
  u64 show = 0;
  add_options(app, arguments);
  app.add_option("--shown", arguments.shown, "differences that are printed")->capture_default_str();
  const CLI::Option* only_show = app.add_option("--show", show, "print the program of this seed and end");
  CLI11_PARSE(app, argc, argv);
  if (*only_show) {
    std::printf("%s", unit_for_gpu({generate(show, "p")}).c_str());
    return 0;
  }
  char directory[] = "/tmp/amlm-differential-XXXXXX";
  check(mkdtemp(directory), "a temporary directory");
  const Options options{.directory = directory, .includes = "-include " AMLM_PRELUDE " -include " AMLM_EXCHANGE,
                        .clang = AMLM_CLANG, .lld = AMLM_LLD};
  arguments.say("differential");
  Device gpu;
  Tally total;
  const auto count = [&](const Tally& tally) {
    total.compared += tally.compared;
    total.different += tally.different;
    total.faults += tally.faults;
  };
  for (const KeptSeed& kept : kept_seeds(arguments.seeds, "differential")) {
    count(compare_batch(options, with(arguments, kept), {generate(kept.seed, "kept")}, gpu, Canary::without));
  }
  if (!arguments.seeds.empty()) arguments.programs = 0;
  for (u32 done = 0; done < arguments.programs; done += batch_programs) {
    std::vector<Program> programs;
    for (u32 i = done; i < std::min(done + batch_programs, arguments.programs); ++i)
      programs.push_back(generate(arguments.seed * 100000 + i, fmt::format("p{}", i)));
    count(compare_batch(options, arguments, programs, gpu, done == 0 ? Canary::with : Canary::without));
  }
  run_command(fmt::format("rm -r {}", directory));
  std::printf("differential: %u runs compared, %u different, %u of them faults\n", total.compared, total.different,
              total.faults);
  return total.different ? 1 : 0;
}
