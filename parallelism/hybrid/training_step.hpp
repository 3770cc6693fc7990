// SPDX-License-Identifier: Apache-2.0
// One training step on a mesh: forward, backward, reduce, clip, update. launch/train loops over it;
// perfmodels runs it once on the dry device.
//
// It puts the axes together in a fixed order: layers are cut over tensor when they are built,
// stretches of them over pipeline, then the data axis takes over parameters and gradients.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "parallelism/hybrid/stage.hpp"
#include "runtime/data/batch.hpp"
#include "runtime/optim/optimizer.hpp"

namespace lockstep {

struct StepResult {
  double loss = 0;  // nats per token, mean over the global batch
  double grad_norm = 0;
  double comm_seconds = 0;     // the communication worker was busy
  double blocked_seconds = 0;  // of this thread in communication, not hidden by computation
  // The same as the rank saw it that came last to the sums of the step, and how long the average
  // rank waited for that one. On a GPU nobody knows yet when these are made: all is exposed.
  double exposed_comm_seconds = 0;
  std::optional<double> waiting_seconds{};
  bool stop = false;     // some rank asked to stop
  bool applied = false;  // the weights were updated
};

// Means over the tokens of an evaluation.
struct Evaluation {
  double loss = 0;      // nats per token
  double accuracy = 0;  // share of the tokens that are the likeliest by the model

  bool operator==(const Evaluation&) const = default;
};

// What somebody else wants to see of a step, or do to it. None by default.
struct StepHooks {
  std::function<void(Tensor& losses)> losses{};     // of the tokens of a micro-batch
  std::function<void(Parameter&)> gradient{};       // a use was added to it; not yet summed
  std::function<bool(const StepResult&)> accept{};  // the same answer on every rank
};

class TrainingStep {
 public:
  // Builds this rank's part of the model, and what trains it. `mesh` must outlive it. ConfigError
  // for a layout that does not fit, before anything is allocated. Collective.
  TrainingStep(const ModelPlan& plan, const Mesh& mesh, Device& device, const JobConfig& job);

  // `next` yields this data rank's micro-batches in order. A loss or gradients that are not finite
  // are never applied. Collective over the mesh.
  StepResult run(const std::function<HostBatch()>& next, double learning_rate, bool stop_requested);

  void set_hooks(StepHooks hooks) { hooks_ = std::move(hooks); }
  // The passes of the last run once more, with the weights as they are and without an update:
  // `gradient` sees what this rank adds up. The rank's share of the loss. Collective.
  double repeat_passes(const std::function<void(Parameter&)>& gradient);

  // Over the batches [0, count) of `batch`, shared by the data ranks. Collective.
  Evaluation evaluate(const std::function<HostBatch(std::int64_t)>& batch, std::int64_t count);

  // Logits of the token that follows these, the same on every rank; none if some rank asks to stop.
  // Collective.
  std::vector<float> next_logits(const std::vector<std::int32_t>& tokens, bool stop_requested);

  const BatchSplit& split() const { return split_; }
  const std::vector<Parameter*>& parameters() const { return stage_.parameters(); }  // of this rank
  const Stage& stage() const { return stage_; }
  const DataParallel& data() const { return *data_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  // The values of this rank's pieces, the states of its optimizer and their number of steps have
  // been written from outside: all ranks see them now. Collective.
  void take_over(std::int64_t optimizer_steps);
  const PipelineSchedule& schedule() const { return schedule_; }
  const PipelineExecutor& pipeline() const { return pipeline_; }

 private:
  const HostBatch& batch_of(int micro_batch, const std::function<HostBatch()>& next);
  MicroBatch rows_of(const HostBatch& host) const;
  Tensor token_losses(const HostBatch& host, Tensor& logits, float scale);
  void pass_all(const std::function<HostBatch()>& next, Tensor& losses);
  bool acceptable(const StepResult& result) const;
  void update(double learning_rate, const Tensor& norm);
  void leave_out();
  Tensor gradient_norm();
  void sum_over_mesh(Tensor& values);
  void split_blocked(StepResult& result, double before, const Tensor& of_ranks) const;
  Tensor place_of(const Tensor& losses, std::int64_t batch) const;
  double sum_of(const Tensor& losses);

  const Mesh& mesh_;
  Device& device_;
  BatchSplit split_;
  float clip_;
  std::int64_t vocabulary_;
  bool sums_by_tree_;
  PipelineSchedule schedule_;
  Stage stage_;
  PipelineExecutor pipeline_;
  std::unique_ptr<DataParallel> data_;
  std::unique_ptr<Optimizer> optimizer_;
  std::deque<HostBatch> batches_;  // of the last step
  StepHooks hooks_;
};

}  // namespace lockstep
