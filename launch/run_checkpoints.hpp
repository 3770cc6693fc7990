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
#include "runtime/checkpoint/memory_copies.hpp"
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

  // ConfigError, before anything there is changed, where the job does not go on from what is there.
  void expect_fits() const;
  // The run directory is this process's from now on, and it may write checkpoints.
  void begin_life();
  // The state of the last complete checkpoint that is not damaged, in memory or on the disk;
  // returns its step, 0 if there is none at all. ConfigError where all are damaged, or another
  // model's, or another data order's.
  std::int64_t load_last();
  // The same from the disk, in the middle of a run.
  std::int64_t go_back();
  // The weights of checkpoint.load, and nothing else of it.
  void load_weights();

  void begin_copies();  // in memory; what was loaded decides about those that are there
  void expect_owned() const { fence_->check(); }
  const Progress& loaded() const { return loaded_; }

  bool wanted() const { return job_.checkpoint.every > 0; }
  bool due(std::int64_t step) const;  // by checkpoint.every
  // Once per step; waits for the one before.
  void save(std::int64_t step, const Progress& progress);
  // In memory, by checkpoint.memory_every.
  void keep_copies(std::int64_t step, const Progress& progress);
  void check();         // throws what went wrong behind training
  void finish();        // the last one is on the disk, for all ranks
  void end_life();      // in order: nothing stays in memory
  void report() const;  // how many, and how long steps were held up for them

 private:
  void meet_parameters();
  Manifest head_of(std::int64_t step, const Progress& progress) const;
  std::map<std::string, std::int64_t> layout() const;
  std::string compression() const;
  void expect_continues(const Manifest& manifest) const;
  std::vector<std::int64_t> steps_on_disk() const;
  std::int64_t load_from_memory(std::int64_t newest_on_disk);
  std::int64_t load_from_disk(const std::vector<std::int64_t>& steps);
  bool try_load(const std::string& checkpoint, std::string& refusal);
  void take_over(const Manifest& manifest);
  bool owns_in(const std::string& checkpoint, const Manifest& manifest,
               const std::vector<HeldState>& own) const;
  enum class Headers : std::uint8_t { checked, not_checked };
  std::string read_from(const std::string& checkpoint, const std::string& manifest,
                        std::vector<HeldPiece>& pieces, std::vector<HeldState> own,
                        Headers headers) const;

  const Context& context_;
  const JobConfig& job_;
  const Mesh& mesh_;
  TrainingStep& step_;
  std::string run_dir_;
  std::int64_t train_tokens_;
  CheckpointFolder folder_{""};
  std::optional<Fence> fence_;
  std::optional<CheckpointWriter> writer_;
  std::optional<MemoryCopies> memory_;
  Progress loaded_;
  MemoryCopies::Former former_copies_ = MemoryCopies::Former::is_over;
  std::int64_t saved_ = 0;  // step
  int num_saved_ = 0, num_copies_ = 0;
  double held_seconds_ = 0, copy_seconds_ = 0;  // between steps
  bool no_room_ = false;                        // has been said

  // Rank 0 only: of the whole model.
  std::map<std::string, Dims> parameters_;
  std::uint64_t bytes_ = 0;
};

}  // namespace lockstep
