// amlm: the command.
#include "tools/commands.h"
#include "tools/terminal.h"

namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 ok; 1 a check or the command failed; 2 command line; 3 no usable gfx1151; 4 no permission for the\n"
    "render node; 5 the kernel refused; 6 does not fit GTT; 7 GPU fault, timeout or reset; 8 file cannot be read or\n"
    "written; 9 not a GGUF, or a damaged one; 10 a model amlm does not support; 11 prompt longer than the context;\n"
    "130 interrupted.";

}  // namespace

int main(int argc, char** argv) {
  using namespace amlm::tools;
  CLI::App app{"amlm: quantized transformers on gfx1151 (Strix Halo), with nothing between it and the kernel driver"};
  app.footer(exit_codes);
  app.set_version_flag("--version", AMLM_VERSION);
  app.require_subcommand(1);
  Invocation invocation{.argc = argc, .argv = argv};
  add_run(app, invocation);
  add_perplexity(app, invocation);
  add_bench(app, invocation);
  add_info(app, invocation);
  add_selftest(app, invocation);
  add_vgpu(app, invocation);
  add_ib(app, invocation);
  add_disasm(app, invocation);
  add_asm(app, invocation);
  add_trace(app, invocation);
  try {   // CLI11 reports through exceptions; ours stop here
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : static_cast<int>(amlm::ErrorCode::usage);
  }
  return invocation.exit_code;
}
