// amlm disasm: a kernel of amlm's own, of a code object, or plain machine code, as assembly.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>

#include "isa/disasm.h"
#include "isa/hazards.h"
#include "isa/waits.h"
#include "kernels/kernels.h"
#include "tools/commands.h"
#include "tools/files.h"
#include "tools/kernel_symbols.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  std::string kernel, file, raw;
  std::string at = "0";
  u32 wave_lanes = 32;
  bool list = false, check = false;
};

// Hazards and missing waits, by the address they stand at. What follows cut-out code is not known to be missing.
Result<void> check_raw(std::vector<u32> words, u64 va, u32 wave_lanes) {
  auto found = isa::find_missing_waits(words, wave_lanes);
  words.resize(words.size() + 64, 0xbf9f0000);      // s_code_end
  for (auto& hazard : isa::find_hazards(words)) found.push_back(std::move(hazard));
  for (const auto& [offset_bytes, sentence] : found)
    std::printf("%06llx: %s\n", static_cast<unsigned long long>(va + offset_bytes), sentence.c_str());
  if (found.empty()) return {};
  return fail(ErrorCode::failed, fmt::format("{} found by reading the code", found.size() == 1 ? "1 mistake was" :
                                             fmt::format("{} mistakes were", found.size())));
}

Result<void> disassemble_raw(const Options& options) {
  const u64 va = TRY(parse_address(options.at, "--at"));
  const std::vector<u32> words = TRY(read_words(options.raw));
  if (options.check) return check_raw(words, va, options.wave_lanes);
  std::printf("%s", isa::disassemble(words, va).c_str());
  return {};
}

Result<void> disassemble_kernels(const Options& options) {
  if (!options.raw.empty()) return disassemble_raw(options);
  std::vector<u8> bytes;
  if (options.file.empty()) {
    const auto embedded = kernels::code_object();
    bytes.assign(embedded.begin(), embedded.end());
  } else {
    bytes = TRY(read_file(options.file));
  }
  const auto symbols = TRY(read_kernel_symbols(bytes));
  bool found = false;
  for (const auto& symbol : symbols) {
    if (options.list) {
      std::printf("%-28s %6u bytes\n", symbol.name.c_str(), symbol.size_bytes);
      found = true;
    } else if (options.kernel.empty() || symbol.name == options.kernel) {
      std::vector<u32> words(symbol.size_bytes / 4);
      std::memcpy(words.data(), bytes.data() + symbol.file_offset, words.size() * 4);
      std::printf("%s:\n%s", symbol.name.c_str(), isa::disassemble(words, symbol.address).c_str());
      found = true;
    }
  }
  if (!found)
    return fail(ErrorCode::usage, fmt::format("no kernel named {}: `amlm disasm --list` shows all", options.kernel));
  return {};
}

}  // namespace

void add_disasm(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("disasm", "Prints a kernel, or plain machine code, as assembly");
  auto options = std::make_shared<Options>();
  auto* kernel = command->add_option("kernel", options->kernel, "name of the kernel; all when left out");
  auto* file = command->add_option("--file", options->file, "a code object (.co) instead of amlm's own kernels")
                   ->type_name("FILE");
  auto* list = command->add_flag("--list", options->list, "names and sizes only");
  auto* raw = command->add_option("--raw", options->raw, "plain machine code; -: hexadecimal words on standard input")
                  ->type_name("FILE")->excludes(file)->excludes(kernel)->excludes(list);
  command->add_option("--at", options->at, "address of the first byte of --raw")->type_name("VA")->needs(raw);
  auto* check = command->add_flag("--check", options->check, "hazards and missing waits of --raw instead of a listing")
                    ->needs(raw);
  command->add_option("--wave", options->wave_lanes, "lanes of a wave, for --check")->check(CLI::IsMember({32, 64}))
      ->needs(check);
  command->callback([options, &invocation] {
    auto done = disassemble_kernels(*options);
    invocation.exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace amlm::tools
