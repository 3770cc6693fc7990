// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl of a run: one JSON object per line. Every line reaches the system in one piece, so
// a run that is killed leaves whole lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/base/file.hpp"

namespace lockstep {

struct StepMetrics {
  std::int64_t step = 0;
  double loss = 0;  // nats per token
  double grad_norm = 0, learning_rate = 0;
  double tokens_per_second = 0;              // of the whole job
  std::optional<double> mfu = std::nullopt;  // share of the peak; absent where no peak is known
  double step_seconds = 0;
  std::optional<double> predicted_seconds = std::nullopt;
  // Communication that computation did not hide, from when the last rank was there, and how long
  // the average rank waited for that one, where it is known (training_step.hpp).
  double exposed_comm_seconds = 0;
  std::optional<double> waiting_seconds = std::nullopt;
  bool skipped = false;  // the step was left out: no update
};

// Leaves of a metrics file the lines of steps up to `step`; a last line that is not whole goes,
// too. The file is a new one then: who still writes to the old one writes to nobody.
void cut_metrics(const std::string& path, std::int64_t step);

class MetricsWriter {
 public:
  enum class Existing : std::uint8_t { replace, append };  // append: a run that resumes

  explicit MetricsWriter(std::string path, Existing existing = Existing::replace);
  // Throw SystemError, with no part of the line in the file.
  void write(const StepMetrics& metrics);
  void write_evaluation(std::int64_t step, double validation_loss, double validation_accuracy);

 private:
  void write_line(const std::string& object);

  std::string path_;
  FileHandle file_;
};

}  // namespace lockstep
