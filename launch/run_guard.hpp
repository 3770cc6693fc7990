// SPDX-License-Identifier: Apache-2.0
// What stands beside a run of training and looks for what goes wrong, as [failures] says: values
// that are not finite, spikes, slow ranks. And does what [faults] asks for.
//
//   costs  a comparison per step; an all_gather of one number per rank every straggler_every steps
//
// All ranks decide by the same numbers, so all decide alike without asking each other.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "collectives/options.hpp"
#include "parallelism/hybrid/training_step.hpp"
#include "runtime/checkpoint/manifest.hpp"
#include "runtime/context/context.hpp"
#include "runtime/failures/faults.hpp"
#include "runtime/failures/spikes.hpp"

namespace lockstep {

class RunGuard {
 public:
  RunGuard(const Context& context, const JobConfig& job);  // ConfigError for a bad fault
  void tamper_with(CommunicatorOptions& options);
  // The guard must outlive the step.
  void watch(TrainingStep& step, const Mesh& mesh, Device& device);

  void begin_step(std::int64_t step);
  // Says what was wrong with the step. Throws, on all ranks, if the job is to end. Collective.
  void end_step(const StepResult& result, double seconds);
  // What is saved with a step, for a life that goes on from it.
  Progress progress() const;
  void go_on_from(const Progress& progress);
  void go_back_to(const Progress& progress);  // but remembers why
  // failures.spike = "roll_back": training is to go on from the last checkpoint. Said once.
  bool wants_back() { return std::exchange(wants_back_, false); }

 private:
  void meet_nonfinite(const StepResult& result);
  void meet_spike();
  void leave_out(const std::string& why);
  std::string find_origin();
  std::string origin_here();
  void look_for_stragglers();

  const Context& context_;
  const FailuresSection wanted_;
  Faults faults_;
  Spikes spikes_;
  TrainingStep* training_ = nullptr;
  const Mesh* mesh_ = nullptr;
  Device* device_ = nullptr;

  std::int64_t step_ = 0, skipped_ = 0, in_row_ = 0;
  std::string spike_;  // of this step, in words
  bool wants_back_ = false;
  std::set<std::int64_t> went_back_;  // because of these steps
  double own_ = 0, all_ = 0;          // seconds since the last look: of this rank's work; of steps
  std::int64_t steps_ = 0;            // since then
  int named_ = -1;                    // the slow rank that was named last
};

}  // namespace lockstep
