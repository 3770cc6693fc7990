// SPDX-License-Identifier: Apache-2.0
// The batch script of a job: what it asks for, its environment, how the ranks start, and what
// happens when Slurm wants its nodes back. A function of its inputs, so that whole scripts are
// compared in tests without a Slurm.
#pragma once

#include <string>

#include "runtime/config/job_config.hpp"

namespace lockstep::slurm {

struct ScriptInputs {
  JobConfig job;
  std::string run_dir;   // as the job sees it
  std::string work_dir;  // where it was submitted: relative paths of the job file start there
  std::string program;   // lockstep
  std::string mpi_type;  // what slurm.mpi = "auto" stands for
};

// Names of what stands in the run directory for Slurm.
inline constexpr const char* kScriptName = "submit.sbatch";
inline constexpr const char* kJobName = "submit.toml";  // resolved, so that it cannot change
inline constexpr const char* kSubmissions = "submissions.jsonl";  // one line for each job id
inline constexpr const char* kRestarts = "restarts.jsonl";        // what the jobs went through

std::string batch_script(const ScriptInputs& in);

// Its parts.
std::string directives(const ScriptInputs& in);  // the #SBATCH lines
std::string supervision(const SlurmSection& slurm);

// The pattern of --output: %j is the id of the job.
std::string output_pattern(const ScriptInputs& in);

}  // namespace lockstep::slurm
