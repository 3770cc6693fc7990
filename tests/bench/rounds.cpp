// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/rounds.hpp"

#include <algorithm>

namespace lockstep {

void Rounds::note() {
  rounds_.resize(sampler_.size());
  for (std::size_t item = 0; item < sampler_.size(); ++item)
    rounds_[item].resize(sampler_.samples(item).num_visits(), count_);
  ++count_;
}

double Rounds::median(std::size_t item, std::size_t series, const Kept& kept,
                      std::size_t least) const {
  std::vector<double> medians;
  const auto& visits = sampler_.samples(item, series).visits();
  for (std::size_t v = 0; v < visits.size(); ++v) {
    if (kept(rounds_[item][v])) medians.push_back(median_of(visits[v]));
  }
  return medians.size() < least ? 0 : median_of(std::move(medians));
}

std::vector<double> Rounds::slowness(const std::vector<CollectivePoint>& points) const {
  std::vector<std::vector<double>> ratios(static_cast<std::size_t>(count_));
  for (const CollectivePoint& p : points) {
    for (std::size_t c = 0; c < p.labels.size(); ++c) {
      std::vector<double> medians;
      for (const std::vector<double>& visit : sampler_.samples(p.item, c).visits())
        medians.push_back(median_of(visit));
      const double least = *std::min_element(medians.begin(), medians.end());
      for (std::size_t v = 0; v < medians.size(); ++v)
        ratios[static_cast<std::size_t>(rounds_[p.item][v])].push_back(medians[v] / least);
    }
  }
  std::vector<double> all;
  for (std::vector<double>& r : ratios)
    all.push_back(r.empty() ? 0 : median_of(std::move(r)));
  return all;
}

std::vector<bool> steady(const std::vector<double>& slowness, double width) {
  std::vector<bool> best(slowness.size());
  std::ptrdiff_t most = 0;
  for (const double least : slowness) {
    std::vector<bool> in(slowness.size());
    for (std::size_t r = 0; r < slowness.size(); ++r)
      in[r] = least > 0 && least <= slowness[r] && slowness[r] <= least * (1 + width);
    const std::ptrdiff_t count = std::count(in.begin(), in.end(), true);
    if (count <= most) continue;
    most = count;
    best = in;
  }
  return best;
}

}  // namespace lockstep
