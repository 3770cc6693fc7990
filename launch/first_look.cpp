// SPDX-License-Identifier: Apache-2.0
#include "launch/first_look.hpp"

#include <algorithm>
#include <filesystem>

#include "launch/prediction.hpp"
#include "perfmodels/record_step.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/format.hpp"
#include "runtime/failures/faults.hpp"
#include "slurm/request.hpp"

namespace lockstep {

namespace {

// A login node need not see what the nodes see.
std::vector<std::string> not_here(const DataSection& data) {
  std::vector<std::string> warnings;
  for (const auto* paths : {&data.path, &data.validation_path}) {
    for (const std::string& path : *paths) {
      std::error_code unknown;
      if (std::filesystem::exists(path, unknown)) continue;
      warnings.push_back("data " + path +
                         " is not on this node: the job ends as it begins unless its nodes see it");
    }
  }
  return warnings;
}

double bytes_per_rank(const JobConfig& job) {
  const auto record =
      record_step(job, slurm::ranks_of(job.slurm), std::max(job.slurm.ranks_per_node, 1));
  std::size_t most = 0;
  for (int role = 0; role < record->num_roles(); ++role)
    most = std::max(most, record->role(role).memory.peak);
  return static_cast<double>(most);
}

void expect_room(const SlurmSection& slurm, double bytes) {
  const double asked = slurm::memory_bytes_of(slurm.memory), least = bytes * slurm.ranks_per_node;
  if (slurm.gpus_per_rank > 0 || asked == 0 || least <= asked) return;
  throw ConfigError("slurm.memory = \"" + slurm.memory + "\" is too little: the tensors of " +
                    format("%d ranks take %.0f MB", slurm.ranks_per_node, 1e-6 * least) +
                    "; ask for more, or spread the job over more ranks");
}

}  // namespace

void expect_trainable(const JobConfig& job) {
  if (job.job.software == "lockstep") return;
  throw ConfigError("job.software = \"" + job.job.software +
                    "\" is for predictions; what trains is lockstep");
}

FirstLook look_at(JobConfig job) {
  if (job.job.device != "dry") expect_trainable(job);
  const Faults must_be_readable(job.faults.inject, 0, slurm::ranks_of(job.slurm), 0);

  FirstLook look{.warnings = not_here(job.data)};
  if (job.checkpoint.every == 0 && job.slurm.requeue != "off") {
    look.warnings.push_back(
        "checkpoint.every = 0: nothing is saved when the time is up or the job is preempted, and "
        "it begins anew when it comes back; set checkpoint.every, or slurm.requeue = \"off\"");
  }
  const bool data_says = job.model.vocabulary == 0 && job.data.kind == "tokens";
  if (data_says && !not_here(job.data).empty()) return look;
  job.model.vocabulary = vocabulary_of(job);
  look.bytes_per_rank = bytes_per_rank(job);
  expect_room(job.slurm, look.bytes_per_rank);
  return look;
}

}  // namespace lockstep
