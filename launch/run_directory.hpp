// SPDX-License-Identifier: Apache-2.0
// The directory of a run: job.toml (resolved), metrics.jsonl, trace.json.
#pragma once

#include <string>

#include "runtime/config/job_config.hpp"

namespace lockstep {

// job.run_dir, which must not hold a run already, or else runs/<name>, runs/<name>-2, ... whichever
// is free. Makes it and writes job.toml; leaves nothing behind when that fails. Rank 0 only.
std::string make_run_directory(const JobConfig& job);

// The same directory for a run that goes on: without a number, made if it is not there. Rank 0
// only.
std::string find_run_directory(const JobConfig& job);
// Writes the job as it is now into the directory of a run that goes on.
void write_job(const std::string& run_dir, const JobConfig& job);

// ConfigError where the run came to its end and has no checkpoint: nothing is left to go on from,
// and to begin anew would take its metrics away.
void expect_goes_on(const std::string& run_dir);

}  // namespace lockstep
