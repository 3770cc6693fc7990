// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/record_step.hpp"

#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "perfmodels/cost_table.hpp"

namespace lockstep {

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node) {
  return record_step(job, ranks, ranks_per_node, communicator_options(job, ranks));
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node,
                                        const CommunicatorOptions& options) {
  auto record = std::make_unique<StepRecord>();
  const auto device = make_dry_device();
  const auto world = Communicator::dry(*device, ranks, 0, options, ranks_per_node);
  const Mesh mesh(world, {job.parallel.data, job.parallel.tensor, job.parallel.pipeline});
  const auto model = make_model(job.model, *device, static_cast<std::uint64_t>(job.job.seed));
  TrainingStep step(*model, mesh, *device, job);

  device->record_into(&record->recording);
  const BatchSplit& split = step.split();
  step.run(
      [&] {
        HostBatch shape;  // the dry device looks at no token
        shape.batch = split.micro;
        shape.sequence = job.model.sequence;
        return shape;
      },
      0.0, false);
  device->record_into(nullptr);

  record->memory = device->memory();
  record->parameters = count_elements(step.parameters());
  record->tokens = split.micro * split.count * job.model.sequence;
  record->job_tokens = job.batch.global * job.model.sequence;
  record->ranks = ranks;
  return record;
}

}  // namespace lockstep
