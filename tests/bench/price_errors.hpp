// SPDX-License-Identifier: Apache-2.0
// Errors of prices against what was measured, beside the noise floor of the same run and what three
// simpler answers miss by; each line with the bar that it is held to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/bench/rounds.hpp"

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
  // What was measured: of the rounds kept. `machine` holds the curves of the same rounds, and links
  // where the closed formulas are to be judged as well.
  PriceErrors(const Machine& machine, const GroupShape& group, const Rounds& rounds,
              const Rounds::Kept& kept)
      : machine_(machine), group_(group), rounds_(rounds), kept_(kept) {}

  void add(const CollectivePoint& point);
  // The tables; whether every bar is kept.
  bool print() const;

 private:
  struct Worst {
    double error;
    std::string text;
  };

  void add_price(const CollectivePoint& point, std::size_t c, double measured, double predicted);
  void add_baselines(const CollectivePoint& point, std::size_t c, double measured);
  static void print_worst(const char* name, std::vector<Worst> all);
  const CollectiveCurve* curve_of(const CollectivePoint& point, std::size_t c) const;

  const Machine& machine_;
  GroupShape group_;
  const Rounds& rounds_;
  Rounds::Kept kept_;
  Errors all_{}, calm_{}, floor_{}, regret_{}, against_library_{};
  std::map<std::string, Errors> by_operation_{}, floor_of_{}, baselines_{};
  std::vector<Worst> worst_{}, regretted_{};
  int unjudged_ = 0;
};

}  // namespace lockstep
