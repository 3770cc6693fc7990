// SPDX-License-Identifier: Apache-2.0
// What an event of a schedule takes that concerns nobody else: reductions, copies, reading what
// others show in shared memory, and computing.
#pragma once

#include "perfmodels/simulate/replay.hpp"

namespace lockstep {

// 0 for messages and barriers.
double seconds_alone(const Schedule& schedule, int rank, const TrackEvent& event,
                     const Network& network);

}  // namespace lockstep
