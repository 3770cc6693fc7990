// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/layout.hpp"

#include "parallelism/pipeline/executor.hpp"
#include "parallelism/pipeline/table.hpp"

namespace lockstep {

TensorGroup tensor_group_of(const Communicator& ranks, const JobConfig& job) {
  return {ranks,
          job.parallel.sequence_parallel ? TensorGroup::Rows::shared : TensorGroup::Rows::all};
}

Recompute recompute_of(const JobConfig& job) {
  if (job.parallel.recompute == "full") return Recompute::full;
  return job.parallel.recompute == "selective" ? Recompute::selective : Recompute::none;
}

MicroBatch micro_batch_of(std::int64_t first_sample, std::int64_t samples, std::int64_t tokens,
                          const TensorGroup& tensor) {
  const Range rows = tensor.rows_of(samples * tokens);
  return {.first_sample = first_sample,
          .samples = samples,
          .tokens = tokens,
          .first_row = rows.begin,
          .rows = rows.count()};
}

PipelineSchedule schedule_of(const JobConfig& job, int stages, std::int64_t micro_batches) {
  const PipelineShape shape{.stages = stages,
                            .micro_batches = static_cast<int>(micro_batches),
                            .chunks = job.parallel.chunks};
  return with_executed_messages(make_schedule(job.parallel.schedule, shape));
}

}  // namespace lockstep
