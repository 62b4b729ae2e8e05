// amlm ib: an indirect buffer, one packet a line: the live one of a decode step, or one from a file.
#include <cstdio>

#include "driver/ib.h"
#include "tools/commands.h"
#include "tools/files.h"
#include "tools/model_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

struct Options {
  ModelOptions model;
  std::string file, dump;
  std::string at = "0";
};

Result<void> run_ib(const Options& options, const Invocation& invocation) {
  if (!options.file.empty()) {
    const u64 va = TRY(parse_address(options.at, "--at"));
    const std::vector<u32> words = TRY(read_words(options.file));
    std::printf("%s", print_ib(words, va).c_str());
    return {};
  }
  const LoadedModel loaded = TRY(load_model(options.model, invocation));
  if (options.dump.empty()) {
    std::printf("%s", loaded.session->print_decode_ib().c_str());
    return {};
  }
  const auto words = std::as_bytes(loaded.session->decode_ib());
  return write_file(options.dump, {reinterpret_cast<const u8*>(words.data()), words.size()});
}

}  // namespace

void add_ib(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("ib", "Prints an indirect buffer as readable packets: of a decode step, or a file");
  auto options = std::make_shared<Options>();
  add_model_options(*command, options->model);
  auto* dump = command->add_option("--dump", options->dump, "write the decode step's indirect buffer to this file")
                   ->type_name("FILE");
  auto* file = command->add_option("--file", options->file, "print the dwords of this file; -: hexadecimal words on "
                                   "standard input")->type_name("FILE")->excludes(dump);
  command->add_option("--at", options->at, "address of the first dword of --file")->type_name("VA")->needs(file);
  command->callback([options, &invocation] {
    auto done = run_ib(*options, invocation);
    invocation.exit_code = done ? 0 : report(done.error());
  });
}

}  // namespace amlm::tools
