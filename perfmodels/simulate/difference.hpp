// SPDX-License-Identifier: Apache-2.0
// Where the formula of an algorithm and the replay of its schedule differ on a machine, and why:
// the assumptions of the formula are given up one after the other, and each replay shows what its
// assumption was worth.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/simulate/networks.hpp"

namespace lockstep {

struct Assumption {
  const char* text;    // that the formula made
  double seconds = 0;  // of the replay without it, and without those before it
};

struct Difference {
  double formula = 0;
  std::vector<Assumption> given_up{};
  double replayed() const { return given_up.back().seconds; }
  // The one that changed the price by the largest factor.
  const Assumption& main_cause() const;
  // "formula 12.3 us, replay 9.1 us (-26 %), mostly since the formula takes every link for the
  // slowest (x 0.71)"
  std::string text() const;
};

Difference difference(const Machine& machine, const Algorithm& algorithm, double bytes,
                      const GroupShape& group);

}  // namespace lockstep
