// SPDX-License-Identifier: Apache-2.0
// What a cluster has, as `sinfo` tells it, and whether a job asks for more. Pure but for
// ask_cluster().
#pragma once

#include <string>
#include <vector>

#include "runtime/config/job_config.hpp"

namespace lockstep::slurm {

struct Partition {
  std::string name;
  bool preset = false;  // taken when a job names none
  int nodes = 0;
  int cpus_per_node = 0, gpus_per_node = 0;  // of its largest nodes
  std::string longest{};                     // time of a job, as Slurm writes it; "infinite"
};

// The arguments of sinfo, and what it then writes.
std::vector<std::string> cluster_question();
std::vector<Partition> parse_partitions(const std::string& sinfo);

// GPUs in a list of generic resources: "gpu:a100:8(S:0-1),nic:2" has 8.
int count_gpus(const std::string& resources);

// ConfigError that names the key, what is asked, and what there is.
void check_cluster(const SlurmSection& slurm, const std::vector<Partition>& partitions);

// Empty where sinfo does not answer.
std::vector<Partition> ask_cluster();

}  // namespace lockstep::slurm
