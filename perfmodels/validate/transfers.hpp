// SPDX-License-Identifier: Apache-2.0
// What the collectives of a trace took from when the last rank was there; until then the others
// wait.
//
// All ranks of a group make the same calls in the same order, and are together when one ends: so
// who came last to the k-th call took for it as long as it takes, and no clocks are compared. Which
// ranks are a group a trace does not say; of several groups of one name the shortest stands for
// all.
#pragma once

#include <vector>

#include "perfmodels/validate/measured_trace.hpp"

namespace lockstep {

// Messages between the stages of a pipeline, which two ranks make and not the group.
bool is_message(const MeasuredOperation& call);

// Seconds, for each operation of the trace: its own for what no other rank takes part in.
std::vector<double> transfers_of(const MeasuredTrace& trace);

}  // namespace lockstep
