// SPDX-License-Identifier: Apache-2.0
// What an experiment is expected to give and to cost, before it runs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/experiment/points.hpp"
#include "launch/experiment/results.hpp"
#include "perfmodels/machine/machine.hpp"

namespace lockstep {

struct Forecast {
  std::optional<PredictedPoint> step;  // none without a machine, or where it cannot be predicted
  std::string why_not;
  std::string note;  // what was guessed of the machine
  int nodes = 1;
  double run_seconds = 0;  // of one repetition; 0: not known

  double node_hours() const { return nodes * run_seconds / 3600; }
};

// One of each point.
std::vector<Forecast> forecast(const ExperimentFile& experiment,
                               const std::vector<ExperimentPoint>& points,
                               const std::optional<Machine>& machine);

// Ranks of a node: the experiment's, else the devices of the machine's, else all on one.
int ranks_per_node(const ExperimentFile& experiment, const std::optional<Machine>& machine);

// The table, and the cost of all runs but `finished`.
std::string forecast_text(const ExperimentFile& experiment,
                          const std::vector<ExperimentPoint>& points,
                          const std::vector<Forecast>& forecasts, std::size_t finished);

}  // namespace lockstep
