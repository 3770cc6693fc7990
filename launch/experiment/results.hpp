// SPDX-License-Identifier: Apache-2.0
// What an experiment keeps: one row per repetition, appended to results.jsonl as a whole line when
// it ends, and the same rows as results.csv. The rows say all that is needed to compare them: the
// complete configuration, versions, host, what was measured and what was predicted.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launch/experiment/parts.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

struct PredictedPoint {
  double step_seconds = 0, low = 0, high = 0;  // low and high: 0 where the profile has no intervals
  double tokens_per_second = 0, mfu = 0, memory_bytes = 0;
  bool in_range = false;
  StepParts parts{};
};

struct MeasuredRun {
  int steps = 0;                               // that were measured
  double step_seconds = 0, low = 0, high = 0;  // the median with its 90 % interval
  double tokens_per_second = 0, mfu = 0, memory_bytes = 0;
  double exposed_seconds = 0;  // medians
  double waiting_seconds = 0;
  double loss = 0;                   // of the last step
  double validation_loss = 0;        // 0: there was no evaluation
  double validation_accuracy = 0;    // of the same evaluation
  double target_seconds = 0;         // time to target; 0: none, or not reached
  std::optional<StepParts> parts{};  // of a traced run
};

struct ResultRow {
  std::string version;                     // of lockstep
  std::string point, series, fingerprint;  // as in ExperimentPoint
  std::vector<std::pair<std::string, std::string>> values{};
  int repetition = 1, ranks = 1, nodes = 1;
  std::string status{};  // done, failed, predicted
  int exit_status = 0;
  std::string launcher{}, host{}, started{};  // the time of day, UTC
  double wall_seconds = 0;
  std::vector<std::string> last_lines{};  // of the output of a run that failed
  std::optional<MeasuredRun> measured{};
  std::optional<PredictedPoint> predicted{};
  JobConfig job{};

  bool failed() const { return status == "failed"; }
};

std::string json_of(const ResultRow& row);  // one line
std::string csv_of(const std::vector<ResultRow>& rows);

// Rows of results.jsonl; none if there is no such file. A line that a dying process left
// unfinished at the end is ignored. ConfigError where another format wrote it.
std::vector<ResultRow> load_results(const std::string& path);

}  // namespace lockstep
