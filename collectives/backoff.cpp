// SPDX-License-Identifier: Apache-2.0
#include "collectives/backoff.hpp"

#include <chrono>
#include <thread>

#include <sched.h>

#include "runtime/base/clock.hpp"

namespace lockstep {

namespace {
// A message between two running ranks of a node takes about a microsecond: a few polls of MPI find
// it. A peer that is merely late by a time slice is found by yielding. Beyond that it computes, and
// a sleep (plus the kernel's timer slack of 50 us) costs less than what polling takes from it.
constexpr int kPollsAtOnce = 8;
constexpr double kYieldSeconds = 200e-6;
constexpr std::chrono::microseconds kSleep{20}, kLongSleep{50};
constexpr double kLongWaitSeconds = 2e-3;
}  // namespace

Backoff::Backoff(double timeout_seconds) : timeout_(timeout_seconds), begin_(now()) {}

bool Backoff::pause() {
  if (++polls_ <= kPollsAtOnce) return true;
  const double waited = now() - begin_;
  if (waited > timeout_) return false;
  if (waited < kYieldSeconds) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(waited < kLongWaitSeconds ? kSleep : kLongSleep);
  }
  return true;
}

}  // namespace lockstep
