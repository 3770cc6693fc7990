// SPDX-License-Identifier: Apache-2.0
// What a job asks of Slurm, checked before Slurm is asked. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/config/job_config.hpp"

namespace lockstep::slurm {

// "90", "90:30", "1:30:00", "2-12", "2-12:30", "2-12:30:00" in seconds; nothing if it is none of
// them. Slurm reads one number as minutes, two as minutes and seconds, after days as hours.
std::optional<std::int64_t> seconds_of(const std::string& time);

// slurm.memory, such as "64G"; Slurm reads a number alone as MiB. 0: not said, or all of the node.
double memory_bytes_of(const std::string& memory);

// ConfigError if a key of [slurm], or job.name, holds what neither Slurm nor the script could take.
void check_request(const JobConfig& job);

inline int ranks_of(const SlurmSection& slurm) {
  return slurm.nodes * slurm.ranks_per_node;
}
inline int gpus_per_node(const SlurmSection& slurm) {
  return slurm.gpus_per_rank * slurm.ranks_per_node;
}

// job.run_dir, or runs/<job.name>.
std::string run_directory_of(const JobConfig& job);

}  // namespace lockstep::slurm
