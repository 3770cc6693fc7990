// SPDX-License-Identifier: Apache-2.0
// The log lines of MLPerf training: ":::MLLOG {...}", with its keys. What only a submission knows
// (submission_org, submission_platform, ...) is not in them.
//
// github.com/mlcommons/logging, github.com/mlcommons/training_policies.
#pragma once

#include <string>

#include "runtime/base/error.hpp"
#include "runtime/config/job_config.hpp"

namespace lockstep {

class MlLog {
 public:
  // A log that is not `on` says nothing. The initialization of the run begins here.
  explicit MlLog(bool on, Site at = Site::here());

  // The hyperparameters; initialization ends, the run and its first block begin.
  void begin_training(const JobConfig& job, int data_degree, Site at = Site::here());
  void begin_evaluation(std::int64_t step, Site at = Site::here());
  // `goes_on`: another block of training follows.
  // `accuracy`: what the run is judged by, which of language models may be their loss.
  void end_evaluation(std::int64_t step, double accuracy, bool goes_on, Site at = Site::here());
  void end_training(bool success, Site at = Site::here());

 private:
  void begin_block(std::int64_t samples, Site at);

  bool on_ = false, in_block_ = false;
  std::int64_t global_batch_ = 0, block_begin_ = 0, samples_ = 0;
};

// One line. `value` and `metadata` are JSON texts, "metadata" without file and line.
std::string mllog_line(const std::string& event_type, const std::string& key,
                       const std::string& value, const std::string& metadata, double time_ms,
                       Site at);

}  // namespace lockstep
