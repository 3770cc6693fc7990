// SPDX-License-Identifier: Apache-2.0
#include "launch/experiment/process.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/file.hpp"
#include "runtime/context/signals.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr int kNotStarted = 127;      // as a shell has it
constexpr double kGraceSeconds = 15;  // between asking a job to end and killing it
constexpr double kWatchSeconds = 0.25;

// Between fork and exec: only what POSIX allows there.
[[noreturn]] void become(char* const* words, int output, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kNotStarted);  // it died before that
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
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
  std::vector<char*> arguments;
  for (const std::string& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

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
  end.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
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

std::string find_command(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (fs::path(folder.empty() ? "." : folder) / name).string();
    if (access(file.c_str(), X_OK) == 0 && !fs::is_directory(file)) return file;
  }
  return "";
}

std::string own_path() {
  return fs::read_symlink("/proc/self/exe").string();
}

}  // namespace lockstep
