// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/training_step.hpp"

#include "runtime/base/clock.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/update.hpp"

namespace lockstep {

namespace {

Tensor upload(Device& device, const std::vector<std::int32_t>& values, const Shape& shape) {
  Tensor t = Tensor::empty(device, shape, DType::int32);
  kernels::upload(t, values.data(), t.bytes(), device.compute());
  return t;
}

// This version cuts the batch, not yet the model.
const Mesh& data_parallel_only(const Mesh& mesh) {
  const auto refuse = [](const char* key, int degree) {
    if (degree == 1) return;
    throw ConfigError(std::string(key) + " = " + std::to_string(degree) +
                      " is not available in this version; use 1 and parallel.data");
  };
  refuse("parallel.tensor", mesh.degrees().tensor);
  refuse("parallel.pipeline", mesh.degrees().pipeline);
  return mesh;
}

std::size_t bucket_bytes(const JobConfig& job) {
  return static_cast<std::size_t>(job.parallel.bucket_mb * 1e6);
}

CompressionOptions compression_of(const CollectivesSection& c) {
  return {.method = c.compression, .rank = c.compression_rank, .share = c.compression_share};
}

}  // namespace

TrainingStep::TrainingStep(nn::Sequential& model, const Mesh& mesh, Device& device,
                           const JobConfig& job)
    : model_(model),
      device_(device),
      split_(split_batch(job.batch.global, job.batch.micro, mesh.data().size())),
      clip_(static_cast<float>(job.optimizer.clip)),
      parameters_(parameters_of(model)),
      data_(data_parallel_only(mesh).data()),
      buckets_(parameters_, data_, bucket_bytes(job), compression_of(job.collectives)),
      optimizer_(make_optimizer(job.optimizer, parameters_)) {}

StepResult TrainingStep::run(const std::function<HostBatch()>& next, double learning_rate,
                             bool stop_requested) {
  Stream& compute = device_.compute();
  const double comm_before = device_.communication().busy_seconds();
  Tensor status = Tensor::empty(device_, {2});  // loss, number of ranks that ask to stop
  Tensor loss = status.slice(0, 1), stop = status.slice(1, 2);
  kernels::fill(loss, 0.0f, compute);
  kernels::fill(stop, stop_requested ? 1.0f : 0.0f, compute);

  for (std::int64_t m = 0; m < split_.count; ++m)
    micro_batch(next(), loss, m + 1 == split_.count);
  StepResult result;
  {
    PhaseSpan span(compute, "reduce");
    result.exposed_comm_seconds = buckets_.finish() + sum_over_data(status);
  }
  {
    PhaseSpan span(compute, "update");
    Tensor norm = Tensor::empty(device_, {1}), factor = Tensor::empty(device_, {1});
    kernels::global_norm(norm, buckets_.flat(), compute);
    kernels::clip_factor(factor, norm, clip_, compute);
    optimizer_->step(learning_rate, factor);
    result.grad_norm = read_scalar(norm);
  }
  result.comm_seconds = device_.communication().busy_seconds() - comm_before;
  result.loss = read_scalar(loss);
  result.stop = read_scalar(stop) > 0;
  return result;
}

// Forward and backward of one micro-batch; its gradients are added to the buckets. In the last one
// of a step each gradient is complete as soon as it is ready.
void TrainingStep::micro_batch(const HostBatch& host, Tensor& loss, bool last) {
  Stash stash(Stash::Mode::training, host.first_sample);
  if (last) stash.on_ready([this](Parameter& p) { buckets_.ready(p); });
  const float scale = 1.0f / static_cast<float>(split_.global * host.sequence);
  Tensor logits;
  {
    PhaseSpan span(device_.compute(), "forward");
    const Tensor losses = losses_of(host, stash, logits, scale);
    kernels::add_scaled_sum(loss, losses, scale, device_.compute());
  }
  PhaseSpan span(device_.compute(), "backward");
  model_.backward_input(std::move(logits), stash);
}

// The loss of each token; `logits` then hold scale times their gradient.
Tensor TrainingStep::losses_of(const HostBatch& host, Stash& stash, Tensor& logits, float scale) {
  const Shape shape{host.batch, host.sequence};
  logits = model_.forward(upload(device_, host.tokens, shape), stash);
  const Tensor targets = upload(device_, host.targets, shape);
  Tensor losses = Tensor::empty(device_, {shape.count()});
  kernels::cross_entropy(losses, logits, targets, scale, device_.compute());
  return losses;
}

double TrainingStep::evaluate(const std::function<HostBatch(std::int64_t)>& batch,
                              std::int64_t count) {
  PhaseSpan span(device_.compute(), "evaluate");
  Tensor loss = Tensor::empty(device_, {1});
  kernels::fill(loss, 0.0f, device_.compute());
  for (std::int64_t k = data_.rank(); k < count; k += data_.size()) {
    const HostBatch host = batch(k);
    Stash stash(Stash::Mode::inference);
    Tensor logits;
    const Tensor losses = losses_of(host, stash, logits, 1.0f);
    const float share = 1.0f / static_cast<float>(count * host.batch * host.sequence);
    kernels::add_scaled_sum(loss, losses, share, device_.compute());
  }
  sum_over_data(loss);
  return read_scalar(loss);
}

double TrainingStep::sum_over_data(Tensor& values) {
  const double begin = now();
  data_.all_reduce(values, ReduceOp::sum).wait();
  return now() - begin;
}

}  // namespace lockstep
