// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/record_step.hpp"

#include <omp.h>

#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "perfmodels/cost_table.hpp"

namespace lockstep {

namespace {

class ThreadsOf {
 public:
  explicit ThreadsOf(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadsOf() { omp_set_num_threads(before_); }
  ThreadsOf(const ThreadsOf&) = delete;
  ThreadsOf& operator=(const ThreadsOf&) = delete;

 private:
  int before_;
};

}  // namespace

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node) {
  return record_step(job, ranks, ranks_per_node, communicator_options(job, ranks));
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node,
                                        const CommunicatorOptions& options) {
  auto record = std::make_unique<StepRecord>();
  const auto device = make_dry_device();
  const auto world = Communicator::dry(*device, ranks, 0, options, ranks_per_node);
  const Mesh mesh(world, {job.parallel.data, job.parallel.tensor, job.parallel.pipeline});
  TrainingStep step(plan_model(job.model), mesh, *device, job);

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

CommunicatorOptions options_on(const Machine& machine, const JobConfig& job, int ranks) {
  // On a machine that nobody has measured the job will choose by what it finds there.
  const bool as_here = machine.calibrated || !job.collectives.machine.empty();
  return as_here ? communicator_options(job, ranks) : communicator_options(job, machine, ranks);
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine) {
  return record_step(job, ranks, machine, options_on(machine, job, ranks));
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine,
                                        const CommunicatorOptions& options) {
  const ThreadsOf threads(job.job.threads > 0 ? job.job.threads : machine.threads_per_device);
  return record_step(job, ranks, machine.devices_per_node, options);
}

}  // namespace lockstep
