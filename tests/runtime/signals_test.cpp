// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/signals.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// The signal that ended a child which ran `body`, 0 if it ended by itself.
template <class Body>
int signal_that_ends(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("a signal asks to stop, and its repetition asks nothing more", "[unit]") {
  for (int signal : {SIGINT, SIGTERM}) {
    const SignalGuard guard;
    CHECK_FALSE(stop_requested());
    raise(signal);
    CHECK(stop_requested());
    CHECK(stop_signal() == signal);
    raise(SIGINT);
    raise(SIGTERM);
    CHECK(stop_signal() == signal);
  }
}

TEST_CASE("without the guard the signals do what they did before", "[unit]") {
  CHECK(signal_that_ends([] {
          { const SignalGuard guard; }
          raise(SIGTERM);
        }) == SIGTERM);
}

TEST_CASE("a patient repetition is ignored, an impatient user is obeyed", "[unit]") {
  CHECK(signal_that_ends([] {
          const SignalGuard guard;
          raise(SIGINT);
          raise(SIGINT);
        }) == 0);
  CHECK(signal_that_ends([] {
          const SignalGuard guard;
          raise(SIGINT);
          while (sleep(4))
            continue;
          raise(SIGINT);
        }) == SIGINT);
}
