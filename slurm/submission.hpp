// SPDX-License-Identifier: Apache-2.0
// A job's way into the queue: its script and its resolved job file in the run directory, checked by
// Slurm, submitted once, remembered there.
#pragma once

#include <string>

#include "runtime/config/job_config.hpp"
#include "slurm/script.hpp"

namespace lockstep::slurm {

enum class Action { write, submit };
enum class Existing { refuse, go_on };  // a directory that holds a run already

struct SubmitOptions {
  Action action = Action::submit;
  Existing existing = Existing::refuse;
};

struct Submission {
  std::string job_id;  // empty: only written
  std::string script, output;
};

// What `srun --mpi` calls the way to start ranks of this MPI library.
std::string mpi_type_of(const std::string& library);

// The job with job.run_dir filled in; `library` is what MPI calls itself.
ScriptInputs inputs_of(JobConfig job, const std::string& program, const std::string& work_dir,
                       const std::string& library);

// ConfigError if the job asks for what cannot be, if its directory holds a run or a job that lives;
// SystemError if Slurm refuses or does not answer.
Submission submit(const ScriptInputs& in, const SubmitOptions& options);

// The ids in submissions.jsonl, the oldest first. Pure.
std::vector<std::string> submitted_ids(const std::string& lines);

}  // namespace lockstep::slurm
