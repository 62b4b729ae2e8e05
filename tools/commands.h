// The commands of `amlm`. Each adds its subcommand and options to the parser; its callback returns through `exit_code`.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "driver/base.h"

namespace amlm::tools {

// What main hands to every command.
struct Invocation {
  int argc = 0;
  char** argv = nullptr;
  int exit_code = 0;
};

void add_run(CLI::App& app, Invocation& invocation);
void add_perplexity(CLI::App& app, Invocation& invocation);
void add_bench(CLI::App& app, Invocation& invocation);
void add_info(CLI::App& app, Invocation& invocation);
void add_selftest(CLI::App& app, Invocation& invocation);
void add_vgpu(CLI::App& app, Invocation& invocation);
void add_ib(CLI::App& app, Invocation& invocation);
void add_disasm(CLI::App& app, Invocation& invocation);
void add_asm(CLI::App& app, Invocation& invocation);
void add_trace(CLI::App& app, Invocation& invocation);

}  // namespace amlm::tools
