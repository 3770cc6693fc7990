// SPDX-License-Identifier: Apache-2.0
// How a rank waits for another by polling. It spins where it has a core to itself and nothing
// better to do; it gives the core away at once where ranks outnumber cores, or where it is the
// communication worker, which shares its core with the computing thread; and it sleeps when the
// wait gets long.
#pragma once

#include <chrono>
#include <cstdint>

#include "collectives/deadline.hpp"

namespace lockstep {

enum class Crowding : std::uint8_t {
  own_core,
  shared_core,
  far,     // shared, and the answer may come over a network, in milliseconds: no sleep before that
  patient  // shared with ranks that are being timed: what it waits for may come a little later
};

class Backoff {
 public:
  explicit Backoff(const Deadline& deadline, Crowding crowding = Crowding::shared_core);

  // Call after each poll that found nothing. False when the deadline has passed; throws what the
  // deadline's watch throws.
  bool pause();

 private:
  bool pause_long();

  const Deadline& deadline_;
  double begin_ = 0, looked_ = 0, yield_seconds_;
  std::chrono::microseconds long_sleep_;
  int polls_ = 0, spins_;
};

}  // namespace lockstep
