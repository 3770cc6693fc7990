// SPDX-License-Identifier: Apache-2.0
#include "launch/supervise.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/job.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/base/process.hpp"
#include "runtime/checkpoint/fence.hpp"
#include "runtime/checkpoint/memory_folder.hpp"
#include "runtime/context/signals.hpp"
#include "runtime/logging/logging.hpp"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

// Open MPI 4.1's mpirun may hang in its own end when all ranks are gone.
constexpr double kLauncherSeconds = 20;
constexpr auto kLook = std::chrono::milliseconds(50);

// Of a run whose directory is not chosen: the first name that is free, for all its lives.
std::string run_directory_of(const JobConfig& job, bool resume) {
  if (!job.job.run_dir.empty()) return job.job.run_dir;
  const fs::path base = fs::path("runs") / job.job.name;
  fs::path dir = base;
  for (int i = 2; !resume && fs::exists(dir); ++i)
    dir = base.string() + "-" + std::to_string(i);
  return dir.string();
}

// The last step in metrics.jsonl, 0 if there is none.
std::int64_t last_step(const std::string& run_dir) {
  std::ifstream file(run_dir + "/metrics.jsonl");
  std::int64_t step = 0;
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kBegin = "{\"step\":";
    if (line.rfind(kBegin, 0) == 0) step = std::atoll(line.c_str() + kBegin.size());
  }
  return step;
}

[[noreturn]] void become(const std::vector<std::string>& words, pid_t parent) {
  follow_parent(parent);  // no ranks without a supervisor
  // Ctrl-C comes once, from the supervisor: mpirun takes a second one as an order to kill at once.
  // Behind the terminal's back nothing may be read from it.
  setpgid(0, 0);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  const std::vector<char*> argv = exec_words(words);
  execvp(argv.front(), argv.data());
  const std::string text = "lockstep: cannot start " + words.front() + "\n";
  const ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  _exit(ignored >= 0 ? kUserError : kFailure);
}

// A started command, until it has ended.
class Life {
 public:
  explicit Life(const std::vector<std::string>& words) : supervisor_(getpid()), process_(fork()) {
    if (process_ < 0) throw_errno("fork");
    if (process_ == 0) become(words, supervisor_);
  }

  // Its status, as a shell has it.
  int wait() {
    int status = 0, passed_on = 0;
    for (;;) {
      const pid_t ended = waitpid(process_, &status, WNOHANG);
      if (ended < 0 && errno != EINTR) throw_errno("waitpid");
      if (ended == process_) break;
      if (stop_signal() && stop_signal() != passed_on) kill(process_, passed_on = stop_signal());
      if (launcher_hangs()) kill(process_, SIGKILL);
      std::this_thread::sleep_for(kLook);
    }
    return shell_status(status);
  }

 private:
  // It had children, and has had none for long.
  bool launcher_hangs() {
    std::ifstream file(format("/proc/%d/task/%d/children", process_, process_));
    int child = 0;
    if (file >> child) {
      had_children_ = true;
      alone_since_ = now();
    }
    return had_children_ && now() - alone_since_ > kLauncherSeconds;
  }

  const pid_t supervisor_, process_;
  bool had_children_ = false;
  double alone_since_ = 0;
};

std::vector<std::string> command_of(const JobConfig& job, const Supervision& with, int ranks,
                                    bool resume) {
  std::vector<std::string> words;
  std::istringstream launcher(with.launcher);
  for (std::string word; launcher >> word;)
    words.push_back(word == "{ranks}" ? std::to_string(ranks) : word);
  words.push_back(own_path());
  words.insert(words.end(), with.arguments.begin(), with.arguments.end());
  words.insert(words.end(), {"--set", "job.run_dir=" + run_directory_of(job, true)});
  if (ranks != with.ranks) words.insert(words.end(), {"--set", "parallel.data=0"});
  if (resume) words.emplace_back("--resume");
  return words;
}

// For who resumes by hand; the next run with copies in memory takes away what is left over.
void say_what_stays(const std::string& run_dir) {
  const std::string name = memory_name_of(run_dir);
  if (name.empty()) return;
  log_warning("copies in memory (" + name + ") stay for --resume; without one remove them and " +
              run_dir + "/memory.json");
}

bool is_final(int status) {
  for (const int last : {0, kUserError, 128 + SIGINT, 128 + SIGTERM, 128 + SIGUSR1})
    if (status == last) return true;
  return false;
}

// mpirun has a status of its own for ranks that a signal stopped.
int final_status(int status) {
  const bool by_ranks = status == 0 || status == kUserError || !stop_signal();
  return by_ranks ? status : 128 + stop_signal();
}

}  // namespace

int fewer_ranks(const JobConfig& job, int ranks, int least) {
  const int group = job.parallel.tensor * job.parallel.pipeline;
  for (int fewer = ranks - 1; fewer >= std::max(least, 1); --fewer) {
    const std::int64_t data = fewer / group;
    const std::int64_t together = data * std::max<std::int64_t>(job.batch.micro, 1);
    if (fewer % group == 0 && job.batch.global % together == 0) return fewer;
  }
  return 0;
}

int supervise(const JobConfig& wanted, const Supervision& with) {
  const SignalGuard signals;
  let_root_start_ranks();
  JobConfig job = wanted;
  job.job.run_dir = run_directory_of(job, with.resume);
  const std::int64_t before = start_from_environment().restart;
  int ranks = with.ranks;
  std::int64_t farthest = 0;
  for (int life = 0;; ++life) {
    setenv("LOCKSTEP_RESTART", std::to_string(before + life).c_str(), 1);
    const int status = Life(command_of(job, with, ranks, life > 0 || with.resume)).wait();
    if (is_final(status) || stop_signal()) {
      say_what_stays(job.job.run_dir);
      return final_status(status);
    }
    if (life == with.restarts) {
      say_what_stays(job.job.run_dir);
      if (with.restarts > 0) log_error(format("status %d, and no restart is left", status));
      return status;
    }
    const std::int64_t step = last_step(job.job.run_dir);
    const bool stuck = step <= std::exchange(farthest, std::max(step, farthest));
    const int fewer = stuck && with.least_ranks > 0 ? fewer_ranks(job, ranks, with.least_ranks) : 0;
    if (fewer > 0) ranks = fewer;
    log_warning(
        format("the job ended with status %d after step %lld; restart %d of %d, on %d ranks",
               status, static_cast<long long>(step), life + 1, with.restarts, ranks));
  }
}

}  // namespace lockstep
