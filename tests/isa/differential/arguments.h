// The command line that the differential tests share.
#pragma once

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "tests/isa/differential/device.h"

namespace amlm::isa::differential {

struct Arguments {
  u64 seed = 1;
  u32 programs = 0;
  std::string levels = "0123";
  bool wave64 = false;
  std::string seeds;               // seeds.txt
  std::string flags;               // for the gfx1151 side

  void say(const char* program) const {
    std::printf("%s: seed %llu, %u programs, levels %s%s\n", program, static_cast<unsigned long long>(seed), programs,
                levels.c_str(), wave64 ? ", wave64" : "");
  }
};

// For one of seeds.txt.
template <class Derived>
Derived with(Derived arguments, const KeptSeed& kept) {
  arguments.levels = kept.levels;
  arguments.wave64 = kept.wave_lanes == 64;
  return arguments;
}

inline void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--seed", arguments.seed, "of the first program")->capture_default_str();
  app.add_option("--programs", arguments.programs, "how many")->capture_default_str();
  app.add_option("--levels", arguments.levels, "of optimisation")->capture_default_str();
  app.add_flag("--wave64", arguments.wave64, "waves of 64 lanes");
  app.add_option("--seeds", arguments.seeds, "a file of kept seeds, in place of new programs")->check(CLI::ExistingFile);
  app.add_option("--flags", arguments.flags, "more flags for clang on the gfx1151 side");
}

}  // namespace amlm::isa::differential
