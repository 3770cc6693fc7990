// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/validate/validate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "perfmodels/operation_time.hpp"
#include "perfmodels/step_time.hpp"
#include "perfmodels/validate/transfers.hpp"
#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
}

// Launches of one name and sizes.
struct Launches {
  Operation operation{};
  std::vector<double> seconds{};
};

std::map<std::string, Launches> by_shape(const MeasuredTrace& trace) {
  std::map<std::string, Launches> all;
  const std::vector<double> transfers = transfers_of(trace);
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    const MeasuredOperation& m = trace.operations[i];
    if (m.operation.kind == OperationKind::phase || transfers[i] <= 0) continue;
    Launches& launches = all[text_of(m.operation)];
    launches.operation = m.operation;
    launches.seconds.push_back(transfers[i]);
  }
  return all;
}

std::optional<double> constant_mfu(const KernelTimes& kernels, const Operation& o) {
  if (o.kind != OperationKind::gemm && o.kind != OperationKind::attention) return std::nullopt;
  const ComputeProfile& p = kernels.profile(o);
  if (!p.peak_flops.known() || !p.gemm_efficiency.known()) return std::nullopt;
  return o.flops / (p.peak_flops.value * p.gemm_efficiency.value);
}

// In proportion to the bytes of the next size that was measured.
double nearest_collective(const Machine& machine, const Operation& o, double otherwise) {
  const double bytes =
      std::max<double>(static_cast<double>(o.shape[0]) * static_cast<double>(size_of(o.dtype)), 1);
  for (const CollectiveCurve& c : machine.collectives) {
    const bool same = c.operation == o.name && c.label == o.detail && c.ranks == o.ranks &&
                      c.memory == o.memory && !c.seconds.empty();
    if (!same) continue;
    const auto& points = c.seconds.points();
    const Point& next =
        *std::min_element(points.begin(), points.end(), [&](const Point& a, const Point& b) {
          return std::abs(std::log(a.x / bytes)) < std::abs(std::log(b.x / bytes));
        });
    return next.y.value * bytes / next.x;
  }
  return otherwise;
}

ValidatedOperation row_of(const Launches& launches, OperationTimes& times, const Machine& machine) {
  const Operation& o = launches.operation;
  const OperationTime& t = times.of(o);
  const double median = quantile(launches.seconds, 0.5);
  ValidatedOperation row{
      .operation = o,
      .launches = static_cast<int>(launches.seconds.size()),
      .measured = median,
      .predicted = t.seconds.value,
      .noise = (quantile(launches.seconds, 0.75) - quantile(launches.seconds, 0.25)) / (2 * median),
      .in_range = t.in_range};
  if (o.kind == OperationKind::collective) {
    row.formula = modelled_seconds(machine, o);
    row.nearest = nearest_collective(machine, o, row.formula);
  } else {
    row.constant_mfu = constant_mfu(times.kernels(), o);
    row.nearest = times.kernels().nearest(o);
    row.formula = times.kernels().roofline(o);
  }
  return row;
}

template <class Seconds>
ErrorSummary errors_of(const std::vector<ValidatedOperation>& rows, Seconds seconds) {
  std::vector<double> errors;
  for (const ValidatedOperation& row : rows) {
    const std::optional<double> predicted = seconds(row);
    if (predicted) errors.push_back(*predicted / row.measured - 1);
  }
  return summary_of(std::move(errors));
}

// From the begin of a step to that of the next, else its own length.
double step_seconds(const MeasuredTrace& trace) {
  std::vector<double> begins, seconds;
  double first = 0, last = 0;
  bool fresh = true;
  for (const MeasuredOperation& m : trace.operations) {
    if (m.rank != 0 || m.operation.kind != OperationKind::phase) continue;
    if (fresh) first = m.begin;
    fresh = false;
    last = m.begin + m.seconds;
    if (m.operation.name != std::string("update")) continue;
    seconds.push_back(last - first);
    fresh = true;
  }
  return quantile(std::move(seconds), 0.5);
}

// Of each rank and step.
double waited_in(const MeasuredTrace& trace) {
  const std::vector<double> transfers = transfers_of(trace);
  double sum = 0;
  for (std::size_t i = 0; i < transfers.size(); ++i)
    sum += trace.operations[i].seconds - transfers[i];
  return sum / (trace.steps * std::max(trace.ranks, 1));
}

void blame(Validation& v, const MeasuredTrace& trace) {
  std::array<double, 4> off{};
  for (const ValidatedOperation& row : v.rows)
    off[static_cast<std::size_t>(row.operation.kind)] +=
        row.launches * (row.predicted - row.measured);
  const auto worst = std::max_element(off.begin(), off.end(),
                                      [](double a, double b) { return std::abs(a) < std::abs(b); });
  v.blamed = static_cast<OperationKind>(worst - off.begin());
  v.blamed_seconds = *worst / (trace.steps * std::max(trace.ranks, 1));
}

}  // namespace

ErrorSummary summary_of(std::vector<double> errors) {
  ErrorSummary s{.n = errors.size()};
  if (errors.empty()) return s;
  s.signed_median = quantile(errors, 0.5);
  for (double& e : errors)
    e = std::abs(e);
  for (const double e : errors)
    s.mean += e / static_cast<double>(errors.size());
  s.median = quantile(errors, 0.5);
  s.p95 = quantile(errors, 0.95);
  s.maximum = quantile(errors, 1);
  return s;
}

Validation validate(const MeasuredTrace& trace, const Machine& machine) {
  OperationTimes times(machine);
  Validation v;
  for (const auto& [shape, launches] : by_shape(trace)) {
    if (launches.operation.kind == OperationKind::collective && launches.operation.ranks == 1)
      continue;
    v.rows.push_back(row_of(launches, times, machine));
  }
  std::stable_sort(v.rows.begin(), v.rows.end(), [](const auto& a, const auto& b) {
    return a.launches * a.measured > b.launches * b.measured;
  });
  using Seconds = std::optional<double>;
  using Row = ValidatedOperation;
  v.all = errors_of(v.rows, [](const Row& r) { return Seconds(r.predicted); });
  v.constant_mfu = errors_of(v.rows, [](const Row& r) { return r.constant_mfu; });
  v.nearest = errors_of(v.rows, [](const Row& r) { return Seconds(r.nearest); });
  v.formula = errors_of(v.rows, [](const Row& r) { return Seconds(r.formula); });
  for (int kind = 0; kind < 4; ++kind) {
    v.by_kind[kind] = errors_of(v.rows, [kind](const Row& r) {
      const bool of_kind = static_cast<int>(r.operation.kind) == kind;
      return of_kind ? Seconds(r.predicted) : std::nullopt;
    });
  }
  std::vector<double> noise;
  for (const Row& row : v.rows)
    noise.push_back(row.noise);
  v.noise_floor = quantile(std::move(noise), 0.5);
  blame(v, trace);
  v.waited = waited_in(trace);
  v.measured_step = step_seconds(trace);
  return v;
}

void expect_same_job(const MeasuredTrace& trace, const StepRecord& record,
                     const std::string& trace_name) {
  std::map<std::string, int> off;  // launches of a step that the other does not have
  for (const Record& r : record.recording.records()) {
    const OperationKind kind = r.operation.kind;
    if (kind != OperationKind::phase && kind != OperationKind::collective)
      off[text_of(r.operation)] -= trace.steps;
  }
  for (const MeasuredOperation& m : trace.operations) {
    const OperationKind kind = m.operation.kind;
    if (m.rank == 0 && kind != OperationKind::phase && kind != OperationKind::collective)
      ++off[text_of(m.operation)];
  }
  for (const auto& [operation, count] : off) {
    if (count == 0) continue;
    throw ConfigError(trace_name + " is of another job: it launches " + operation + " " +
                      std::to_string(std::abs(count)) + " times " + (count > 0 ? "more" : "less") +
                      " in " + std::to_string(trace.steps) + " steps than the job would on " +
                      std::to_string(record.ranks) + " ranks");
  }
}

}  // namespace lockstep
