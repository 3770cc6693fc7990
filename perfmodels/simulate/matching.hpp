// SPDX-License-Identifier: Apache-2.0
// Which send of a schedule meets which receive: from one rank to another they match in the order in
// which they are posted, so no clock is needed.   cost  O(m log m) for m messages
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/record.hpp"

namespace lockstep {

struct Matching {
  // Of every rank: the numbers of the messages that it posts, in its order.
  std::vector<std::vector<std::uint32_t>> posted;
  std::uint32_t messages = 0;
};

// LogicError if a message has one end only.
Matching match(const Schedule& schedule);

}  // namespace lockstep
