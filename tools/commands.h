// The commands of `amlm`. Each adds its subcommand and options to the parser; its callback returns through `exit_code`.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <functional>
#include <string>

#include "driver/base.h"

namespace amlm::tools {

// What main hands to every command.
struct Invocation {
  int argc = 0;
  char** argv = nullptr;
  int exit_code = 0;
};

// For options: CLI11's own range lets NaN pass, and an unset variable of a script arrives as an empty word.
std::function<std::string(const std::string&)> between(double low, double high);
std::string not_empty(const std::string& word);

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
