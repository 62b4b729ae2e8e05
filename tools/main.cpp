// amlm: the command.
#include <fcntl.h>

#include <cstdio>

#include "tools/commands.h"
#include "tools/terminal.h"

namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 ok; 1 a check or the command failed; 2 command line; 3 no usable gfx1151; 4 no permission for the\n"
    "render node; 5 the kernel refused; 6 does not fit GTT; 7 GPU fault, timeout or reset; 8 file cannot be read or\n"
    "written; 9 not a GGUF, or a damaged one; 10 a model amlm does not support; 11 prompt longer than the context;\n"
    "120 a setting of the virtual GPU is wrong; 130 interrupted.";

// A closed descriptor would be given to the next file that is opened, and the command's text would go into that.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
}

int report_parse_error(const CLI::App& app, const CLI::ParseError& error, const char* first_word) {
  if (app.get_subcommands().empty() && first_word != nullptr && first_word[0] != '-') {
    std::fprintf(stderr, "amlm: there is no command '%s': `amlm --help` lists them\n",
                 amlm::tools::printable(first_word).c_str());
    return static_cast<int>(amlm::ErrorCode::usage);
  }
  const int code = app.exit(error);
  return code == 0 ? 0 : static_cast<int>(amlm::ErrorCode::usage);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace amlm::tools;
  fill_standard_descriptors();
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
    invocation.exit_code = report_parse_error(app, error, argc > 1 ? argv[1] : nullptr);
  }
  if (auto written = finish_output(); !written && invocation.exit_code == 0) return report(written.error());
  return invocation.exit_code;
}
