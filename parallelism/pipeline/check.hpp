// SPDX-License-Identifier: Apache-2.0
// Proves a schedule, with its messages or without: every action once and none too many, everything
// behind what it needs, no deadlock. Works for any schedule, by running it, in O(actions).
#pragma once

#include <optional>

#include "parallelism/pipeline/schedule.hpp"

namespace lockstep {

struct ScheduleReport {
  // Of each stage: most micro-batches (of each chunk) at once whose forward pass is done and whose
  // weight gradient is not.
  std::vector<int> peak_stored;
  // Of those, whose gradient has been sent on: they hold it beside what forward has kept.
  std::vector<int> peak_waiting;
  // Weight gradients of every chunk are summed in the order of micro-batches: the bits of a serial
  // run. True of every schedule of the table.
  bool ascending = true;
};

// The first fault; nothing if the schedule is right.
std::optional<ScheduleFault> find_fault(const PipelineSchedule& schedule);

// LogicError if there is a fault.
ScheduleReport check(const PipelineSchedule& schedule);

}  // namespace lockstep
