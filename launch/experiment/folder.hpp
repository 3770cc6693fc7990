// SPDX-License-Identifier: Apache-2.0
// The directory of an experiment:
//
//   experiment.toml             the file as it was given
//   results.jsonl, results.csv  one row per repetition
//   jobs/ runs/ logs/           of each repetition its job file, run directory and output
//   report.html, figures/       (launch/report)
#pragma once

#include <string>
#include <vector>

#include "launch/experiment/points.hpp"
#include "launch/experiment/results.hpp"
#include "runtime/base/file.hpp"

namespace lockstep {

class ExperimentFolder {
 public:
  // Makes it, or takes up what is there; one process at a time. ConfigError where it holds
  // something else, or results of another version.
  ExperimentFolder(const std::string& dir, const std::string& experiment_text);

  const std::string& dir() const { return dir_; }
  const std::vector<ResultRow>& rows() const { return rows_; }
  // Those of these points, in the order in which they came; others stay in the file.
  std::vector<ResultRow> rows_of(const std::vector<ExperimentPoint>& points) const;
  // Whether a repetition has a row; one that failed counts unless `retry`.
  bool has(const ExperimentPoint& point, int repetition, bool retry) const;

  // The last row of a repetition says that it failed.
  bool failed(const ExperimentPoint& point, int repetition) const;

  void add(const ResultRow& row);  // to both files

  std::string job_file(const std::string& name) const { return dir_ + "/jobs/" + name + ".toml"; }
  std::string run_dir(const std::string& name) const { return dir_ + "/runs/" + name; }
  std::string log_file(const std::string& name) const { return dir_ + "/logs/" + name + ".txt"; }

 private:
  std::string dir_;
  FileHandle results_;  // locked
  std::vector<ResultRow> rows_;
};

}  // namespace lockstep
