// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM ask a job to stop after the step it is in. Launchers repeat a signal within
// milliseconds, so a repetition means nothing; one that comes two seconds after the first is a user
// who does not want to wait: it kills at once.
#pragma once

#include <csignal>

namespace lockstep {

// Catches SIGINT and SIGTERM while it lives, then restores what was there. One at a time.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

 private:
  struct sigaction interrupt_ {
  }, terminate_{};  // as they were
};

int stop_signal();  // the first signal that came, 0 if none
inline bool stop_requested() {
  return stop_signal() != 0;
}

}  // namespace lockstep
