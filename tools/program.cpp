#include "tools/program.h"

#include <fmt/format.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

extern char** environ;

namespace amlm::tools {

namespace {

// The environment without LD_PRELOAD: amlm may run under the virtual GPU, and an assembler has no use for it.
std::vector<char*> environment_of_child() {
  std::vector<char*> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (std::strncmp(*variable, "LD_PRELOAD=", 11) != 0) variables.push_back(*variable);
  variables.push_back(nullptr);
  return variables;
}

}  // namespace

Result<Finished> run_program(const std::vector<std::string>& arguments) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return fail(ErrorCode::file, "no pipe for a child process", errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  const int spawn_error = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environment_of_child().data());
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  Finished finished;
  if (spawn_error == 0) {
    char block[4096];
    for (ssize_t got; (got = read(pipe_ends[0], block, sizeof block)) > 0 || (got < 0 && errno == EINTR);)
      if (got > 0 && finished.output.size() < (1u << 20)) finished.output.append(block, static_cast<std::size_t>(got));
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  close(pipe_ends[0]);
  if (spawn_error != 0)
    return fail(ErrorCode::file, fmt::format("{} cannot be started: {}", arguments[0], std::strerror(spawn_error)),
                spawn_error);
  return finished;
}

Result<std::string> find_llvm_program(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    auto version = run_program({name, "--version"});
    if (!version || version->exit_code != 0) continue;
    for (const char* mark : {"version ", "LLD "}) {
      const auto at = version->output.find(mark);
      if (at == std::string::npos) continue;
      const char* digits = version->output.c_str() + at + std::strlen(mark);
      if (std::isdigit(static_cast<unsigned char>(*digits)) && std::atoi(digits) >= 19) return name;
    }
  }
  const char* package = names.front().starts_with("ld") ? "lld-19" : "llvm-19";
  return fail(ErrorCode::file, fmt::format("{} (LLVM 19 or later) is not on PATH: install {} (Debian), llvm, lld elsewhere",
                                           names.front(), package));
}

}  // namespace amlm::tools
