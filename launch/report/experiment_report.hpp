// SPDX-License-Identifier: Apache-2.0
// report.html of an experiment: the hypothesis and what became of it, the scaling or the comparison
// with what was predicted, where the time goes and what limits, laws, the table, how to reproduce.
#pragma once

#include <string>
#include <vector>

#include "launch/experiment/file.hpp"
#include "launch/experiment/results.hpp"

namespace lockstep {

struct ReportFile {
  std::string path;
  bool without_plots = false;  // there is no gnuplot
};

// `order`: names of points, as the experiment has them.
ReportFile write_experiment_report(const std::string& dir, const ExperimentFile& experiment,
                                   const std::vector<ResultRow>& rows,
                                   const std::vector<std::string>& order);

}  // namespace lockstep
