// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/skew.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "collectives/call.hpp"

namespace lockstep {

namespace {

bool computes(const Record& r) {
  return r.stream == StreamKind::compute && r.operation.kind != OperationKind::phase;
}

// All of its ranks have to be there; messages ("send", "transfer") are between two of them.
bool is_meeting(const Record& r) {
  if (r.operation.kind != OperationKind::collective || r.operation.ranks < 2) return false;
  const bool messages = std::string_view(r.operation.name) == "transfer";
  return !messages && !is_message(collective_named(r.operation.name));
}

// Whether a kernel begins only after a meeting.
bool has_met(const std::vector<Record>& records, const Record& r) {
  return r.after >= 0 && computes(r) && is_meeting(records[static_cast<std::size_t>(r.after)]);
}

// What is computed after the last meeting that kernels wait for.
double after_last_meeting(const std::vector<Record>& records, const std::vector<double>& seconds) {
  double sum = 0;
  for (std::size_t i = records.size(); i-- > 0;) {
    if (computes(records[i])) sum += seconds[i];
    if (has_met(records, records[i])) break;
  }
  return sum;
}

}  // namespace

// E max = integral over x > 0 of 1 - F^n, less that over x < 0 of F^n, where F is the normal
// distribution; trapezoids.
double expected_greatest(int n) {
  constexpr double kEnd = 8, kStep = 1.0 / 64;
  double sum = 0;
  for (double x = -kEnd; x <= kEnd; x += kStep) {
    const double below = std::pow(std::erfc(-x / std::sqrt(2.0)) / 2, n);
    sum += x > 0 ? 1 - below : x < 0 ? -below : (1 - 2 * below) / 2;
  }
  return n > 1 ? sum * kStep : 0;
}

Figure waiting_seconds(const Machine& machine, int ranks, double seconds) {
  const SkewProfile& skew = machine.skew;
  if (skew.waiting.empty() || skew.ranks < 2 || ranks < 2 || seconds <= 0) return {};
  const Figure f = skew.waiting.figure_at(seconds);
  const double grown =
      ranks == skew.ranks ? 1 : expected_greatest(ranks) / expected_greatest(skew.ranks);
  return {f.value * grown, f.low * grown, f.high * grown};
}

std::vector<double> lateness_of(const std::vector<Record>& records,
                                const std::vector<double>& seconds, const Machine& machine,
                                double (*value)(const Figure&)) {
  std::vector<double> late(records.size());
  if (machine.skew.waiting.empty()) return late;
  double computed = after_last_meeting(records, seconds);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (has_met(records, records[i])) computed = 0;
    if (computes(records[i])) computed += seconds[i];
    if (is_meeting(records[i]))
      late[i] = value(waiting_seconds(machine, records[i].operation.ranks, computed));
  }
  return late;
}

}  // namespace lockstep
