// amlm ib: the indirect buffer of a decode step, one packet a line.
#include <cstdio>

#include "driver/ib.h"
#include "tools/commands.h"
#include "tools/model_choice.h"
#include "tools/terminal.h"

namespace amlm::tools {

namespace {

int run_ib(const ModelOptions& options, const Invocation& invocation) {
  auto loaded = load_model(options, invocation);
  if (!loaded) return report(loaded.error());
  std::printf("%s", loaded->session->print_decode_ib().c_str());
  return 0;
}

}  // namespace

void add_ib(CLI::App& app, Invocation& invocation) {
  auto* command = app.add_subcommand("ib", "Prints the indirect buffer of a decode step as readable packets");
  auto options = std::make_shared<ModelOptions>();
  add_model_options(*command, *options);
  command->callback([options, &invocation] { invocation.exit_code = run_ib(*options, invocation); });
}

}  // namespace amlm::tools
