// Differential test with csmith's programs: random C++ of structs, bit fields, pointers, loops, gotos and integers of all
// sizes, compiled by clang for x86 and for gfx1151 at several levels; the checksums of all global variables must agree.
//
//   isa-csmith [--seed N] [--programs N] [--levels 0123] [--wave64] [--flags FLAGS] [--keep DIRECTORY]
//   isa-csmith --seeds FILE           those of the file
//
// A program runs in one of two forms, by the parity of its seed. Even: its globals become members of a struct of each
// lane, on the stack, with integers that differ from lane to lane: divergent flow, FLAT into scratch. Odd: the globals
// stay in memory and one lane runs: scalar flow, relocated pointers, scalar and global memory.
// Programs that run too long, that x86 itself runs differently with and without optimisation (csmith's are not free of
// undefined behaviour), or that crash clang are counted and left out.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/isa/differential/arguments.h"
#include "tests/isa/differential/gpu_unit.h"

using namespace amlm;
using namespace amlm::isa;
using namespace amlm::isa::differential;

namespace {

constexpr u64 out_va = 0x7d0000200000;
constexpr u32 lanes = 64;

struct CsmithArguments : Arguments {
  std::string keep;
};

struct Tally {
  u32 programs = 0, too_long = 0, undefined = 0, crashed = 0, compared = 0, different = 0;
  bool canary = false;             // was a planted mistake noticed?
};

enum class Form { a_lane_each, one_for_all };

// The status of a command and what it printed.
std::pair<int, std::string> output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  check(pipe, "a command starts");
  std::string text;
  char part[4096];
  for (std::size_t n; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

std::string csmith_program(u64 seed) {
  const auto [status, text] = output_of(fmt::format(
      "cd /tmp && csmith --seed {} --no-argc --quiet --concise --lang-cpp --builtins --no-packed-struct "
      "--max-funcs 5 --max-block-depth 3 --max-block-size 3 --max-expr-complexity 8", seed));
  check(status == 0 && !text.empty(), "csmith writes a program");
  return text;
}

// Globals become members, whose integers depend on the lane.
std::string as_members(const std::string& program) {
  static const std::regex prototype(R"(^static.* func_\d+\(.*\);$)"),
      integer(R"(^(static (?:volatile )?(u?int\d+_t) g_(\d+) = )(.*);$)");
  std::istringstream lines(program);
  std::string text, line;
  while (std::getline(lines, line)) {
    std::smatch part;
    const bool is_short = line.size() < 400;      // libstdc++ recurses for each character; only arrays have long lines
    if (line.starts_with("#include") || (is_short && std::regex_match(line, prototype))) continue;
    if (is_short && std::regex_match(line, part, integer))
      line = fmt::format("{}({}) ^ ({})(lane * {}u);", part[1].str(), part[4].str(), part[2].str(), part[3].str());
    if (line.starts_with("static ")) line = line.substr(7);
    if (line.starts_with("int main")) line = "int run()";
    text += line + "\n";
  }
  return text;
}

// One translation unit for both sides: run_lane gives the checksum of a lane.
std::string unit_of(const std::string& program, Form form) {
  std::string unit = "#include \"csmith.h\"\n";
  if (form == Form::a_lane_each) {
    unit += "struct Lane {\n  uint32_t lane, crc32_context = 1, csmith_result = 0;\n"
            "  Lane(uint32_t number) : lane(number) {}\n" + as_members(program) + "};\n"
            "static uint32_t run_lane(uint32_t lane) { Lane l(lane); l.run(); return l.csmith_result; }\n";
  } else {
    unit += "static uint32_t crc32_context = 1, csmith_result;\n#define main program_main\n" +
            program.substr(program.find("#include \"csmith.h\"") + 19) +
            "\n#undef main\nstatic uint32_t run_lane(uint32_t lane) { program_main(); return csmith_result + lane; }\n";
  }
  return unit + R"(
#ifdef __AMDGCN__
extern "C" __attribute__((amdgpu_kernel)) void program(uint32_t* out) {
  const uint32_t lane = __builtin_amdgcn_workitem_id_x();
  out[lane] = run_lane(lane);
}
#else
#undef printf
extern "C" int printf(const char*, ...);
int main() {
  for (uint32_t lane = 0; lane < CSMITH_LANES; ++lane) printf("%08x\n", run_lane(lane));
}
#endif
)";
}

// The checksums as x86 computes them; nothing for a program that runs too long.
std::vector<u32> on_host(const Options& options, const std::string& unit, u32 count, const char* level) {
  const std::string source = options.directory + "/host.cpp", program = options.directory + "/host";
  std::ofstream(source) << unit;
  run_command(fmt::format("{} -x c++ {} -w -fwrapv -fno-strict-aliasing -Wno-c++11-narrowing -DCSMITH_LANES={} "
                          "-DCSMITH_COUNT_STEPS {} {} -o {}", options.clang, level, count, options.includes, source,
                          program));
  const auto [status, text] = output_of(fmt::format("timeout 5 {} 2>/dev/null", program));
  if (status != 0) return {};
  std::vector<u32> sums;
  std::istringstream words(text);
  for (std::string word; words >> word;) sums.push_back(u32(std::strtoul(word.c_str(), nullptr, 16)));
  return sums;
}

void report(u64 seed, const std::string& flags, Mode mode, const RunReport& run, const std::vector<u32>& expected,
            const std::vector<u32>& got) {
  std::printf("DIFFERENT: seed %llu, %s, %s\n", static_cast<unsigned long long>(seed), flags.c_str(),
              mode == Mode::fast ? "fast" : "strict");
  if (run.fault) return void(std::printf("  fault %s: %s\n", run.fault->kind.c_str(), run.fault->sentence.c_str()));
  u32 shown = 0;
  for (u32 i = 0; i < expected.size() && shown < 4; ++i) {
    if (expected[i] == got[i]) continue;
    std::printf("  lane %u: x86 %08x, gfx1151 %08x\n", i, expected[i], got[i]);
    ++shown;
  }
}

// With a mistake in the machine code the checksums are others.
bool notices_mistake(GpuUnit& unit, Device& device, const std::vector<u32>& expected) {
  std::vector<u32> got(expected.size());
  AddressSpace space;
  Buffers buffers;
  buffers.map(space, out_va, got, access_write, "out");
  unit.reset();
  plant_mistake(unit);
  const RunReport run = device.run(unit, unit.kernel("program"), space,
                                   {.group_lanes = u32(got.size()), .arguments = {out_va},
                                    .instruction_limit = 5'000'000});
  unit.reset();
  return !run.fault && got != expected;
}

void compare(const Options& options, const CsmithArguments& arguments, u64 seed, Device& device, Tally& tally) {
  const Form form = seed % 2 ? Form::one_for_all : Form::a_lane_each;
  const u32 count = form == Form::a_lane_each ? lanes : 1;
  const std::string unit_text = unit_of(csmith_program(seed), form);
  const std::vector<u32> expected = on_host(options, unit_text, count, "-O1");
  if (expected.size() != count) return void(++tally.too_long);
  if (on_host(options, unit_text, count, "-O0") != expected) return void(++tally.undefined);
  ++tally.programs;
  for (const char level : arguments.levels) {
    const std::string flags = fmt::format("-O{} -fno-strict-aliasing -Wno-c++11-narrowing{} {}", level,
                                          arguments.wave64 ? " -mwavefrontsize64" : "", arguments.flags);
    GpuUnit unit(options, unit_text, flags);
    if (unit.empty()) {
      ++tally.crashed;
      continue;
    }
    for (const Mode mode : {Mode::fast, Mode::strict}) {
      std::vector<u32> got(count);
      AddressSpace space;
      Buffers buffers;
      buffers.map(space, out_va, got, access_write, "out");
      unit.reset();
      const RunReport run = device.run(unit, unit.kernel("program"), space,
                                       {.group_lanes = count, .arguments = {out_va}, .instruction_limit = 200'000'000,
                                        .mode = mode, .seed = seed});
      ++tally.compared;
      if (!run.fault && got == expected) {
        if (!tally.canary) tally.canary = notices_mistake(unit, device, expected);
        continue;
      }
      ++tally.different;
      report(seed, flags, mode, run, expected, got);
      if (!arguments.keep.empty())
        std::ofstream(fmt::format("{}/csmith{}.cpp", arguments.keep, seed)) << unit_text;
      break;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"csmith's programs on gfx1151 against x86"};
  CsmithArguments arguments;
  arguments.programs = 10;
  add_options(app, arguments);
  app.add_option("--keep", arguments.keep, "a folder for the programs that differ")->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  if (std::system("cd /tmp && csmith --version >/dev/null 2>&1") != 0) {
    std::printf("csmith: skipped, no csmith on PATH (Debian: apt install csmith)\n");
    return 77;
  }
  char directory[] = "/tmp/amlm-csmith-XXXXXX";
  check(mkdtemp(directory), "a temporary directory");
  const Options options{.directory = directory, .includes = "-I " AMLM_CSMITH, .clang = AMLM_CLANG, .lld = AMLM_LLD,
                        .language = "c++", .on_crash = OnCrash::leave_empty};
  arguments.say("csmith");
  Device device;
  Tally tally;
  for (const KeptSeed& kept : kept_seeds(arguments.seeds, "csmith")) {
    compare(options, with(arguments, kept), kept.seed, device, tally);
  }
  const u32 wanted = arguments.seeds.empty() ? arguments.programs : 0;
  for (u64 seed = arguments.seed; tally.programs < wanted; ++seed) {
    compare(options, arguments, seed, device, tally);
    std::fflush(stdout);
  }
  run_command(fmt::format("rm -r {}", directory));
  std::printf("csmith: %u programs, %u runs compared, %u different; left out: %u programs that run too long, "
              "%u that are undefined, %u units that clang cannot compile\n", tally.programs, tally.compared, tally.different,
              tally.too_long, tally.undefined, tally.crashed);
  std::printf("canary: xor turned into or in the machine code, %s\n", tally.canary ? "noticed" : "NOT NOTICED");
  return tally.different || !tally.canary ? 1 : 0;
}
