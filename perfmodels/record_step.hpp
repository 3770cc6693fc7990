// SPDX-License-Identifier: Apache-2.0
// The step of a job, recorded on the dry device: no memory, no computation, no other ranks.
#pragma once

#include <memory>

#include "collectives/options.hpp"
#include "perfmodels/machine/machine.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

struct StepRecord {
  Recording recording;  // one step of one rank
  MemoryStats memory;   // its peak is that of the rank's tensors
  std::int64_t parameters = 0;
  std::int64_t tokens = 0;      // per rank and step
  std::int64_t job_tokens = 0;  // per step of all ranks
  int ranks = 1;
};

// `job.model.vocabulary` must be set. `ranks` is the size of the job, of which `ranks_per_node`
// share a node (0: all, as long as such nodes exist). Throws ConfigError as the job itself would.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node = 0);
// With collectives that are chosen otherwise than the job says.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node,
                                        const CommunicatorOptions& options);
// On the nodes of a machine, with its number of threads: kernels take their workspace by that.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine);
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine,
                                        const CommunicatorOptions& options);
// How the job will choose its collectives there. Costs a replay of each algorithm, once.
CommunicatorOptions options_on(const Machine& machine, const JobConfig& job, int ranks);

}  // namespace lockstep
