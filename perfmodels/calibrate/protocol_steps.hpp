// SPDX-License-Identifier: Apache-2.0
// Where our own algorithms step: the sizes at which their messages, or what they stage, become too
// long for the short way through shared memory (collectives/transports/shared.hpp), and those at
// which they begin to show what they staged. There the time may rise, or fall to a fifth. A curve
// of a few points knows no place for a step; the program does, from the recorded schedules.
#pragma once

#include <vector>

#include "collectives/links.hpp"
#include "collectives/transports/shared.hpp"

namespace lockstep {

// Bytes of the full vector: the last size before a step and the first one behind it.
struct ProtocolStep {
  std::size_t below = 0, above = 0;
};

// Of all algorithms that serve such a group on one node, ascending, those of several algorithms
// once; none where the ranks share no memory. Cost: some two dozen recordings for each step.
std::vector<ProtocolStep> protocol_steps(Collective what, const GroupShape& group,
                                         const ShortBytes& longest);

}  // namespace lockstep
