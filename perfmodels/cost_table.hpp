// SPDX-License-Identifier: Apache-2.0
// The table that collectives choose with (collectives/cost_table.hpp), from a machine profile.
#pragma once

#include <memory>
#include <span>

#include "collectives/cost_table.hpp"
#include "collectives/options.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

// The constants, every measured curve, and for each of `groups` the replayed prices of what has no
// curve: the formulas take every link for the slowest, and know no copies. Groups on one node of
// a calibrated machine keep the formulas.
std::shared_ptr<const CostTable> cost_table_of(const Machine& machine,
                                               std::span<const GroupShape> groups = {});

// Such a group there: whether its ranks share memory, and outnumber the cores.
GroupShape on_machine(const Machine& machine, const GroupShape& group);

// The options of a job whose collectives.machine was read into `machine`, for a world of `ranks`.
CommunicatorOptions communicator_options(const JobConfig& job, const Machine& machine, int ranks);
// Reads it, if the job names one.
CommunicatorOptions communicator_options(const JobConfig& job, int ranks);

}  // namespace lockstep
