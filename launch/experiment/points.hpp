// SPDX-License-Identifier: Apache-2.0
// The points of an experiment: every combination of the values of its axes, each with the job that
// it stands for, and the order in which their repetitions run. Pure but for reading the job file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "launch/experiment/file.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

struct ExperimentPoint {
  std::string name;         // "ranks=2 backend=native"
  std::string series;       // the same without what decides ranks
  std::string fingerprint;  // of all that decides what it measures
  int ranks = 1;
  std::vector<std::pair<std::string, std::string>> values;  // of each axis, its label
  JobConfig job;
};

// By its name, or by what it has on an axis other than the rank count.
bool is_called(const std::string& point,
               const std::vector<std::pair<std::string, std::string>>& values,
               const std::string& name);

// `overrides` come last: --set. ConfigError as the job would, with the point that it is about.
std::vector<ExperimentPoint> points_of(const ExperimentFile& experiment,
                                       const std::vector<std::string>& overrides = {});

struct PlannedRun {
  std::size_t point = 0;
  int repetition = 1;
};

// Every repetition of every point, shuffled round by round, so that what drifts on the machine
// meets all points alike. The same for the same seed.
std::vector<PlannedRun> order_of(std::size_t points, int repetitions, std::uint64_t seed);

// A name for files: letters, digits and -_.= stay, anything else becomes '_'.
std::string file_name_of(const ExperimentPoint& point, int repetition);

}  // namespace lockstep
