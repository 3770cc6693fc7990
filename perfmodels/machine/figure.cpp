// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/machine/figure.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"

namespace lockstep {

namespace {

Figure scaled(const Figure& f, double value) {
  const double by = value / f.value;
  return {value, f.low * by, f.high * by};
}

}  // namespace

Figure sum(const Figure& a, const Figure& b) {
  if (a.high == 0 && b.high == 0) return {a.value + b.value};
  const auto low = [](const Figure& f) { return f.high > 0 ? f.low : f.value; };
  const auto high = [](const Figure& f) { return f.high > 0 ? f.high : f.value; };
  return {a.value + b.value, low(a) + low(b), high(a) + high(b)};
}

bool Curve::covers(double x) const {
  return !points_.empty() && points_.front().x <= x && x <= points_.back().x;
}

Figure Curve::figure_at(double x) const {
  expect(!points_.empty(), "a curve without points");
  if (points_.size() == 1 || x <= 0) return points_.front().y;
  auto right = std::upper_bound(points_.begin(), points_.end(), x,
                                [](double v, const Point& p) { return v < p.x; });
  right = std::clamp(right, points_.begin() + 1, points_.end() - 1);
  const Point &a = *(right - 1), &b = *right;
  double slope = std::log(b.y.value / a.y.value) / std::log(b.x / a.x);
  if (!covers(x)) slope = std::clamp(slope, 0.0, 1.0);
  const Point& nearest = x > b.x ? b : a;
  const double value = nearest.y.value * std::pow(x / nearest.x, slope);
  const Figure& wider = a.y.spread() > b.y.spread() ? a.y : b.y;
  return scaled(wider, value);
}

}  // namespace lockstep
