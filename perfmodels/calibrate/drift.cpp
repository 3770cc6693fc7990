// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/drift.hpp"

#include <algorithm>
#include <map>

namespace lockstep {

double drift_of(const Sampler& sampler, const std::vector<std::size_t>& items) {
  std::map<std::size_t, std::vector<double>> by_round;
  for (const std::size_t item : items) {
    const Samples& samples = sampler.samples(item);
    if (samples.num_visits() < 2) continue;
    const double usual = samples.figure().value;
    for (std::size_t round = 0; round < samples.num_visits(); ++round)
      by_round[round].push_back(median_of(samples.visits()[round]) / usual);
  }
  if (by_round.size() < 2) return 0;
  std::vector<double> factors;
  for (auto& [round, ratios] : by_round)
    factors.push_back(median_of(std::move(ratios)));
  const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
  return (*most - *least) / 2;
}

}  // namespace lockstep
