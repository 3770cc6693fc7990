// SPDX-License-Identifier: Apache-2.0
// Which rank the others wait for. All ranks of a step end together, so what tells them apart is the
// time that each worked by itself: the step less what it waited in communication. Pure arithmetic.
#pragma once

#include <optional>
#include <span>

namespace lockstep {

struct Straggler {
  int rank = 0;
  double seconds = 0;  // of its own work, per step
  double median = 0;   // of all ranks
  double share = 0;    // of the steps' time that it costs the others
};

// The slowest rank, if it takes more than `factor` times the median and costs at least 5 % of the
// step: less is noise. `own`: seconds of own work per step, by rank.
std::optional<Straggler> find_straggler(std::span<const float> own, double step_seconds,
                                        double factor);

}  // namespace lockstep
