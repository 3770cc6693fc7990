// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/process.hpp"

#include <chrono>
#include <csignal>
#include <deque>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/base/process.hpp"
#include "runtime/context/signals.hpp"

namespace lockstep {

namespace {

constexpr int kNotStarted = 127;      // as a shell has it
constexpr double kGraceSeconds = 15;  // between asking a job to end and killing it
constexpr double kWatchSeconds = 0.25;

// Between fork and exec: only what POSIX allows there.
[[noreturn]] void become(char* const* words, int output, pid_t parent) {
  setpgid(0, 0);
  follow_parent(parent);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execvp(words[0], words);
  _exit(kNotStarted);
}

// Asks a group to end; kills it when it does not.
class Ending {
 public:
  void ask(pid_t group) {
    if (since_ > 0) {
      if (now() - since_ > kGraceSeconds) kill(-group, SIGKILL);
      return;
    }
    since_ = now();
    kill(-group, SIGTERM);
  }

 private:
  double since_ = 0;
};

}  // namespace

ProcessEnd run_process(const std::vector<std::string>& words, const std::string& output,
                       double timeout_seconds, const std::function<void()>& watch) {
  const FileHandle log = open_file(output, O_WRONLY | O_CREAT | O_TRUNC);
  const std::vector<char*> arguments = exec_words(words);
  const double begin = now();
  const pid_t parent = getpid(), child = fork();
  if (child < 0) throw_errno("fork for " + words[0]);
  if (child == 0) become(arguments.data(), log.get(), parent);
  setpgid(child, child);  // whichever of us comes first

  ProcessEnd end;
  Ending ending;
  int status = 0;
  for (double watched = 0; waitpid(child, &status, WNOHANG) == 0;) {
    end.stopped = end.stopped || stop_requested();
    end.too_late = end.too_late || now() - begin > timeout_seconds;
    if (end.stopped || end.too_late) ending.ask(child);
    if (watch && now() - watched > kWatchSeconds) {
      watch();
      watched = now();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(-child, SIGKILL);  // what it may have left behind
  end.status = shell_status(status);
  end.seconds = now() - begin;
  return end;
}

std::vector<std::string> last_lines(const std::string& path, std::size_t count) {
  constexpr std::size_t kLongest = 200;
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r-") == std::string::npos) continue;
    lines.push_back(line.substr(0, kLongest));
    if (lines.size() > count) lines.pop_front();
  }
  return {lines.begin(), lines.end()};
}

}  // namespace lockstep
