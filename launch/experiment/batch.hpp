// SPDX-License-Identifier: Apache-2.0
// An experiment on a Slurm cluster: one batch job for each repetition (allocation = "point"), or
// one for the whole experiment, in which it goes on with srun (allocation = "one"). Nothing is
// submitted twice: what is in the queue is known from the run directories, and waited for.
#pragma once

#include "launch/experiment/run.hpp"

namespace lockstep {

// Submits what is missing, waits until it has ended, and adds its rows. The exit status as of
// run_missing(); the jobs stay in the queue when a signal stops the waiting.
int run_as_jobs(const ExperimentRun& run, ExperimentFolder& folder);

// Submits one job that runs the experiment itself. `words`: how it is to be called.
int run_in_one_job(const ExperimentRun& run, const std::string& dir,
                   const std::vector<std::string>& words);

}  // namespace lockstep
