// SPDX-License-Identifier: Apache-2.0
// `lockstep train JOB --ranks P --restarts N` without a launcher: starts the ranks itself, and
// again from the last checkpoint when they fail. Nothing of a failed life is left in memory: a rank
// that was lost, stopped or stuck is gone before the next life begins.
//
//   ends with     it ends as well: 0, 2 (the user can fix it), 128 + SIGINT, SIGTERM or SIGUSR1
//   starts again  any other status, up to N times, with --resume and LOCKSTEP_RESTART = 1, 2, ...
#pragma once

#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep {

struct Supervision {
  std::vector<std::string> arguments;  // of `lockstep`, for a rank
  bool resume = false;                 // the first life as well
  int ranks = 1, restarts = 0;
  // A life that comes no farther than those before it is followed by one on fewer ranks, but not
  // below these; 0: never.
  int least_ranks = 0;
  std::string launcher;  // words; "{ranks}" stands for the number
};

int supervise(const JobConfig& job, const Supervision& with);  // the exit status

// The largest number of ranks below `ranks` that the job's layout allows, with another degree of
// data; 0 if there is none from `least` on. Pure.
int fewer_ranks(const JobConfig& job, int ranks, int least);

}  // namespace lockstep
