// SPDX-License-Identifier: Apache-2.0
// How the ranks of a point are started. Pure but for the search in PATH and the question to srun.
#pragma once

#include <string>
#include <vector>

#include "launch/experiment/file.hpp"

namespace lockstep {

struct LaunchPlan {
  std::string launcher;            // mpirun, srun
  std::vector<std::string> words;  // more for it
  std::string lockstep;            // the executable
  int ranks_per_node = 1;
};

// ConfigError if the launcher of the experiment is not installed.
void expect_launcher(const ExperimentFile& experiment);

// More words for the launcher: those of the experiment and, for srun, how MPI is spoken to where
// they do not say it and Slurm knows it.
std::vector<std::string> launch_words(const ExperimentFile& experiment);

// mpirun -np 2 ... lockstep train JOB; with srun --ntasks and --nodes.
std::vector<std::string> command_of(const LaunchPlan& plan, int ranks, const std::string& job);

int nodes_of(int ranks, int ranks_per_node);

// A command as one types it: quoted where a shell would not leave a word alone.
std::string shell_text(const std::vector<std::string>& words);

}  // namespace lockstep
