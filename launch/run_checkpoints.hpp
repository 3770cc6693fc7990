// SPDX-License-Identifier: Apache-2.0
// The checkpoints of one run: between the training step, which says what a rank holds, and
// runtime/checkpoint, which writes and reads it. All of it is collective over the job.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "parallelism/hybrid/training_step.hpp"
#include "runtime/checkpoint/fence.hpp"
#include "runtime/checkpoint/writer.hpp"
#include "runtime/context/context.hpp"

namespace lockstep {

class RunCheckpoints {
 public:
  // Everything must outlive it.
  RunCheckpoints(const Context& context, const JobConfig& job, const Mesh& mesh, TrainingStep& step,
                 std::int64_t train_tokens);
  // Where the run is, as rank 0 knows it.
  void open(const std::string& run_dir);

  // The state of the last complete checkpoint that is not damaged; returns its step, 0 if there is
  // none at all. ConfigError where all are damaged, or another model's, or another data order's.
  std::int64_t load_last();
  // The weights of checkpoint.load, and nothing else of it.
  void load_weights();

  // The run directory is this process's from now on, and it may write checkpoints.
  void begin_life();
  void expect_owned() const { fence_->check(); }

  bool wanted() const { return job_.checkpoint.every > 0; }
  bool due(std::int64_t step) const;  // by checkpoint.every
  void save(std::int64_t step);       // once per step; waits for the one before
  void check();                       // throws what went wrong behind training
  void finish();                      // the last one is on the disk, for all ranks
  void report() const;                // how many, and how long steps were held up for them

 private:
  void meet_parameters();
  Manifest head_of(std::int64_t step) const;
  void expect_continues(const Manifest& manifest) const;
  bool try_load(const std::string& checkpoint, std::string& refusal);
  std::string read_from(const std::string& checkpoint, const std::string& manifest,
                        std::vector<HeldPiece>& pieces) const;

  const Context& context_;
  const JobConfig& job_;
  const Mesh& mesh_;
  TrainingStep& step_;
  std::string run_dir_;
  std::int64_t train_tokens_;
  CheckpointFolder folder_{""};
  std::optional<Fence> fence_;
  std::optional<CheckpointWriter> writer_;
  std::int64_t saved_ = 0;  // step
  int num_saved_ = 0;
  double held_seconds_ = 0;  // between steps

  // Rank 0 only: of the whole model.
  std::map<std::string, Dims> parameters_;
  std::uint64_t bytes_ = 0;
};

}  // namespace lockstep
