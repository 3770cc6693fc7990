// SPDX-License-Identifier: Apache-2.0
#include "collectives/backoff.hpp"

#include <chrono>
#include <thread>

#include <sched.h>

#include "runtime/base/clock.hpp"
#include "runtime/base/pause.hpp"
#include "runtime/device/stream.hpp"

namespace lockstep {

namespace {
// A message between two running ranks of a node takes about a microsecond: a few polls of MPI find
// it. A peer that is merely late by a time slice is found by yielding. Beyond that it computes, and
// a sleep (plus the kernel's timer slack of 50 us) costs less than what polling takes from it.
constexpr int kPollsAtOnce = 1, kSpins = 4000;
constexpr int kYieldsPerLook = 16;
constexpr double kYieldSeconds = 200e-6;
// A sleep while a message crosses a slow network makes it late by up to 150 us, a fifth of a
// millisecond's latency for nothing: this rank has no other work, and its core is given away.
constexpr double kFarYieldSeconds = 20e-3;
constexpr std::chrono::microseconds kSleep{20}, kLongSleep{50}, kPatientSleep{1000};
constexpr double kLongWaitSeconds = 2e-3;
constexpr double kLookSeconds = 0.25;
}  // namespace

Backoff::Backoff(const Deadline& deadline, Crowding crowding)
    : deadline_(deadline),
      yield_seconds_(crowding == Crowding::far && !in_background() ? kFarYieldSeconds
                                                                   : kYieldSeconds),
      long_sleep_(crowding == Crowding::patient ? kPatientSleep : kLongSleep),
      spins_(crowding == Crowding::own_core && !in_background() ? kSpins : kPollsAtOnce) {}

bool Backoff::pause() {
  if (++polls_ <= spins_) {
    if (spins_ > kPollsAtOnce) cpu_pause();
    return true;
  }
  if (polls_ % kYieldsPerLook != 0 && begin_ == 0) {
    sched_yield();
    return true;
  }
  return pause_long();
}

bool Backoff::pause_long() {
  const double time = now();
  if (begin_ == 0) begin_ = looked_ = time;
  if (time > deadline_.at) return false;
  if (deadline_.watch && time > looked_ + kLookSeconds) {
    looked_ = time;
    deadline_.watch->look();
  }
  const double waited = time - begin_;
  if (waited < yield_seconds_) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(waited < kLongWaitSeconds ? kSleep : long_sleep_);
  }
  return true;
}

}  // namespace lockstep
