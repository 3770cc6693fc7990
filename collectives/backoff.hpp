// SPDX-License-Identifier: Apache-2.0
// How a rank waits for another by polling: at once at first, then giving the core away, then
// asleep. The communication worker shares its core with the compute thread, and ranks may outnumber
// cores, so a wait must never cost the others their time.
#pragma once

namespace lockstep {

class Backoff {
 public:
  explicit Backoff(double timeout_seconds);

  // Call after each poll that found nothing. False when the deadline has passed.
  bool pause();

 private:
  double timeout_, begin_;
  int polls_ = 0;
};

}  // namespace lockstep
