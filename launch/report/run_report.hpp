// SPDX-License-Identifier: Apache-2.0
// report.html of one run: loss, throughput, memory, where the time of a step went, a timeline of
// one step, and how far the prediction was off.
#pragma once

#include <string>

#include "launch/report/experiment_report.hpp"

namespace lockstep {

// `machine`: profile to compare with; empty: job.machine of the run, if it has one.
ReportFile write_run_report(const std::string& run_dir, const std::string& machine);

}  // namespace lockstep
