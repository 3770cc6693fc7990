// SPDX-License-Identifier: Apache-2.0
// A job on a machine: its predicted step, and how that is shown.
#pragma once

#include <string>

#include "perfmodels/step_time.hpp"

namespace lockstep {

struct JobPrediction {
  std::string model, machine;
  int ranks = 1;
  std::string note;  // what was guessed of the machine as a whole; mostly empty
  std::int64_t parameters = 0;
  double device_memory = 0;  // bytes; 0: not known
  StepPrediction step;
  double copies_bytes = 0;  // of checkpoints in the host's memory, per rank
};

// The vocabulary of a job, from its data where the job leaves it open.
std::int64_t vocabulary_of(const JobConfig& job);

// `asked_for`, unless it is 0; then those of the job's layout, else `otherwise`.
int ranks_of(const JobConfig& job, int asked_for, int otherwise);

// How far predictions from a profile that nobody measured may be off, as far as is known; "" for
// others.
std::string sureness_of(const Machine& machine);

// `ranks` of the job; 0: those of its layout, else the devices of a node. Neighbours share the
// nodes of the machine. ConfigError as the job itself would, and where the profile lacks what it
// needs.
JobPrediction predict_job(JobConfig job, const Machine& machine, int ranks = 0);

std::string prediction_table(const JobPrediction& prediction);
std::string prediction_json(const JobPrediction& prediction);

}  // namespace lockstep
