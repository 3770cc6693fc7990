// SPDX-License-Identifier: Apache-2.0
// Ctrl-C, SIGTERM and SIGUSR1 (a batch system's early warning) ask a job to stop after the step it
// is in. Launchers repeat a signal within milliseconds, so a repetition means nothing; a Ctrl-C
// that comes two seconds after the first is a user who does not want to wait: it kills at once. The
// other two never do: a batch system warns, terminates, and has SIGKILL for those who do not end.
//
// The thread that makes the guard, and all that it starts later, never run the handler: oneDNN's
// generated code (2.6) keeps data below the stack pointer, where a handler would overwrite it.
#pragma once

#include <array>
#include <csignal>
#include <memory>

namespace lockstep {

// Catches them while it lives, then restores what was there. One at a time; made before any thread
// that computes.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  class Watcher;  // the thread that takes the signals

  std::array<struct sigaction, 3> before_{};  // as they were
  sigset_t mask_{};                           // of this thread, as it was
  std::unique_ptr<Watcher> watcher_;
};

int stop_signal();  // the first signal that came, 0 if none
inline bool stop_requested() {
  return stop_signal() != 0;
}

}  // namespace lockstep
