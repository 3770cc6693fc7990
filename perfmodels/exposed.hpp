// SPDX-License-Identifier: Apache-2.0
// Communication by axis, as the kernels of its rank see it: hidden while one runs, else exposed.
// Where several lanes are at work at once the one that began first counts, so the parts add up.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "perfmodels/step_time.hpp"

namespace lockstep {

struct AxisSpan {
  Span span{};
  const OperationGroup* group = nullptr;  // null: a local step
};

// Adds `share` of each; returns their sums (all of them). `kernels` ascend. Cost: a sort of `sent`.
CommunicationSeconds add_communication(std::map<std::string, CommunicationSeconds>& axes,
                                       std::vector<AxisSpan> sent, const std::vector<Span>& kernels,
                                       double share = 1);

}  // namespace lockstep
