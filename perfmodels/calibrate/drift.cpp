// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/drift.hpp"

#include <cmath>
#include <map>

namespace lockstep {

namespace {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values)
    sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double v : values)
    squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

}  // namespace

double drift_between(const std::vector<std::vector<double>>& items) {
  std::map<std::size_t, std::vector<double>> by_round;
  for (std::vector<double> logs : items) {
    if (logs.size() < 2) continue;
    for (double& t : logs)
      t = std::log(t);
    const double mean = mean_of(logs);
    for (std::size_t round = 0; round < logs.size(); ++round)
      by_round[round].push_back(logs[round] - mean);
  }
  if (by_round.size() < 2) return 0;
  std::vector<double> changes;
  for (auto& [round, logs] : by_round)
    changes.push_back(median_of(std::move(logs)));
  const auto rounds = static_cast<double>(changes.size());
  const double t = student(static_cast<int>(changes.size()) - 1);
  return std::expm1(t * deviation_of(changes) * std::sqrt(1 + 1 / rounds));
}

double drift_of(const Sampler& sampler, const std::vector<std::size_t>& items) {
  std::vector<std::vector<double>> all;
  for (const std::size_t item : items) {
    std::map<std::size_t, std::vector<double>> by_round;
    const std::vector<std::vector<double>>& visits = sampler.samples(item).visits();
    for (std::size_t v = 0; v < visits.size(); ++v)
      by_round[sampler.rounds(item)[v]].push_back(median_of(visits[v]));
    std::vector<double>& medians = all.emplace_back();
    for (auto& [round, of_round] : by_round)
      medians.push_back(median_of(std::move(of_round)));
  }
  return drift_between(all);
}

}  // namespace lockstep
