// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/process.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lockstep {

namespace fs = std::filesystem;

std::string own_path() {
  return fs::read_symlink("/proc/self/exe").string();
}

std::string host_name() {
  char name[256] = "";
  return gethostname(name, sizeof name - 1) == 0 ? name : "?";
}

std::string find_command(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = (fs::path(folder.empty() ? "." : folder) / name).string();
    std::error_code ignored;
    if (access(file.c_str(), X_OK) == 0 && !fs::is_directory(file, ignored)) return file;
  }
  return "";
}

std::vector<char*> exec_words(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words)
    pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Only what POSIX allows after fork.
void follow_parent(pid_t parent) {
  constexpr int kNotStarted = 127;  // as a shell has it
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(kNotStarted);  // it died before that
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

int shell_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void let_root_start_ranks() {
  if (geteuid() != 0) return;
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"})
    setenv(name, "1", 0);
}

}  // namespace lockstep
