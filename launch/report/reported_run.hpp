// SPDX-License-Identifier: Apache-2.0
// What the report of a run is made from: what the run directory holds, and what a profile predicts.
#pragma once

#include <optional>
#include <string>

#include "launch/experiment/measure.hpp"
#include "launch/prediction.hpp"

namespace lockstep {

struct ReportedRun {
  std::string dir{};
  JobConfig job{};
  RunLog log{};
  RunFacts facts{};
  std::optional<MeasuredTrace> trace{};
  MeasuredRun measured{};
  std::optional<JobPrediction> predicted{};
  std::string why_not{};  // there is no prediction
};

// `machine`: profile to compare with; empty: job.machine of the run, if it has one.
ReportedRun load_reported_run(const std::string& dir, const std::string& machine);

}  // namespace lockstep
