// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/record_step.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <omp.h>

#include "models/numerics.hpp"
#include "models/registry.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "parallelism/pipeline/check.hpp"
#include "parallelism/pipeline/partition.hpp"
#include "perfmodels/cost_table.hpp"
#include "perfmodels/software.hpp"
#include "perfmodels/stage_segments.hpp"

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

// What makes two stages different: their layers, and which of their weight gradients wait.
using RoleKey = std::vector<std::int64_t>;

void append_layers(RoleKey& key, const std::vector<LayerSurvey>& layers, int first, int end) {
  for (int i = first; i < end; ++i) {
    const LayerSurvey& layer = layers[static_cast<std::size_t>(i)];
    key.push_back(std::llround(layer.cost));
    key.push_back(layer.columns);
    key.push_back(static_cast<std::int64_t>(layer.parameters.size()));
  }
  key.push_back(-1);
}

void append_delays(RoleKey& key, const std::vector<Action>& actions) {
  std::int64_t at_once = 0, delayed = 0;
  for (std::size_t i = 0; i < actions.size(); ++i) {
    if (actions[i].kind == ActionKind::backward_weight)
      ++(weights_at_once(actions, i) ? at_once : delayed);
  }
  key.push_back(at_once > 0);
  key.push_back(delayed > 0);
}

// Of the whole tensor group, each once; tied ones on the first stage.
std::int64_t model_elements(const TrainingStep& step) {
  std::int64_t count = 0;
  for (const Parameter* p : step.parameters()) {
    if (!step.stage().speaks_for(*p)) continue;
    count += p->part.whole() ? p->value.count() : p->part.full.count();
  }
  return count;
}

class Recorder {
 public:
  Recorder(const JobConfig& job, int ranks, int ranks_per_node, const CommunicatorOptions& options)
      : degrees_(resolve({job.parallel.data, job.parallel.tensor, job.parallel.pipeline}, ranks)),
        job_(as_its_software_sums(job, degrees_)),
        ranks_(ranks),
        ranks_per_node_(ranks_per_node),
        options_(options),
        plan_(plan_model(job.model)) {}

  std::unique_ptr<StepRecord> run() {
    auto record = std::make_unique<StepRecord>();
    record->ranks = ranks_;
    record->degrees = degrees_;
    record->messages = messages_of(job_);
    record_stage(0, *record, record.get());
    for (const int stage : find_roles(*record))
      record_stage(stage, record->others.emplace_back(), nullptr);
    for (const int role : record->role_of)
      record->job_parameters += record->role(role).model_parameters;
    return record;
  }

 private:
  // Gives every stage its role, and returns the stages to be recorded beside the first: of each
  // role that which holds most.
  std::vector<int> find_roles(StepRecord& record) const {
    const PipelineShape& shape = record.schedule.shape;
    record.role_of.assign(static_cast<std::size_t>(shape.stages), 0);
    if (shape.stages == 1) return {};
    const std::vector<RoleKey> keys = role_keys(record);
    const ScheduleReport report = check(record.schedule);
    const auto held = [&](int stage) {
      const auto at = static_cast<std::size_t>(stage);
      return std::pair(report.peak_stored[at], report.peak_waiting[at]);
    };
    std::vector<int> recorded;
    std::map<RoleKey, int> numbers{{keys.front(), 0}};
    for (int s = 1; s < shape.stages; ++s) {
      const auto at = static_cast<std::size_t>(s);
      const auto [role, fresh] = numbers.emplace(keys[at], static_cast<int>(numbers.size()));
      record.role_of[at] = role->second;
      if (fresh) recorded.push_back(s);
      if (role->second == 0) continue;
      int& kept = recorded[static_cast<std::size_t>(role->second) - 1];
      if (held(s) > held(kept)) kept = s;
    }
    return recorded;
  }

  std::vector<RoleKey> role_keys(const StepRecord& record) const {
    const PipelineShape& shape = record.schedule.shape;
    const BatchSplit split = split_batch(job_.batch.global, job_.batch.micro, record.degrees.data);
    const auto layers = survey(plan_, job_, record.degrees.tensor, split.micro);
    const std::vector<int> cuts = cut_layers(layers, shape.parts(), cut_of(job_));
    std::vector<RoleKey> keys(static_cast<std::size_t>(shape.stages));
    for (int part = 0; part < shape.parts(); ++part) {
      const auto at = static_cast<std::size_t>(part);
      append_layers(keys[at % keys.size()], layers, cuts[at], cuts[at + 1]);
    }
    for (std::size_t s = 0; s < keys.size(); ++s)
      append_delays(keys[s], record.schedule.stages[s]);
    return keys;
  }

  // `whole`: what is the same for all stages, if it is wanted.
  void record_stage(int stage, RoleRecord& role, StepRecord* whole) const {
    const DryPolicy policy = policy_of(job_);
    const auto device = make_dry_device(policy);
    if (!policy.separate) device->compute_in(numerics_of(job_));
    const int rank = rank_at({.pipeline = stage}, degrees_);
    const auto world = Communicator::dry(*device, ranks_, rank, options_, ranks_per_node_);
    const Mesh mesh(world, degrees_);
    TrainingStep step(plan_, mesh, *device, job_);
    const BatchSplit& split = step.split();
    device->record_into(&role.recording);
    step.run(
        [&] {
          HostBatch shape;  // the dry device looks at no token
          shape.batch = split.micro;
          shape.sequence = job_.model.sequence;
          return shape;
        },
        0.0, false);
    device->record_into(nullptr);
    role.stage = stage;
    role.memory = device->memory();
    role.parameters = count_elements(step.parameters());
    role.model_parameters = model_elements(step);
    if (!whole) return;
    whole->tokens = split.micro * split.count * job_.model.sequence;
    whole->job_tokens = job_.batch.global * job_.model.sequence;
    whole->schedule = step.schedule();
  }

  MeshDegrees degrees_;
  JobConfig job_;
  int ranks_, ranks_per_node_;
  const CommunicatorOptions& options_;
  ModelPlan plan_;
};

}  // namespace

double model_flops(const StepRecord& record) {
  std::vector<double> of_role;
  for (int role = 0; role < record.num_roles(); ++role)
    of_role.push_back(model_flops(record.role(role).recording));
  double flops = 0;
  for (const int role : record.role_of)
    flops += of_role[static_cast<std::size_t>(role)];
  return flops / static_cast<double>(record.role_of.size());
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node) {
  return record_step(job, ranks, ranks_per_node, communicator_options(job, ranks));
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, int ranks_per_node,
                                        const CommunicatorOptions& options) {
  return Recorder(job, ranks, ranks_per_node, options).run();
}

namespace {

// Who serves `auto` among GPUs (collectives/backends/gpu.hpp): NCCL, unless they were found to be
// shared, when nothing was measured of it.
std::string usual_backend(const Machine& machine) {
  const auto& curves = machine.collectives;
  const bool any = std::any_of(curves.begin(), curves.end(),
                               [](const CollectiveCurve& c) { return c.label == "nccl"; });
  return any || curves.empty() ? "nccl" : "mpi";
}

// GPUs take nothing of what ranks of CPUs measure at their start.
CommunicatorOptions options_on_gpus(const Machine& machine, const JobConfig& job, int ranks) {
  CommunicatorOptions options = job.collectives.machine.empty()
                                    ? communicator_options(job, machine, ranks)
                                    : communicator_options(job, ranks);
  if (options.backend == "auto") options.backend = usual_backend(machine);
  return options;
}

}  // namespace

CommunicatorOptions options_on(const Machine& machine, const JobConfig& job, int ranks) {
  if (machine.device == "cuda" && job.job.device != "cpu")
    return options_on_gpus(machine, job, ranks);
  // On a machine that nobody has measured the job will choose by what it finds there.
  const bool as_here = machine.calibrated || !job.collectives.machine.empty();
  return as_here ? communicator_options(job, ranks) : communicator_options(job, machine, ranks);
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine) {
  const ParallelSection& p = job.parallel;
  expect_runnable(job, resolve({p.data, p.tensor, p.pipeline}, ranks));
  return record_step(job, ranks, machine, options_on(machine, job, ranks));
}

std::unique_ptr<StepRecord> record_step(const JobConfig& job, int ranks, const Machine& machine,
                                        const CommunicatorOptions& options) {
  const ThreadsOf threads(job.job.threads > 0 ? job.job.threads : machine.threads_per_device);
  return record_step(job, ranks, machine.devices_per_node, options);
}

}  // namespace lockstep
