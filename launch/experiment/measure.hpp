// SPDX-License-Identifier: Apache-2.0
// What a run measured, read back from its directory: metrics.jsonl, summary.json and, if it was
// traced, trace.json.
#pragma once

#include <string>
#include <vector>

#include "launch/experiment/results.hpp"

namespace lockstep {

struct LoggedStep {
  std::int64_t step = 0;
  double loss = 0, step_seconds = 0, exposed_seconds = 0, waiting_seconds = 0;
  double tokens_per_second = 0, mfu = 0;
  double predicted_seconds = 0;  // 0: none
};

struct LoggedEvaluation {
  std::int64_t step = 0;
  double loss = 0, accuracy = 0;
};

struct RunLog {
  std::vector<LoggedStep> steps{};
  std::vector<LoggedEvaluation> evaluations{};
};

// ConfigError where there is no step in it, or another program wrote it.
RunLog load_run_log(const std::string& run_dir);

// What summary.json says; all absent where a run did not come to its end.
struct RunFacts {
  double memory_bytes = 0, target_seconds = 0, train_seconds = 0;
  int ranks = 0, nodes = 0, threads = 0;
  bool finished = false;
  std::string version{}, host{};
};
RunFacts load_run_facts(const std::string& run_dir);

// The job with the threads that its ranks had, where it left them to the machine.
JobConfig as_run(JobConfig job, const RunFacts& facts);

// The steps after the first `skip`, or all if there are no more. The breakdown of a trace in
// proportion to the median step: traced are only a few steps, near the start.
MeasuredRun measure_run(const std::string& run_dir, int skip);

}  // namespace lockstep
