// SPDX-License-Identifier: Apache-2.0
// In which round of a run each visit was made, and which rounds found the machine in one state.
//
// A host moves its virtual cores now and then: two that share a cache pass messages three times as
// fast as two that do not, and stay so for a minute. Medians over such a change mix two machines.
#pragma once

#include <functional>
#include <vector>

#include "perfmodels/calibrate/collective_curves.hpp"

namespace lockstep {

class Rounds {
 public:
  explicit Rounds(const Sampler& sampler) : sampler_(sampler) {}

  // After each round, for each item that was visited in it.
  void note();
  int count() const { return count_; }

  using Kept = std::function<bool(int round)>;
  // Median of the medians of the visits in those rounds; 0: there are fewer than `least`.
  double median(std::size_t item, std::size_t series, const Kept& kept, std::size_t least) const;
  // Of each round the median, over all series of the points, of what a visit took more than the
  // fastest one of its series; 0 where nothing was visited.
  std::vector<double> slowness(const std::vector<CollectivePoint>& points) const;

 private:
  const Sampler& sampler_;
  int count_ = 0;
  std::vector<std::vector<int>> rounds_{};  // of the visits of each item
};

// Of fewer visits a median says nothing of the machine: neither a curve nor a judgement.
inline constexpr std::size_t kLeastVisits = 3;

// The most rounds whose slowness lies within `width` of each other, as a share.
std::vector<bool> steady(const std::vector<double>& slowness, double width);

}  // namespace lockstep
