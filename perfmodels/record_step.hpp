// SPDX-License-Identifier: Apache-2.0
// The step of a job, recorded on the dry device: no memory, no computation, no other ranks.
//
// Ranks of a tensor or data group do the same. Of a pipeline, stages with the same layers do: each
// such role is recorded once, on the stage of it that keeps most micro-batches, and the others are
// put together from its passes (stage_segments.hpp).
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "collectives/options.hpp"
#include "parallelism/mesh/degrees.hpp"
#include "parallelism/pipeline/schedule.hpp"
#include "perfmodels/machine/machine.hpp"
#include "perfmodels/message_time.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/device/device.hpp"

namespace lockstep {

// What one rank does.
struct RoleRecord {
  int stage = 0;                      // that it was recorded on
  Recording recording{};              // one step of one rank
  MemoryStats memory{};               // its peak is that of the rank's tensors
  std::int64_t parameters = 0;        // of this rank
  std::int64_t model_parameters = 0;  // of its tensor group, each once
};

// The first stage, and the other roles of the pipeline.
struct StepRecord : RoleRecord {
  std::int64_t tokens = 0;          // per data rank and step
  std::int64_t job_tokens = 0;      // per step of all ranks
  std::int64_t job_parameters = 0;  // of the whole model
  int ranks = 1;
  MeshDegrees degrees{1, 1, 1};
  PipelineSchedule schedule{};
  MessageKind messages{};  // between its stages
  std::deque<RoleRecord> others{};
  std::vector<int> role_of{};  // of each stage: 0 is this, 1 the first of the others

  int num_roles() const { return 1 + static_cast<int>(others.size()); }
  const RoleRecord& role(int number) const {
    return number == 0 ? *this : others[static_cast<std::size_t>(number) - 1];
  }
};

// FLOPs of the model in a step, per rank: the mean over the stages.
double model_flops(const StepRecord& record);

// `job.model.vocabulary` must be set. `ranks` is the size of the job, of which `ranks_per_node`
// share a node (0: all, as long as such nodes exist). Throws ConfigError as the job itself would.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node = 0);
// With collectives that are chosen otherwise than the job says.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node,
                                        const CommunicatorOptions& options);
// On the nodes of a machine (ConfigError also for what the job's software cannot run), with its
// number of threads: kernels take their workspace by that.
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine);
std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine,
                                        const CommunicatorOptions& options);
// How the job will choose its collectives there. Costs a replay of each algorithm, once.
CommunicatorOptions options_on(const Machine& machine, const JobConfig& job, int ranks);

}  // namespace lockstep
