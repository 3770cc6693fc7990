// SPDX-License-Identifier: Apache-2.0
// One run of training on this rank: set up, loop over steps, evaluate, report.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/mllog.hpp"
#include "launch/run_checkpoints.hpp"
#include "launch/run_guard.hpp"
#include "launch/run_summary.hpp"
#include "launch/step_table.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_time.hpp"
#include "runtime/context/context.hpp"
#include "runtime/context/signals.hpp"
#include "runtime/data/batch_loader.hpp"
#include "runtime/data/corpus.hpp"
#include "runtime/data/validation_reader.hpp"
#include "runtime/metrics/metrics.hpp"
#include "runtime/trace/trace.hpp"

namespace lockstep {

struct RunOptions {
  bool progress_bar = false;
  bool resume = false;  // in the run directory that is there
};

class TrainingRun {
 public:
  // Collective: binds the rank, reads the data, makes the model, opens the run directory, loads
  // what it goes on from and measures the GEMM rate. A mistake of the user is thrown once, before
  // anything is written.
  TrainingRun(const Context& context, JobConfig job, const RunOptions& options);

  int run();  // the exit status: 0, or 128 + the signal that stopped it

 private:
  void read_inputs();
  void build();
  void open_batches(std::int64_t first_step);
  void open_run_directory(const RunOptions& options);
  void begin_writing();
  void introduce(const std::string& binding) const;
  void evaluate_what_was_stopped();
  int end_without_steps();
  bool train();  // false: stopped by a signal
  Progress progress() const;
  std::int64_t go_back();
  StepMetrics one_step(std::int64_t step, StepResult& result);
  void note_step(const StepMetrics& metrics);
  bool has_target() const;
  bool at_target(const Evaluation& evaluation) const;
  bool reaches_target(std::int64_t step);  // evaluates, if it is time
  bool evaluates_after(std::int64_t step) const;
  Evaluation measure();  // loss and accuracy, of all ranks; says nothing
  Evaluation evaluate(std::int64_t step);
  void start_or_stop_trace(std::int64_t step);
  void summarize(double train_seconds, bool finished);
  void write_sample();

  const Context& context_;
  JobConfig job_;
  SignalGuard signals_;
  Corpus corpus_;
  std::unique_ptr<StepRecord> predicted_;     // the step on the dry device
  std::optional<StepPrediction> prediction_;  // with job.machine
  Recording trace_;                           // before the device, whose worker writes to it
  std::optional<RunGuard> guard_;             // before the device: its worker asks it
  std::unique_ptr<Device> device_;
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<TrainingStep> step_;
  std::unique_ptr<BatchLoader> loader_;
  std::unique_ptr<RunCheckpoints> checkpoints_;
  int threads_ = 1;              // of this rank
  std::int64_t first_step_ = 1;  // of this life of the run
  std::optional<ValidationReader> validation_;
  std::string device_name_;  // of its GPU; empty on CPUs
  double gemm_rate_ = 0;     // of what this rank computes on, FLOP/s
  double model_flops_ = 0;   // per step, the mean over the ranks

  // Rank 0 only.
  std::string run_dir_;
  std::optional<MetricsWriter> metrics_;
  StepTable table_;

  double trace_origin_ = 0;
  std::vector<StepSeconds> seconds_;      // of every step of this life
  std::optional<Evaluation> evaluation_;  // after the last step

  MlLog mllog_;                                  // silent but for job.mllog on rank 0
  double train_begin_ = 0, target_seconds_ = 0;  // 0: no target, or not reached
};

}  // namespace lockstep
