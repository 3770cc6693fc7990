// SPDX-License-Identifier: Apache-2.0
// A recorded step made short enough to be replayed thousands of times per second: kernels priced,
// runs of kernels that nothing waits between joined to one, collectives left to be priced again.
#pragma once

#include <string>
#include <vector>

#include "perfmodels/operation_time.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/step_replay.hpp"

namespace lockstep {

class ShortStep {
 public:
  // `record`: a step of one or two micro-batches. Both references stay.
  ShortStep(const StepRecord& record, OperationTimes& times);

  struct Times {
    double end = 0, compute = 0, computing = 0, exposed = 0, waiting = 0, hidden = 0;
  };
  // With collectives by this algorithm ("auto": as recorded) where it can serve them.
  Times replayed(const std::string& algorithm, const Slowdowns& slowdowns) const;
  // What one more micro-batch takes before the last.
  double micro_seconds() const { return micro_seconds_; }
  // Algorithms that can serve some collective of the step, without "auto".
  std::vector<std::string> algorithms() const;

 private:
  void append(const Record& record, double seconds, bool joins);

  OperationTimes& times_;
  std::vector<Record> records_{};
  std::vector<double> seconds_{};
  double micro_seconds_ = 0;
};

}  // namespace lockstep
