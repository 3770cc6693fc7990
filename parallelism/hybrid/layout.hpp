// SPDX-License-Identifier: Apache-2.0
// How a job is laid out on a mesh: keys of the job as types.
#pragma once

#include "parallelism/mesh/mesh.hpp"
#include "parallelism/model_plan.hpp"
#include "parallelism/pipeline/schedule.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/data/batch.hpp"

namespace lockstep {

// job.determinism = "layout": sums do not depend on the degrees of data and pipeline.
bool sums_by_tree(const JobConfig& job);

TensorGroup tensor_group_of(const Communicator& ranks, const JobConfig& job);
Recompute recompute_of(const JobConfig& job);
MicroBatch micro_batch_of(std::int64_t first_sample, std::int64_t samples, std::int64_t tokens,
                          const TensorGroup& tensor);

// The schedule of the job for so many stages and micro-batches, messages included. ConfigError with
// the values that would work.
PipelineSchedule schedule_of(const JobConfig& job, int stages, std::int64_t micro_batches);

}  // namespace lockstep
