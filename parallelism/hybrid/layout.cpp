// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/layout.hpp"

#include <map>

#include "parallelism/pipeline/executor.hpp"
#include "parallelism/pipeline/table.hpp"

namespace lockstep {

bool sums_by_tree(const JobConfig& job) {
  return job.job.determinism == "layout";
}

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

namespace {

// Gradients come to the tree in the order of the micro-batches. With one stage two chunks may share
// a parameter.
bool in_order(const std::vector<Action>& actions, int stages) {
  std::map<int, int> latest;  // micro-batch of each chunk
  for (const Action& a : actions) {
    if (a.kind != ActionKind::backward_weight) continue;
    int& before = latest[stages > 1 ? a.chunk : 0];
    if (a.micro_batch < before) return false;
    before = a.micro_batch;
  }
  return true;
}

void check_order(const PipelineSchedule& schedule) {
  for (const auto& actions : schedule.stages) {
    if (in_order(actions, schedule.shape.stages)) continue;
    throw ConfigError("parallel.schedule = \"" + schedule.name +
                      "\" computes weight gradients of a later micro-batch first, but " +
                      "job.determinism = \"layout\" adds them in their order: use 1f1b, or " +
                      "job.determinism = \"run\"");
  }
}

}  // namespace

PipelineSchedule schedule_of(const JobConfig& job, int stages, std::int64_t micro_batches) {
  const PipelineShape shape{.stages = stages,
                            .micro_batches = static_cast<int>(micro_batches),
                            .chunks = job.parallel.chunks};
  const PipelineSchedule schedule = make_schedule(job.parallel.schedule, shape);
  if (sums_by_tree(job)) check_order(schedule);
  return with_executed_messages(schedule);
}

}  // namespace lockstep
