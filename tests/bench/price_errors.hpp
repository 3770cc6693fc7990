// SPDX-License-Identifier: Apache-2.0
// Errors of prices against what was measured, beside the noise of the reference itself and what
// three simpler answers miss by; each line with the bar that it is held to.
//
//   noise        of a reference: half of what the medians of its even and its odd visits differ by,
//                since each has half of the visits, and both err
//   measurable   its 90 % interval reaches no further than kMeasurable from its median: said by the
//                reference alone, whatever the price is
#pragma once

#include <map>
#include <string>
#include <vector>

#include "perfmodels/machine/machine.hpp"
#include "tests/bench/visits.hpp"

namespace lockstep {

struct Errors {
  std::vector<double> values{};  // signed shares

  double mean() const;  // of their sizes, as median, p95 and greatest
  double median() const;
  double p95() const;
  double greatest() const;  // the largest value, with its sign
  void print(const std::string& name) const;
};

class PriceErrors {
 public:
  // What was measured: in the visits kept. `machine` holds the curves of the same visits, and links
  // where the closed formulas are to be judged as well.
  PriceErrors(const Machine& machine, const GroupShape& group, const Kept& kept)
      : machine_(machine), group_(group), kept_(kept) {}

  void add(const VisitedPoint& visited);
  // The tables; whether every bar is kept.
  bool print() const;

 private:
  struct Worst {
    double error;
    std::string text;
  };

  void add_price(const VisitedPoint& visited, std::size_t c, double measured, double predicted);
  void add_baselines(const CollectivePoint& point, std::size_t c, double measured);
  static void print_worst(const char* name, std::vector<Worst> all);
  const CollectiveCurve* curve_of(const CollectivePoint& point, std::size_t c) const;

  const Machine& machine_;
  GroupShape group_;
  Kept kept_;
  Errors all_{}, measurable_{}, noise_{}, regret_{}, against_library_{};
  std::map<std::string, Errors> by_operation_{}, measurable_of_{}, noise_of_{}, baselines_{};
  std::vector<Worst> worst_{}, regretted_{};
  int unjudged_ = 0;
};

}  // namespace lockstep
