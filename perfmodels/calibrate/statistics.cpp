// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/statistics.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

constexpr double kZ = 1.645;  // of a normal distribution, two-sided 90 %
constexpr double kFarOut = 3;

double middle_of_sorted(const std::vector<double>& v) {
  const std::size_t half = v.size() / 2;
  return v.size() % 2 == 1 ? v[half] : (v[half - 1] + v[half]) / 2;
}

double sorted_at(const std::vector<double>& v, double place) {
  const double last = static_cast<double>(v.size()) - 1;
  return v[static_cast<std::size_t>(std::clamp(place, 0.0, last))];
}

}  // namespace

double median_of(std::vector<double> values) {
  expect(!values.empty(), "the median of nothing");
  std::sort(values.begin(), values.end());
  return middle_of_sorted(values);
}

Figure median_figure(std::vector<double> values) {
  expect(!values.empty(), "the median of nothing");
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  const double wide = kZ * std::sqrt(n);
  return {.value = middle_of_sorted(values),
          .low = sorted_at(values, std::floor((n - wide) / 2) - 1),
          .high = sorted_at(values, std::ceil(1 + (n + wide) / 2) - 1)};
}

// By table, then by its expansion about the normal.
double student(int freedom) {
  constexpr double kFew[] = {6.314, 2.920, 2.353, 2.132, 2.015};
  if (freedom <= 5) return kFew[freedom - 1];
  const double v = freedom;
  return kZ + 1.524 / v + 1.42 / (v * v);
}

int count_outliers(std::vector<double> values) {
  if (values.size() < 4) return 0;
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  const double low = sorted_at(values, n / 4), high = sorted_at(values, 3 * n / 4);
  const double reach = kFarOut * (high - low);
  return static_cast<int>(std::count_if(
      values.begin(), values.end(), [&](double v) { return v < low - reach || v > high + reach; }));
}

std::size_t Samples::count() const {
  std::size_t n = 0;
  for (const std::vector<double>& visit : visits_)
    n += visit.size();
  return n;
}

std::vector<double> Samples::all() const {
  std::vector<double> values;
  for (const std::vector<double>& visit : visits_)
    values.insert(values.end(), visit.begin(), visit.end());
  return values;
}

void Samples::begin_visit() {
  visits_.emplace_back();
  counts_.push_back(true);
}

void Samples::count_only(std::vector<bool> visits) {
  expect(visits.size() == visits_.size(), "a word for each visit, whether it counts");
  counts_ = std::move(visits);
}

std::size_t Samples::num_counted() const {
  return static_cast<std::size_t>(std::count(counts_.begin(), counts_.end(), true));
}

// Every visit counts alike, however many samples it had time for.
Figure Samples::figure() const {
  const bool any = num_counted() > 0;
  std::vector<double> medians, values;
  for (std::size_t v = 0; v < visits_.size(); ++v) {
    if (visits_[v].empty() || (any && !counts_[v])) continue;
    medians.push_back(median_of(visits_[v]));
    values.insert(values.end(), visits_[v].begin(), visits_[v].end());
  }
  Figure f = median_figure(std::move(medians));
  const Figure pooled = median_figure(std::move(values));
  f.low = std::min(f.low, pooled.low);
  f.high = std::max(f.high, pooled.high);
  return f;
}

bool Samples::settled(double share) const {
  if (num_counted() < 2 || empty()) return false;
  const Figure f = figure();
  return f.high - f.low <= share * f.value;
}

}  // namespace lockstep
