// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/signals.hpp"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr std::time_t kPatienceSeconds = 2;
constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGUSR1};

// A signal handler can be told nothing but what lies in static storage.
std::atomic<int> first_signal{0};
std::atomic<std::time_t> first_time{0};
static_assert(std::atomic<int>::is_always_lock_free &&
              std::atomic<std::time_t>::is_always_lock_free);

std::time_t seconds() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);  // async-signal-safe
  return t.tv_sec;
}

void on_signal(int signal) {
  const int saved_errno = errno;
  int none = 0;
  if (first_signal.compare_exchange_strong(none, signal)) {
    first_time = seconds();
  } else if (signal == SIGINT && seconds() - first_time > kPatienceSeconds) {
    std::signal(signal, SIG_DFL);
    raise(signal);  // delivered when this handler returns
  }
  errno = saved_errno;
}

void exchange_action(int signal, const struct sigaction* action, struct sigaction* before) {
  if (sigaction(signal, action, before) != 0) throw_errno("sigaction");
}

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kStopSignals)
    sigaddset(&set, signal);
  return set;
}

}  // namespace

// A thread that does nothing, so that signals have a stack to be handled on.
class SignalGuard::Watcher {
 public:
  Watcher() : thread_([this] { sleep(); }) {}
  ~Watcher() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  void sleep() {
    const sigset_t set = stop_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;  // last: it uses all of the above
};

SignalGuard::SignalGuard() {
  first_signal = 0;
  struct sigaction ours {};
  ours.sa_handler = on_signal;
  ours.sa_flags = SA_RESTART;  // no system call of a library fails because of it
  sigemptyset(&ours.sa_mask);
  for (std::size_t i = 0; i < kStopSignals.size(); ++i)
    exchange_action(kStopSignals[i], &ours, &before_[i]);
  watcher_ = std::make_unique<Watcher>();
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, &mask_);
}

SignalGuard::~SignalGuard() {
  pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  watcher_.reset();
  for (std::size_t i = 0; i < kStopSignals.size(); ++i)
    sigaction(kStopSignals[i], &before_[i], nullptr);
}

int stop_signal() {
  return first_signal;
}

}  // namespace lockstep
