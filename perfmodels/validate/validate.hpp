// SPDX-License-Identifier: Apache-2.0
// Predicted against measured, operation by operation: the launches of a trace by name and sizes,
// the median of each beside what the profile says, and three simpler answers beside that. Of
// collectives it is the transfer that is held against the profile, and what ranks waited for each
// other before stands by itself (transfers.hpp). Nothing is tuned here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "perfmodels/record_step.hpp"
#include "perfmodels/validate/measured_trace.hpp"

namespace lockstep {

// Of errors as shares: predicted / measured - 1.
struct ErrorSummary {
  std::size_t n = 0;
  double mean = 0, median = 0, p95 = 0, maximum = 0;  // of absolute values
  double signed_median = 0;
};
ErrorSummary summary_of(std::vector<double> errors);

struct ValidatedOperation {
  Operation operation{};
  int launches = 0;                    // of all ranks
  double measured = 0, predicted = 0;  // seconds of one: the median; alone
  double noise = 0;  // of the launches: half of the middle half, as a share of the median
  bool in_range = false;
  std::optional<double> constant_mfu{};  // seconds: products and attention only
  double nearest = 0, formula = 0;       // seconds

  double error() const { return predicted / measured - 1; }
};

struct Validation {
  std::vector<ValidatedOperation> rows{};  // most of the measured time first
  ErrorSummary all{}, constant_mfu{}, nearest{}, formula{};
  ErrorSummary by_kind[4]{};  // gemm, attention, streaming, collective
  double noise_floor = 0;     // the median of the rows'
  // The kind whose error moves the step most, and seconds per step and rank that it is off.
  OperationKind blamed = OperationKind::gemm;
  double blamed_seconds = 0;
  double measured_step = 0;  // seconds, the median
  double waited = 0;         // in collectives for the last rank, per step and rank, hidden or not
};

Validation validate(const MeasuredTrace& trace, const Machine& machine);

// ConfigError unless the trace is of the job that was recorded: the same kernels as often a step.
void expect_same_job(const MeasuredTrace& trace, const StepRecord& record,
                     const std::string& trace_name);

}  // namespace lockstep
