// SPDX-License-Identifier: Apache-2.0
#include "parallelism/hybrid/training_step.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "parallelism/hybrid/layout.hpp"
#include "parallelism/tensor/vocabulary_loss.hpp"
#include "runtime/kernels/cross_entropy.hpp"
#include "runtime/kernels/elementwise.hpp"
#include "runtime/kernels/update.hpp"
#include "runtime/tensor/transfer.hpp"

namespace lockstep {

namespace {

Tensor upload(Device& device, const std::vector<std::int32_t>& values, const Shape& shape) {
  Tensor t = Tensor::empty(device, shape, DType::int32);
  kernels::upload(t, values.data(), t.bytes(), device.compute());
  return t;
}

CompressionOptions compression_of(const JobConfig& job) {
  const CollectivesSection& c = job.collectives;
  if (job.failures.nonfinite == "skip" && find_compression(c.compression).delays) {
    throw ConfigError("failures.nonfinite = \"skip\" leaves steps out, but " +
                      std::string("collectives.compression = \"") + c.compression +
                      "\" keeps what they lost: use \"stop\", or another compression");
  }
  return {.method = c.compression, .rank = c.compression_rank, .share = c.compression_share};
}

DataParallelOptions data_options(const JobConfig& job, const BatchSplit& split,
                                 std::vector<EarlierSum> earlier,
                                 const std::vector<Action>& actions) {
  return {.zero = job.parallel.zero,
          .bucket_bytes = static_cast<std::size_t>(job.parallel.bucket_mb * 1e6),
          .compression = compression_of(job),
          .micro_batches = split.count,
          .earlier_sums = std::move(earlier),
          .deferred = defers_weight_gradients(actions),
          .order = sums_by_tree(job) ? GradientOrder::tree : GradientOrder::of_layout};
}

std::size_t stage_index(const Mesh& mesh) {
  return static_cast<std::size_t>(mesh.pipeline().rank());
}

std::vector<UpdatePiece> update_pieces(const DataParallel& data) {
  std::vector<UpdatePiece> pieces;
  for (const Piece& p : data.pieces())
    pieces.push_back({p.value, p.grad, p.parameter->decays});
  return pieces;
}

}  // namespace

TrainingStep::TrainingStep(const ModelPlan& plan, const Mesh& mesh, Device& device,
                           const JobConfig& job)
    : mesh_(mesh),
      device_(device),
      split_(split_batch(job.batch.global, job.batch.micro, mesh.data().size())),
      clip_(static_cast<float>(job.optimizer.clip)),
      vocabulary_(plan.vocabulary),
      sums_by_tree_(sums_by_tree(job)),
      schedule_(schedule_of(job, mesh.pipeline().size(), split_.count)),
      stage_(plan, mesh, device, job, split_.micro),
      pipeline_(stage_.chunks(), mesh.pipeline(), device),
      data_(make_data_parallel(
          stage_.layer_parameters(), mesh.data(),
          data_options(job, split_, stage_.earlier_sums(), schedule_.stages[stage_index(mesh)]))),
      optimizer_(make_optimizer(job.optimizer, update_pieces(*data_))) {
  for (const auto& chunk : stage_.layers())
    chunk->watch(data_->watcher());
}

StepResult TrainingStep::run(const std::function<HostBatch()>& next, double learning_rate,
                             bool stop_requested) {
  Stream& compute = device_.compute();
  const double busy_before = device_.communication_busy_seconds();
  const double blocked_before = device_.communication_exposed_seconds();
  const std::int64_t num_losses = sums_by_tree_ ? split_.data * split_.count : 1;
  const std::int64_t ranks = mesh_.world().size(), me = mesh_.world().rank();
  Tensor status = Tensor::empty(device_, {num_losses + 1 + ranks});
  Tensor losses = status.slice(0, num_losses), stop = status.slice(num_losses, num_losses + 1);
  Tensor blocked = status.slice(num_losses + 1, num_losses + 1 + ranks);  // each by its rank
  kernels::fill(status, 0.0f, compute);
  if (stop_requested) kernels::fill(stop, 1.0f, compute);

  batches_.clear();
  pass_all(next, losses);
  StepResult result;
  {
    PhaseSpan span(compute, "reduce");
    data_->finish();
    result.blocked_seconds = device_.communication_exposed_seconds() - blocked_before;
    Tensor mine = blocked.slice(me, me + 1);
    kernels::fill(mine, static_cast<float>(result.blocked_seconds), compute);
    sum_over_mesh(status);
  }
  {
    PhaseSpan span(compute, "update");
    const Tensor norm = gradient_norm();
    result.grad_norm = read_scalar(norm);
    result.loss = sum_of(losses);
    result.stop = read_scalar(stop) > 0;  // all that is read is, before a GPU has the update to do
    result.applied = acceptable(result);
    result.applied ? update(learning_rate, norm) : leave_out();
  }
  result.comm_seconds = device_.communication_busy_seconds() - busy_before;
  split_blocked(result, blocked_before, blocked);
  return result;
}

// Until the sums of the step all ranks were blocked for the same communication: who was so for the
// least time came last.
void TrainingStep::split_blocked(StepResult& result, double before, const Tensor& of_ranks) const {
  const double own = result.blocked_seconds;
  result.blocked_seconds = device_.communication_exposed_seconds() - before;
  result.exposed_comm_seconds = result.blocked_seconds;
  if (device_.kind() != DeviceKind::cpu) return;
  const std::vector<float> all = read_floats(of_ranks);
  const double least = *std::min_element(all.begin(), all.end());
  const double sum = std::accumulate(all.begin(), all.end(), 0.0);
  result.exposed_comm_seconds += least - own;
  result.waiting_seconds = sum / static_cast<double>(all.size()) - least;
}

// Forward and backward of all micro-batches, in the order of the schedule.
void TrainingStep::pass_all(const std::function<HostBatch()>& next, Tensor& losses) {
  const float scale = 1.0f / static_cast<float>(split_.global * batch_of(0, next).sequence);
  // Every tensor rank has the same losses: the first one counts them.
  const float counted = mesh_.tensor().rank() == 0 ? scale : 0.0f;
  const PipelineEnds ends{
      .batch = [&](int m) { return rows_of(batch_of(m, next)); },
      .tokens =
          [&](int m) {
            const HostBatch& host = batch_of(m, next);
            return upload(device_, host.tokens, {host.batch, host.sequence});
          },
      .loss =
          [&](int m, Tensor logits) {
            Tensor of_tokens = token_losses(batch_of(m, next), logits, scale);
            if (hooks_.losses) hooks_.losses(of_tokens);
            Tensor loss = place_of(losses, mesh_.data().rank() * split_.count + m);
            kernels::add_scaled_sum(loss, of_tokens, counted, device_.compute());
            return logits;
          },
      .ready =
          [this](Parameter& p) {
            if (hooks_.gradient) hooks_.gradient(p);
            data_->ready(p);
          },
  };
  pipeline_.run(schedule_.stages[stage_index(mesh_)], schedule_.shape, ends);
}

// All ranks have the same loss and norm.
bool TrainingStep::acceptable(const StepResult& result) const {
  const bool finite = std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  const bool wanted = !hooks_.accept || hooks_.accept(result);
  return finite && wanted;
}

void TrainingStep::leave_out() {
  for (const Piece& piece : data_->pieces()) {
    Tensor grad = piece.grad;
    kernels::fill(grad, 0.0f, device_.compute());
  }
}

double TrainingStep::repeat_passes(const std::function<void(Parameter&)>& gradient) {
  Tensor losses = Tensor::empty(device_, {sums_by_tree_ ? split_.data * split_.count : 1});
  kernels::fill(losses, 0.0f, device_.compute());
  const auto none = []() -> HostBatch { throw LogicError("the batches of the step are kept"); };
  const auto usual = hooks_.gradient;
  hooks_.gradient = [&](Parameter& p) {
    if (usual) usual(p);  // a fault on purpose is there again
    gradient(p);
  };
  pass_all(none, losses);
  hooks_.gradient = usual;
  data_->finish();
  leave_out();
  return sum_of(losses);
}

void TrainingStep::update(double learning_rate, const Tensor& norm) {
  Tensor factor = Tensor::empty(device_, {1});
  kernels::clip_factor(factor, norm, clip_, device_.compute());
  optimizer_->step(learning_rate, factor);
  data_->publish();
}

// Over all axes. The squares of each parameter are summed apart and all of them in the order of the
// model: so a pipeline gives the bits of a single stage.
Tensor TrainingStep::gradient_norm() {
  Stream& compute = device_.compute();
  const Tensor none = Tensor::empty(device_, {0});
  std::vector<Tensor> gradients(static_cast<std::size_t>(stage_.num_model_parameters()), none);
  const bool counts = data_->shards() || mesh_.data().rank() == 0;
  for (const Piece& piece : data_->pieces()) {
    if (counts && stage_.speaks_for(*piece.parameter))
      gradients[static_cast<std::size_t>(stage_.index_of(*piece.parameter))] = piece.grad;
  }
  Tensor sums = Tensor::empty(device_, {stage_.num_model_parameters()}, DType::float64);
  kernels::squared_sums(sums, gradients, compute);
  sum_over_mesh(sums);
  Tensor norm = Tensor::empty(device_, {1});
  kernels::norm_of(norm, sums, compute);
  return norm;
}

// The micro-batches of a step are read in order, and kept: a pipeline comes back to them.
const HostBatch& TrainingStep::batch_of(int micro_batch, const std::function<HostBatch()>& next) {
  while (batches_.size() <= static_cast<std::size_t>(micro_batch))
    batches_.push_back(next());
  return batches_[static_cast<std::size_t>(micro_batch)];
}

MicroBatch TrainingStep::rows_of(const HostBatch& host) const {
  return micro_batch_of(host.first_sample, host.batch, host.sequence, stage_.tensor());
}

// The loss of each token; `logits` then hold scale times their gradient.
Tensor TrainingStep::token_losses(const HostBatch& host, Tensor& logits, float scale) {
  const Tensor targets = upload(device_, host.targets, {host.batch, host.sequence});
  Tensor losses = Tensor::empty(device_, {targets.count()});
  vocabulary_cross_entropy(losses, logits, targets, scale, stage_.tensor(), vocabulary_);
  return losses;
}

Evaluation TrainingStep::evaluate(const std::function<HostBatch(std::int64_t)>& batch,
                                  std::int64_t count) {
  Stream& compute = device_.compute();
  PhaseSpan span(compute, "evaluate");
  const std::int64_t num_losses = sums_by_tree_ ? count : 1;
  Tensor sums = Tensor::empty(device_, {num_losses + 1});  // and the tokens that are missed
  Tensor missed = sums.slice(num_losses, num_losses + 1);
  kernels::fill(sums, 0.0f, compute);
  std::int64_t tokens = 0;  // of all batches
  const Communicator& data = mesh_.data();
  // Where values are brought to each pass, all data ranks make as many passes.
  const std::int64_t rounds = (count + data.size() - 1) / data.size();
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t k = round * data.size() + data.rank();
    const HostBatch host = batch(std::min(k, count - 1));
    tokens = count * host.batch * host.sequence;
    Tensor logits =
        pipeline_.infer(upload(device_, host.tokens, {host.batch, host.sequence}), rows_of(host));
    if (!logits) continue;
    const Tensor targets = upload(device_, host.targets, {host.batch, host.sequence});
    Tensor losses = Tensor::empty(device_, {targets.count()});
    Tensor misses = Tensor::empty(device_, {targets.count()});
    vocabulary_evaluation(losses, misses, logits, targets, stage_.tensor(), vocabulary_);
    const bool counts = k < count && mesh_.tensor().rank() == 0;
    Tensor loss = place_of(sums, std::min(k, count - 1));
    const float share = 1.0f / static_cast<float>(tokens);
    kernels::add_scaled_sum(loss, losses, counts ? share : 0.0f, compute);
    kernels::add_scaled_sum(missed, misses, counts ? 1.0f : 0.0f, compute);
  }
  sum_over_mesh(sums);
  return {.loss = sum_of(sums.slice(0, num_losses)),
          .accuracy = 1 - read_scalar(missed) / static_cast<double>(tokens)};
}

// Where the loss of a batch is added up: all in one place, or each apart, so that the sum does not
// depend on who has which.
Tensor TrainingStep::place_of(const Tensor& losses, std::int64_t batch) const {
  const std::int64_t at = sums_by_tree_ ? batch : 0;
  return losses.slice(at, at + 1);
}

double TrainingStep::sum_of(const Tensor& losses) {
  if (!sums_by_tree_) return read_scalar(losses);
  Tensor sum = Tensor::empty(device_, {1});
  kernels::fill(sum, 0.0f, device_.compute());
  kernels::add_scaled_sum(sum, losses, 1.0f, device_.compute());
  return read_scalar(sum);
}

std::vector<float> TrainingStep::next_logits(const std::vector<std::int32_t>& tokens,
                                             bool stop_requested) {
  Tensor stop = Tensor::empty(device_, {1});
  kernels::fill(stop, stop_requested ? 1.0f : 0.0f, device_.compute());
  sum_over_mesh(stop);
  if (read_scalar(stop) > 0) return {};
  const auto T = static_cast<std::int64_t>(tokens.size());
  const Tensor logits =
      pipeline_.infer(upload(device_, tokens, {1, T}), micro_batch_of(0, 1, T, stage_.tensor()));
  const Communicator &tensor = mesh_.tensor(), &stages = mesh_.pipeline();
  const std::int64_t share = (vocabulary_ + tensor.size() - 1) / tensor.size();
  Tensor all = Tensor::empty(device_, {tensor.size() * share}, device_.numerics().values);
  if (logits) tensor.all_gather(all, logits.slice(T - 1, T)).wait();
  stages.broadcast(all, stages.size() - 1).wait();
  std::vector<float> logits_of_all = read_floats(all);
  logits_of_all.resize(static_cast<std::size_t>(vocabulary_));
  return logits_of_all;
}

void TrainingStep::take_over(std::int64_t optimizer_steps) {
  optimizer_->set_steps(optimizer_steps);
  data_->publish();
}

void TrainingStep::sum_over_mesh(Tensor& values) {
  mesh_.world().all_reduce(values, ReduceOp::sum).wait();
}

}  // namespace lockstep
