// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/statistics.hpp"

#include <cmath>
#include <random>

#include "perfmodels/calibrate/drift.hpp"
#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

std::vector<double> drawn(unsigned seed, std::size_t n) {  // skewed, as times are; the median is 1
  std::mt19937 random(seed);
  std::lognormal_distribution<double> times(0.0, 0.3);
  std::vector<double> values(n);
  for (double& v : values)
    v = times(random);
  return values;
}

Samples visits(const std::vector<std::vector<double>>& all) {
  Samples samples;
  for (const std::vector<double>& visit : all) {
    samples.begin_visit();
    for (const double v : visit)
      samples.add(v);
  }
  return samples;
}

}  // namespace

TEST_CASE("medians of odd and even numbers of values, in any order") {
  CHECK(median_of({3, 1, 2}) == 2);
  CHECK(median_of({4, 1, 3, 2}) == 2.5);
  CHECK(median_of({7}) == 7);
}

TEST_CASE("the interval is that of the order statistics") {
  std::vector<double> values;
  for (int i = 1; i <= 100; ++i)
    values.push_back(i);
  const Figure f = median_figure(values);  // places (100 - 16.45)/2 and 1 + (100 + 16.45)/2
  CHECK(f.value == 50.5);
  CHECK(f.low == 41);
  CHECK(f.high == 60);
  CHECK(median_figure({1, 2, 3}).low == 1);
  CHECK(median_figure({1, 2, 3}).high == 3);
}

TEST_CASE("nine of ten intervals of skewed samples hold the median") {
  int held = 0;
  constexpr int kTrials = 500;
  for (unsigned seed = 0; seed < kTrials; ++seed) {
    const Figure f = median_figure(drawn(seed, 40));
    held += f.low <= 1 && 1 <= f.high;
  }
  CHECK(held > 0.87 * kTrials);
  CHECK(held < 0.97 * kTrials);  // and they are no wider than that
}

TEST_CASE("outliers are counted and do not move the median") {
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i)
    values.push_back(100 + i);
  CHECK(count_outliers(values) == 0);
  for (int i = 0; i < 3; ++i)
    values.push_back(10000);
  CHECK(count_outliers(values) == 3);
  CHECK(median_of(values) == Approx(150).epsilon(0.02));
}

TEST_CASE("an interval holds what visits disagree about") {
  const Samples drifting = visits({{1, 1.01, 0.99, 1, 1}, {2, 2.01, 1.99, 2, 2}});
  CHECK(drifting.figure().low <= 1);
  CHECK(drifting.figure().high >= 2);
  CHECK_FALSE(drifting.settled(0.05));
}

TEST_CASE("samples are enough once two visits agree") {
  CHECK_FALSE(visits({{1, 1, 1, 1}}).settled(0.02));
  CHECK(visits({{1, 1, 1, 1}, {1, 1, 1.01, 1}}).settled(0.02));
  CHECK_FALSE(Samples().settled(0.02));
}

TEST_CASE("drift is what all items do together, not what each does alone") {
  std::mt19937 random(1);
  std::lognormal_distribution<double> alone(0.0, 0.02);
  const auto rounds = [&](const std::vector<double>& together) {
    std::vector<std::vector<double>> items;
    for (int i = 0; i < 999; ++i) {
      std::vector<double>& item = items.emplace_back();
      for (const double factor : together)
        item.push_back((1 + i % 7) * factor * alone(random));
    }
    return items;
  };
  CHECK(drift_between(rounds({1, 1, 1})) < 0.01);
  // Student's t of 2 degrees of freedom, deviation 0.1, one more round beside the mean of three.
  const double expected = std::expm1(2.920 * 0.1 * std::sqrt(4.0 / 3));
  CHECK(drift_between(rounds({1, std::exp(0.1), std::exp(-0.1)})) ==
        Approx(expected).epsilon(0.05));
  CHECK(drift_between(rounds({1})) == 0);
  CHECK(drift_between({}) == 0);
}

TEST_CASE("the next round lies within the drift of the first three, nine times of ten") {
  std::mt19937 random(2);
  std::normal_distribution<double> change(0, 0.05);
  int held = 0;
  constexpr int kTrials = 500;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> rounds;
    double mean = 0;
    for (int r = 0; r < 3; ++r) {
      rounds.push_back(std::exp(change(random)));
      mean += std::log(rounds.back()) / 3;
    }
    held += std::abs(change(random) - mean) <= std::log1p(drift_between({rounds, rounds}));
  }
  CHECK(held > 0.87 * kTrials);
  CHECK(held < 0.93 * kTrials);
}
