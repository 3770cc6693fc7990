// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/signals.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.hpp"
#include "runtime/kernels/gemm.hpp"
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

// To the process, as launchers and terminals do; returns when a thread has taken it.
void send(int signal) {
  kill(getpid(), signal);
  sigset_t pending;
  do {
    usleep(20000);  // also for the handler to run
    sigpending(&pending);
  } while (sigismember(&pending, signal));
}

// A test that waits in vain ends at its time limit.
void await_stop() {
  while (!stop_requested())
    usleep(1000);
}

}  // namespace

TEST_CASE("a signal asks to stop, and its repetition asks nothing more", "[unit]") {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    const SignalGuard guard;
    CHECK_FALSE(stop_requested());
    send(signal);
    await_stop();
    CHECK(stop_signal() == signal);
    send(SIGINT);
    send(SIGTERM);
    send(SIGUSR1);
    CHECK(stop_signal() == signal);
  }
}

TEST_CASE("without the guard the signals do what they did before", "[unit]") {
  CHECK(signal_that_ends([] {
          { const SignalGuard guard; }
          raise(SIGTERM);
        }) == SIGTERM);
  CHECK(signal_that_ends([] {
          { const SignalGuard guard; }
          raise(SIGUSR1);
        }) == SIGUSR1);
}

TEST_CASE("a patient repetition is ignored, an impatient user is obeyed", "[unit]") {
  bool patient = false;  // a machine may be so busy that the repetition comes late
  for (int attempt = 0; attempt < 5 && !patient; ++attempt) {
    const double begin = now();
    const int ended_by = signal_that_ends([] {
      const SignalGuard guard;
      send(SIGINT);
      send(SIGINT);
    });
    patient = now() - begin < 2;
    CHECK((ended_by == 0 || !patient));
  }
  CHECK(patient);
  CHECK(signal_that_ends([] {
          const SignalGuard guard;
          send(SIGINT);
          while (sleep(4))
            continue;
          send(SIGINT);
          sleep(10);
        }) == SIGINT);
}

TEST_CASE("a batch system that warns and then terminates is not impatient", "[unit]") {
  CHECK(signal_that_ends([] {
          const SignalGuard guard;
          send(SIGUSR1);
          while (sleep(4))
            continue;
          send(SIGTERM);
        }) == 0);
}

TEST_CASE("signals leave computation alone", "[unit]") {
  const SignalGuard guard;
  constexpr std::int64_t n = 192;
  std::vector<float> a(n * n), c(n * n), wanted(n * n);
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(i % 7) - 3;
  const auto multiply = [&](std::vector<float>& into) {
    kernels::host_gemm({into.data(), n}, {a.data(), n}, {a.data(), n, kernels::Trans::yes}, n, n,
                       n);
  };
  multiply(wanted);
  std::atomic<bool> done{false};
  std::thread sender([&] {
    do {
      kill(getpid(), SIGTERM);
      usleep(200);
    } while (!done);
  });
  int wrong = 0;
  for (int i = 0; i < 500; ++i) {
    multiply(c);
    wrong += c != wanted;
  }
  done = true;
  sender.join();
  CHECK(wrong == 0);
  await_stop();
  CHECK(stop_signal() == SIGTERM);
}
