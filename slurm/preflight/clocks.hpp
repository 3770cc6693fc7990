// SPDX-License-Identifier: Apache-2.0
// How far the clocks of the nodes are apart.
#pragma once

#include "runtime/context/context.hpp"

namespace lockstep::slurm {

// Seconds that this rank's wall clock is ahead of rank 0's, to half of the fastest of ten round
// trips (Cristian 1989). Collective; the first ranks of the nodes are asked one after the other,
// others return what theirs found.
double clock_offset(const Context& context);

}  // namespace lockstep::slurm
