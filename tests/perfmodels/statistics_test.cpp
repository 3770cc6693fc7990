// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/statistics.hpp"

#include <cmath>
#include <random>

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
