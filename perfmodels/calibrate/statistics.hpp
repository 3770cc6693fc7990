// SPDX-License-Identifier: Apache-2.0
// What repeated measurements say, without assuming how they are distributed: medians, intervals
// from order statistics, outliers counted and not removed.
//
// Samples are taken in visits, some time apart, because a machine that others use drifts: samples
// of one visit agree with each other more than with those of the next. An interval therefore holds
// both the order-statistic interval of all samples and that of the visits' medians. T. Hoefler, R.
// Belli, "Scientific Benchmarking of Parallel Computing Systems", SC 2015.
#pragma once

#include <cstddef>
#include <vector>

#include "perfmodels/machine/figure.hpp"

namespace lockstep {

// Not of nothing.
double median_of(std::vector<double> values);

// The median with the 90 % interval of its order statistics: the values at the places
// (n - z sqrt n) / 2 and 1 + (n + z sqrt n) / 2 with z = 1.645; of few values, all of them.
Figure median_figure(std::vector<double> values);

// 95 % quantile of Student's t with that many degrees of freedom, 1 or more (within 0.5 %).
double student(int freedom);

// Beyond the quartiles by more than three times their distance (Tukey's "far out").
int count_outliers(std::vector<double> values);

class Samples {
 public:
  void begin_visit();
  void add(double value) { visits_.back().push_back(value); }

  bool empty() const { return count() == 0; }
  std::size_t count() const;
  std::size_t num_visits() const { return visits_.size(); }
  std::vector<double> all() const;
  const std::vector<std::vector<double>>& visits() const { return visits_; }

  // Which visits count, as long as any does: those of the machine's usual state. Without, all.
  void count_only(std::vector<bool> visits);
  std::size_t num_counted() const;

  // Median of the medians of the visits that count; the interval as above. Not of nothing.
  Figure figure() const;
  int outliers() const { return count_outliers(all()); }
  // Two visits that count or more, and the interval is at most `share` of the median wide.
  bool settled(double share) const;

 private:
  std::vector<std::vector<double>> visits_;
  std::vector<bool> counts_;  // of each visit
};

}  // namespace lockstep
