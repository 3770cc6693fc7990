// SPDX-License-Identifier: Apache-2.0
#include "launch/training_run.hpp"

#include "launch/device_of_job.hpp"
#include "launch/machine_of_job.hpp"
#include "launch/prediction.hpp"
#include "launch/run_directory.hpp"
#include "models/registry.hpp"
#include "perfmodels/calibrate/compute_rate.hpp"
#include "perfmodels/machine/find_machine.hpp"
#include "runtime/base/clock.hpp"
#include "runtime/base/format.hpp"
#include "runtime/context/binding.hpp"
#include "runtime/logging/logging.hpp"
#include "runtime/optim/schedule.hpp"

namespace lockstep {

namespace {

constexpr std::int64_t kFirstTracedStep = 2;  // the first step allocates

ScheduleOptions schedule_of(const JobConfig& job) {
  return {.kind = decay_kind(job.optimizer.schedule),
          .peak = job.optimizer.learning_rate,
          .steps = job.job.steps,
          .warmup_steps = job.optimizer.warmup_steps,
          .minimum_share = job.optimizer.minimum_share,
          .decay_share = job.optimizer.decay_share};
}

// The one behind the step that was loaded, if there was one.
std::optional<Evaluation> evaluation_of(const Progress& loaded) {
  if (!loaded.validation_loss) return std::nullopt;
  return Evaluation{.loss = *loaded.validation_loss,
                    .accuracy = loaded.validation_accuracy.value_or(0)};
}

std::string target_of(const JobSection& job) {
  return job.target_loss > 0 ? format("target loss %g", job.target_loss)
                             : format("target accuracy %g", job.target_accuracy);
}

}  // namespace

TrainingRun::TrainingRun(const Context& context, JobConfig job, const RunOptions& options)
    : context_(context),
      job_(std::move(job)),
      table_(job_.job.steps, options.progress_bar),
      mllog_(job_.job.mllog && context_.first()) {
  const Binding binding = bind_to_cores(context_, Topology());
  threads_ = set_threads(job_.job.threads, binding);
  context_.together([this] { read_inputs(); });
  build();
  context_.together([this] { open_batches(0); });
  open_run_directory(options);
  begin_writing();
  context_.barrier();  // all ranks compute at once, as they will in training
  gemm_rate_ = measure_gemm_rate(*device_);
  introduce(binding.description);
}

// Everything that a user may have got wrong, as far as it can be known without the other ranks.
void TrainingRun::read_inputs() {
  guard_.emplace(context_, job_);
  corpus_ = open_corpus(job_.data, job_.model.vocabulary);
  job_.model.vocabulary = corpus_.vocabulary;
  count_windows(corpus_.train, job_.model.sequence);
  predicted_ = record_step(job_, context_.size());
  model_flops_ = model_flops(*predicted_);
  if (job_.job.machine.empty()) return;
  JobConfig as_run = job_;
  as_run.job.threads = threads_;
  prediction_ = predict_job(as_run, find_machine(job_.job.machine), context_.size()).step;
}

void TrainingRun::build() {
  DeviceOfJob made = make_device(context_, job_);
  device_ = std::move(made.device);
  device_name_ = made.description;
  const auto& p = job_.parallel;
  CommunicatorOptions options = communicator_options(context_, job_);
  if (!job_.faults.inject.empty()) guard_->tamper_with(options);
  const auto world = Communicator::world(context_, *device_, options);
  mesh_ = std::make_unique<Mesh>(world, MeshDegrees{p.data, p.tensor, p.pipeline});
  step_ = std::make_unique<TrainingStep>(plan_model(job_.model), *mesh_, *device_, job_);
  guard_->watch(*step_, *mesh_, *device_);
}

void TrainingRun::open_batches(std::int64_t first_step) {
  const std::int64_t sequence = job_.model.sequence, micro = step_->split().micro;
  loader_ = std::make_unique<BatchLoader>(corpus_.train,
                                          LoaderOptions{.global = job_.batch.global,
                                                        .micro = job_.batch.micro,
                                                        .data_rank = mesh_->data().rank(),
                                                        .data_degree = mesh_->data().size(),
                                                        .sequence = sequence,
                                                        .seed = job_.job.seed,
                                                        .first_step = first_step});
  if (corpus_.validation.size() <= sequence) return;
  // The same windows in every layout: evaluate_batches global batches, cut into micro-batches.
  const std::int64_t batches = job_.job.evaluate_batches * (job_.batch.global / micro);
  validation_.emplace(corpus_.validation, ValidationOptions{micro, batches, sequence});
}

// Finds or makes it, and loads what the run starts from. A run that goes on takes the directory
// first, so that a former life of it writes nothing meanwhile; a job that does not fit to what is
// there changes nothing.
void TrainingRun::open_run_directory(const RunOptions& options) {
  checkpoints_ =
      std::make_unique<RunCheckpoints>(context_, job_, *mesh_, *step_, corpus_.train.size());
  if (!options.resume) checkpoints_->load_weights();
  context_.together([&] {
    if (!context_.first()) return;
    run_dir_ = options.resume ? find_run_directory(job_) : make_run_directory(job_);
    if (options.resume) expect_goes_on(run_dir_);
  });
  checkpoints_->open(run_dir_);
  if (options.resume) checkpoints_->expect_fits();
  checkpoints_->begin_life();
  if (!options.resume) return;
  const std::int64_t done = checkpoints_->load_last();
  if (done == 0) checkpoints_->load_weights();
  if (done == 0) return;
  guard_->go_on_from(checkpoints_->loaded());
  first_step_ = done + 1;
  context_.together([&] { open_batches(done); });
}

void TrainingRun::begin_writing() {
  checkpoints_->begin_copies();
  context_.together([this] {
    if (!context_.first()) return;
    const std::string metrics = run_dir_ + "/metrics.jsonl";
    write_job(run_dir_, job_);
    cut_metrics(metrics, first_step_ - 1);
    metrics_.emplace(metrics, MetricsWriter::Existing::append);
  });
}

int TrainingRun::run() {
  evaluation_ = evaluation_of(checkpoints_->loaded());
  evaluate_what_was_stopped();
  if (first_step_ > job_.job.steps || (evaluation_ && at_target(*evaluation_)))
    return end_without_steps();
  const bool finished = train();
  checkpoints_->finish();
  checkpoints_->report();
  checkpoints_->end_life();
  const double train_seconds = now() - train_begin_;
  mllog_.end_training(finished && (!has_target() || target_seconds_ > 0));
  table_.finish();
  device_->record_into(nullptr);
  summarize(train_seconds, finished);
  if (finished && job_.job.sample_length > 0) write_sample();
  if (job_.job.trace_steps > 0)  // last: it is the largest, and may not fit on the disk
    write_chrome_trace(run_dir_ + "/trace.json", context_, trace_, trace_origin_);
  if (finished && !stop_requested()) return 0;
  return 128 + (stop_signal() ? stop_signal() : SIGTERM);
}

// At a signal a run saves first, and is evaluated with what time is left: whether it was at its
// target then the checkpoint does not say.
void TrainingRun::evaluate_what_was_stopped() {
  const std::int64_t done = first_step_ - 1;
  if (evaluation_ || done == 0 || !has_target() || !evaluates_after(done)) return;
  evaluation_ = measure();
}

int TrainingRun::end_without_steps() {
  const auto done = static_cast<long long>(first_step_ - 1);
  if (evaluation_ && at_target(*evaluation_)) {
    log_info(format("nothing is left to do: %s was reached after step %lld, with %.4f",
                    target_of(job_.job).c_str(), done,
                    job_.job.target_loss > 0 ? evaluation_->loss : evaluation_->accuracy));
  } else {
    log_info(format("nothing is left to do: %lld of %lld steps are done", done,
                    static_cast<long long>(job_.job.steps)));
  }
  checkpoints_->save(first_step_ - 1, checkpoints_->loaded());  // it may have been in memory only
  checkpoints_->finish();
  checkpoints_->end_life();
  return 0;
}

Progress TrainingRun::progress() const {
  Progress all = guard_->progress();
  if (evaluation_) all.validation_loss = evaluation_->loss;
  if (evaluation_) all.validation_accuracy = evaluation_->accuracy;
  return all;
}

bool TrainingRun::train() {
  train_begin_ = now();
  mllog_.begin_training(job_, mesh_->data().size());
  for (std::int64_t step = first_step_; step <= job_.job.steps; ++step) {
    start_or_stop_trace(step - first_step_ + 1);
    StepResult result;
    const StepMetrics metrics = one_step(step, result);
    checkpoints_->check();
    if (context_.first()) note_step(metrics);
    guard_->end_step(result, metrics.step_seconds);
    const std::int64_t done = guard_->wants_back() ? go_back() : 0;
    if (done > 0) {
      step = done;
      continue;
    }
    evaluation_.reset();
    if (result.stop) checkpoints_->save(step, progress());  // first of all: little time may be left
    const bool last = reaches_target(step) || step == job_.job.steps;
    if (!last && !result.stop) checkpoints_->keep_copies(step, progress());
    if (last || checkpoints_->due(step)) checkpoints_->save(step, progress());
    if (last) return true;
    if (!result.stop) continue;
    log_info(format("stopped by a signal after step %lld", static_cast<long long>(step)));
    return false;
  }
  return true;
}

// To the last checkpoint: the steps after it are made again. Returns its step, 0 if there is none.
std::int64_t TrainingRun::go_back() {
  checkpoints_->finish();
  const std::int64_t done = checkpoints_->go_back();
  if (done == 0) return 0;
  guard_->go_back_to(checkpoints_->loaded());
  context_.together([&] {
    open_batches(done);
    if (!context_.first()) return;
    cut_metrics(run_dir_ + "/metrics.jsonl", done);
    metrics_.emplace(run_dir_ + "/metrics.jsonl", MetricsWriter::Existing::append);
  });
  return done;
}

bool TrainingRun::has_target() const {
  return job_.job.target_loss > 0 || job_.job.target_accuracy > 0;
}

bool TrainingRun::at_target(const Evaluation& evaluation) const {
  const double loss = job_.job.target_loss, accuracy = job_.job.target_accuracy;
  return (loss > 0 && evaluation.loss <= loss) || (accuracy > 0 && evaluation.accuracy >= accuracy);
}

bool TrainingRun::reaches_target(std::int64_t step) {
  if (!evaluates_after(step)) return false;
  if (!at_target(evaluate(step))) return false;
  target_seconds_ = now() - train_begin_;
  log_info(format("%s reached after step %lld", target_of(job_.job).c_str(),
                  static_cast<long long>(step)));
  return true;
}

StepMetrics TrainingRun::one_step(std::int64_t step, StepResult& result) {
  const double begin = now();
  guard_->begin_step(step);
  const double rate = learning_rate_at(step - 1, schedule_of(job_));
  result = step_->run([this] { return loader_->next(); }, rate, stop_requested());
  const double seconds = now() - begin;
  seconds_.push_back({.step = seconds,
                      .communication = result.comm_seconds,
                      .blocked = result.blocked_seconds,
                      .exposed = result.exposed_comm_seconds,
                      .waiting = result.waiting_seconds.value_or(0)});
  const auto tokens = static_cast<double>(job_.batch.global * job_.model.sequence);
  return {.step = step,
          .loss = result.loss,
          .grad_norm = result.grad_norm,
          .learning_rate = rate,
          .tokens_per_second = tokens / seconds,
          .mfu = model_flops_ / seconds / gemm_rate_,
          .step_seconds = seconds,
          .predicted_seconds = prediction_ ? std::optional(prediction_->seconds) : std::nullopt,
          .exposed_comm_seconds = result.exposed_comm_seconds,
          .waiting_seconds = result.waiting_seconds,
          .skipped = !result.applied};
}

void TrainingRun::note_step(const StepMetrics& metrics) {
  checkpoints_->expect_owned();
  metrics_->write(metrics);
  table_.step(metrics);
}

bool TrainingRun::evaluates_after(std::int64_t step) const {
  if (!validation_) return false;
  const std::int64_t every = job_.job.evaluate_every;
  return step == job_.job.steps || (every > 0 && step % every == 0);
}

Evaluation TrainingRun::measure() {
  return step_->evaluate([this](std::int64_t k) { return validation_->validation_batch(k); },
                         validation_->batches());
}

Evaluation TrainingRun::evaluate(std::int64_t step) {
  mllog_.begin_evaluation(step);
  const Evaluation found = measure();
  evaluation_ = found;
  if (context_.first()) {
    metrics_->write_evaluation(step, found.loss, found.accuracy);
    table_.evaluation(step, found.loss, found.accuracy);
  }
  const bool goes_on = step < job_.job.steps && !at_target(found);
  // Where accuracy is not the target, MLPerf's benchmarks of language models mean the loss.
  const bool by_accuracy = job_.job.target_accuracy > 0;
  mllog_.end_evaluation(step, by_accuracy ? found.accuracy : found.loss, goes_on);
  return found;
}

// Steps 2 .. trace_steps + 1 are recorded.
void TrainingRun::start_or_stop_trace(std::int64_t step) {
  if (job_.job.trace_steps == 0) return;
  if (step == 1) trace_origin_ = trace_origin(context_);
  if (step == kFirstTracedStep) device_->record_into(&trace_);
  if (step == kFirstTracedStep + job_.job.trace_steps) device_->record_into(nullptr);
}

}  // namespace lockstep
