// SPDX-License-Identifier: Apache-2.0
// What is said at the end of a run of training.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "parallelism/hybrid/training_step.hpp"

namespace lockstep {

// Of a step; blocked: in communication, not hidden by backward; of that, exposed and waiting
// (StepResult).
struct StepSeconds {
  double step = 0, communication = 0, blocked = 0, exposed = 0, waiting = 0;
};

struct RunSummary {
  std::optional<Evaluation> evaluation{};  // the last one
  const char* unit = "token";              // what one loss is about: "token" or "byte"
  StepSeconds seconds;                     // medians
  double predicted_seconds = 0;            // 0: no prediction
  double tokens = 0;                       // per step, all ranks
  int ranks = 1;
  double model_flops = 0;      // per step and rank
  double gemm_rate = 0;        // FLOP/s of a rank
  std::size_t peak_bytes = 0;  // of tensors, per rank
  std::string run_dir;
  // For summary.json:
  int nodes = 1, threads = 1;                    // threads: of rank 0
  std::string hosts;                             // of all ranks, each once
  bool finished = true;                          // not stopped by a signal
  double train_seconds = 0, target_seconds = 0;  // 0: no target, or not reached
};

std::string summary_text(const RunSummary& s);

// summary.json of a run: the same numbers, for reports and experiments.
void write_summary(const RunSummary& s);

}  // namespace lockstep
