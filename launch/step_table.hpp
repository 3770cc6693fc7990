// SPDX-License-Identifier: Apache-2.0
// What a user watches while a job trains: one aligned row per step and, on a terminal, a bar with
// the time left below it. Rank 0 only.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/metrics/metrics.hpp"

namespace lockstep {

class StepTable {
 public:
  // `bar`: redraw a progress bar in the last line (needs a terminal).
  StepTable(std::int64_t steps, bool bar) : steps_(steps), bar_(bar) {}

  void step(const StepMetrics& m);
  void evaluation(std::int64_t step, double loss, double accuracy);
  void finish();  // takes the bar away

  // Every step is recorded in metrics.jsonl; a long run prints every n-th, about 100 rows.
  bool prints(std::int64_t step) const;

 private:
  void row(const std::string& text);
  void draw_bar(std::int64_t step, double step_seconds);

  std::int64_t steps_;
  bool bar_;
  bool header_printed_ = false;
  double mean_seconds_ = 0;
};

// "1:05" or "2:03:04".
std::string duration_text(double seconds);

}  // namespace lockstep
