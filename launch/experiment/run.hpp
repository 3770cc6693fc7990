// SPDX-License-Identifier: Apache-2.0
// Runs what an experiment still lacks, one repetition after the other, in the shuffled order.
#pragma once

#include <vector>

#include "launch/experiment/folder.hpp"
#include "launch/experiment/forecast.hpp"
#include "launch/experiment/launcher.hpp"

namespace lockstep {

struct ExperimentRun {
  const ExperimentFile& experiment;
  const std::vector<ExperimentPoint>& points;
  const std::vector<Forecast>& forecasts;
  LaunchPlan launch;
  bool retry = false;  // what failed before
  bool bar = false;    // a terminal: the run under way and the time left, in the last line
};

// All repetitions in their order; of predictions there is one.
std::vector<PlannedRun> runs_of(const ExperimentFile& experiment, std::size_t points);
// Those that have no row yet.
std::vector<PlannedRun> missing_runs(const ExperimentRun& run, const ExperimentFolder& folder);

// A failed run is a row like another. The exit status: 0, or 128 + the signal that stopped it, with
// the run under way given up; the same command continues there.
int run_missing(const ExperimentRun& run, ExperimentFolder& folder);

// A row of what is planned, with nothing measured; what is measured of its run; what went wrong.
ResultRow new_row(const ExperimentRun& run, const PlannedRun& planned);
void take_measurement(ResultRow& row, const std::string& run_dir, int skip_steps);
void fail(ResultRow& row, std::vector<std::string> lines);

}  // namespace lockstep
