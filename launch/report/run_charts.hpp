// SPDX-License-Identifier: Apache-2.0
// The diagrams of a run, in the order of its page: loss, accuracy, throughput, where the time of a
// step goes, one step as a timeline.
#pragma once

#include "launch/report/drawing.hpp"
#include "launch/report/reported_run.hpp"

namespace lockstep {

// Those that the run has something for.
void add_run_charts(Page& page, Drawing& drawing, const ReportedRun& run);

}  // namespace lockstep
