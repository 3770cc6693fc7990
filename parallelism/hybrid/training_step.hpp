// SPDX-License-Identifier: Apache-2.0
// One training step on a mesh: forward, backward, reduce, clip, update. launch/train loops over it;
// perfmodels runs it once on the dry device.
#pragma once

#include <functional>
#include <memory>

#include "parallelism/data/gradient_buckets.hpp"
#include "parallelism/mesh/mesh.hpp"
#include "runtime/config/job_config.hpp"
#include "runtime/data/batch.hpp"
#include "runtime/nn/sequential.hpp"
#include "runtime/optim/optimizer.hpp"

namespace lockstep {

struct StepResult {
  double loss = 0;  // nats per token, mean over the global batch
  double grad_norm = 0;
  double exposed_comm_seconds = 0;  // of this thread in communication, not hidden by computation
  double comm_seconds = 0;          // the communication worker was busy
  bool stop = false;                // some rank asked to stop
};

class TrainingStep {
 public:
  // Lays the gradients out and makes the optimizer. `model` and `mesh` must outlive it.
  TrainingStep(nn::Sequential& model, const Mesh& mesh, Device& device, const JobConfig& job);

  // `next` yields this rank's micro-batches in order. Collective over the mesh.
  StepResult run(const std::function<HostBatch()>& next, double learning_rate, bool stop_requested);

  // Mean loss over the batches [0, count) of `batch`, shared by the data ranks. Collective.
  double evaluate(const std::function<HostBatch(std::int64_t)>& batch, std::int64_t count);

  const BatchSplit& split() const { return split_; }
  const std::vector<Parameter*>& parameters() const { return parameters_; }

 private:
  void micro_batch(const HostBatch& host, Tensor& loss, bool last);
  Tensor losses_of(const HostBatch& host, Stash& stash, Tensor& logits, float scale);
  double sum_over_data(Tensor& values);  // seconds that it took

  nn::Sequential& model_;
  Device& device_;
  BatchSplit split_;
  float clip_;
  std::vector<Parameter*> parameters_;
  Communicator data_;
  GradientBuckets buckets_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace lockstep
