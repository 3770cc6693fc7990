// SPDX-License-Identifier: Apache-2.0
// Segments that were planted in synthetic times are found again.
#include "perfmodels/calibrate/piecewise.hpp"

#include <cmath>
#include <random>

#include "tests/support/catch.hpp"

using namespace lockstep;

namespace {

// Two sizes for each power of two from 8 bytes to 16 MiB, with so much noise.
template <class Time>
std::vector<Point> measured(Time time, double noise, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> scatter(0.0, noise);
  std::vector<Point> points;
  for (int i = 0; i <= 42; ++i) {
    const double n = std::round(8 * std::exp2(i / 2.0));
    points.push_back({n, {.value = time(n) * std::exp(scatter(random))}});
  }
  return points;
}

double straight(double n) {
  return 2e-6 + n / 10e9;
}
double rendezvous(double n) {
  return n <= 65536 ? 1e-3 + n / 12.5e6 : 3e-3 + n / 12.5e6;
}
double cache(double n) {  // the slope changes, the time does not jump
  return 1e-6 + std::min(n, 262144.0) / 16e9 + std::max(n - 262144.0, 0.0) / 6e9;
}

}  // namespace

TEST_CASE("a straight line is one segment") {
  const PiecewiseFit fit = fit_segments(measured(straight, 0.01));
  REQUIRE(fit.segments.size() == 1);
  CHECK(fit.segments[0].alpha.value == Approx(2e-6).epsilon(0.02));
  CHECK(fit.segments[0].beta.value == Approx(1e-10).epsilon(0.02));
  CHECK(fit.segments[0].alpha.low < 2e-6);
  CHECK(fit.segments[0].alpha.high > 2e-6);
  CHECK(fit.median_error < 0.02);
}

TEST_CASE("a planted rendezvous is found, at its place and with its constants") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    const std::vector<Point> points = measured(rendezvous, 0.01, seed);
    const PiecewiseFit fit = fit_segments(points);
    const Jump jump = find_jump(fit, points);
    REQUIRE(jump.found());
    CHECK(jump.below == 65536);
    CHECK(jump.above == Approx(92682).margin(1));
    CHECK(fit.segment_of(8).alpha.value == Approx(1e-3).epsilon(0.05));
    CHECK(fit.segment_of(16 << 20).beta.value == Approx(1 / 12.5e6).epsilon(0.02));
  }
}

TEST_CASE("a slope that changes without a jump is two segments and no rendezvous") {
  const std::vector<Point> points = measured(cache, 0.005);
  const PiecewiseFit fit = fit_segments(points);
  CHECK(fit.segments.size() >= 2);
  CHECK(fit.segments.back().beta.value == Approx(1 / 6e9).epsilon(0.05));
  CHECK_FALSE(find_jump(fit, points).found());
}

TEST_CASE("noise makes no constant negative and no protocols of its own") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    for (const double noise : {0.03, 0.3, 1.0}) {
      const PiecewiseFit fit = fit_segments(measured(straight, noise, seed));
      CHECK(fit.segments.size() <= static_cast<std::size_t>(kMostSegments));
      for (const Segment& s : fit.segments) {
        CHECK(s.alpha.value >= 0);
        CHECK(s.beta.value >= 0);
        CHECK(s.alpha.low >= 0);
        CHECK(s.beta.low >= 0);
        CHECK(s.alpha.low <= s.alpha.value);
        CHECK(s.beta.value <= s.beta.high);
      }
    }
  }
}

TEST_CASE("times that fall with the size are flat, not negative") {
  const PiecewiseFit fit =
      fit_segments({{8, {.value = 3}}, {16, {.value = 2}}, {32, {.value = 1}}});
  REQUIRE(fit.segments.size() == 1);
  CHECK(fit.segments[0].beta.value == 0);
  CHECK(fit.segments[0].alpha.value > 0);
}

TEST_CASE("two points are a line") {
  const PiecewiseFit fit = fit_segments({{1000, {.value = 2}}, {2000, {.value = 3}}});
  CHECK(fit.at(1500) == Approx(2.5));
}

TEST_CASE("points that contradict each other are pooled, the certain ones counting more") {
  const std::vector<Point> points{
      {1, {10, 9.9, 10.1}}, {2, {30, 10, 40}}, {4, {11, 10.9, 11.1}}, {8, {20, 19, 21}}};
  const std::vector<Point> result = ascending(points);
  REQUIRE(result.size() == points.size());
  CHECK(result[0].y.value == 10);
  CHECK(result[1].y.value == result[2].y.value);
  CHECK(result[1].y.value == Approx(11).epsilon(0.01));
  CHECK(result[2].x == 4);
  CHECK(result[3].y.value == 20);
}
