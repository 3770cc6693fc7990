// SPDX-License-Identifier: Apache-2.0
#include "slurm/command.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/process.hpp"

namespace lockstep::slurm {

namespace {

struct Pipe {
  FileHandle read_end, write_end;
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
    read_end = FileHandle(ends[0]);
    write_end = FileHandle(ends[1]);
  }
};

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void duplicate(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
  void read_nothing() {
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

pid_t spawn(const std::vector<std::string>& argv, const Pipe& out, const Pipe& error) {
  const std::vector<char*> words = exec_words(argv);
  SpawnActions actions;
  actions.read_nothing();
  actions.duplicate(out.write_end.get(), STDOUT_FILENO);
  actions.duplicate(error.write_end.get(), STDERR_FILENO);
  pid_t child = 0;
  const int code = posix_spawnp(&child, words[0], actions.get(), nullptr, words.data(), environ);
  if (code != 0) throw SystemError("cannot start " + argv[0] + ": " + std::strerror(code));
  return child;
}

// Appends what has come; false at the end of the stream.
bool read_some(const FileHandle& from, std::string& into) {
  std::array<char, 4096> buffer{};
  const ssize_t count = read(from.get(), buffer.data(), buffer.size());
  if (count > 0) into.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

// Until both streams end; false when the deadline comes first.
bool collect(CommandResult& result, const Pipe& out, const Pipe& error, double deadline) {
  std::array<pollfd, 2> streams = {
      {{out.read_end.get(), POLLIN, 0}, {error.read_end.get(), POLLIN, 0}}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    const double left = deadline - now();
    if (left <= 0) return false;
    poll(streams.data(), streams.size(), static_cast<int>(left * 1e3) + 1);
    if (streams[0].revents && !read_some(out.read_end, result.out)) streams[0].fd = -1;
    if (streams[1].revents && !read_some(error.read_end, result.error)) streams[1].fd = -1;
  }
  return true;
}

int status_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  return shell_status(status);
}

}  // namespace

CommandResult run_command(const std::vector<std::string>& argv, double timeout_seconds) {
  Pipe out, error;
  CommandResult result;
  const pid_t child = spawn(argv, out, error);
  out.write_end = FileHandle();
  error.write_end = FileHandle();
  const bool ended = collect(result, out, error, now() + timeout_seconds);
  if (!ended) kill(child, SIGKILL);
  result.status = status_of(child);
  if (ended) return result;
  throw SystemError(argv[0] + " did not answer within " +
                    std::to_string(static_cast<int>(timeout_seconds)) +
                    " s; is the Slurm controller up (scontrol ping)?");
}

std::string one_line(const std::string& text) {
  std::string all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    for (const char* prefix : {"sbatch: ", "squeue: ", "sinfo: ", "slurm_load_jobs ", "error: "}) {
      if (line.rfind(prefix, 0) == 0) line.erase(0, std::strlen(prefix));
    }
    if (!line.empty()) all += (all.empty() ? "" : "; ") + line;
  }
  return all;
}

}  // namespace lockstep::slurm
