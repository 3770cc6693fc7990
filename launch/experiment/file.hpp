// SPDX-License-Identifier: Apache-2.0
// An experiment file: a base job, what is varied, how often and how it is run, and what its author
// expects. TOML; `lockstep experiment --help-keys` shows every key.
//
//   [experiment]  the job, the launcher, repetitions
//   [set]         keys of the job that all points have: job.steps = 20
//   [axes]        what is varied: ranks = [1, 2], collectives.backend = ["native", "mpi"], or, to
//                 vary several keys at once, layout = [{name = "pipeline", parallel.pipeline = 2}]
//   [hypothesis]  what the report is to judge
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct AxisValue {
  std::string label;                  // "2", "native", the name of a variant
  int ranks = 0;                      // 0: says nothing of ranks
  std::vector<std::string> settings;  // "section.key=value"
};

struct Axis {
  std::string name;  // as it is shown: "ranks", "backend", "layout"
  std::vector<AxisValue> values;
};

struct Hypothesis {
  std::string text{};           // said in the report, judged by nobody
  double efficiency = 0;        // of the most ranks, at least; 0: none is expected
  std::string winner{};         // a value of an axis, or a point's name
  std::string bottleneck{};     // computing, optimizer, communication, bubble, other
  double prediction_error = 0;  // of the step of every point, at most; 0: none is expected
  bool empty() const;
};

struct ExperimentFile {
  std::string path;  // where it was read
  std::string name = "experiment";
  std::string job;
  std::string study = "compare";
  std::string machine;
  std::string launcher = "mpirun";
  std::string allocation = "point";
  std::vector<std::string> launch;
  std::string dir;
  int ranks = 1;
  int ranks_per_node = 0;
  int repetitions = 3;
  std::int64_t order_seed = 1;
  int skip_steps = 2;
  double timeout_seconds = 3600;
  double start_seconds = 3;
  bool trace = true;

  std::vector<std::string> settings;  // of [set]
  std::vector<Axis> axes;
  Hypothesis hypothesis;
};

// Job and machine are looked for beside the file first. ConfigErrors name file, line and key, and
// the nearest key of a job for an axis that is none.
ExperimentFile parse_experiment(const std::string& text, const std::string& path);
ExperimentFile load_experiment(const std::string& path);

// For --help-keys: every key with its default and meaning.
std::string experiment_reference();

}  // namespace lockstep
