// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/jumps.hpp"

#include <algorithm>
#include <cmath>

namespace lockstep {

namespace {

// As a power of x.
double growth(const Point& a, const Point& b) {
  return std::log(b.y.value / a.y.value) / std::log(b.x / a.x);
}

}  // namespace

double steepness(const std::vector<Point>& curve, std::size_t i) {
  double usual = 1;
  if (i > 0) usual = std::min(usual, growth(curve[i - 1], curve[i]));
  if (i + 2 < curve.size()) usual = std::min(usual, growth(curve[i + 1], curve[i + 2]));
  const double more = growth(curve[i], curve[i + 1]) - std::max(usual, 0.0);
  const double fall = curve[i].y.value / curve[i + 1].y.value;
  return std::max(std::pow(curve[i + 1].x / curve[i].x, more), fall);
}

}  // namespace lockstep
