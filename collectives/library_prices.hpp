// SPDX-License-Identifier: Apache-2.0
// What the MPI library's own collectives cost in one group, measured: its algorithms are its own
// business, so there is no formula, only times at a few sizes and straight lines between them in
// logarithms; beyond the largest the time grows with the bytes.
#pragma once

#include <array>
#include <vector>

#include "collectives/backend.hpp"

namespace lockstep {

class LibraryPrices {
 public:
  LibraryPrices() = default;  // knows no price
  // Times every collective of `library`, whose ranks all call this. A time is the maximum over
  // ranks, the same number on each.
  LibraryPrices(Backend& library, double budget_seconds);

  double seconds(const Call& call) const;  // 0: not known

 private:
  struct Point {
    double bytes, seconds;
  };
  std::array<std::vector<Point>, kNumCollectives> curves_;
};

}  // namespace lockstep
