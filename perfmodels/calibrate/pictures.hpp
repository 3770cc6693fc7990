// SPDX-License-Identifier: Apache-2.0
// A calibration as diagrams: what was measured as points, what was fitted to it as lines.
#pragma once

#include "perfmodels/machine/machine.hpp"
#include "perfmodels/plot.hpp"

namespace lockstep {

// One way over bytes, each level with its segments.
Plot picture_of_messages(const Machine& machine);
// Products and attention as FLOP/s over FLOPs, below the peak.
Plot picture_of_compute(const ComputeProfile& compute);

}  // namespace lockstep
