// SPDX-License-Identifier: Apache-2.0
// Numbers of a machine profile: a value with the interval that its measurement leaves, and curves
// of such values. Units are seconds, bytes, FLOP/s and bytes/s throughout.
#pragma once

#include <vector>

namespace lockstep {

// 90 % of what further medians would give lies in [low, high]; where it is not known, both are
// zero.
struct Figure {
  double value = 0;
  double low = 0, high = 0;

  bool known() const { return value != 0; }
  // Half the width of the interval as a share of the value; 0 where it is not known.
  double spread() const { return high > low && value > 0 ? (high - low) / (2 * value) : 0; }
};

// Ends to ends; where one is without an interval, its value stands for both.
Figure sum(const Figure& a, const Figure& b);

struct Point {
  double x = 0;  // bytes, mostly
  Figure y{};    // seconds, mostly
};

// Ascending points of x > 0 and y > 0, between which logarithms are interpolated. Beyond the ends
// the curve goes on with the slope of its last two points, at least flat and at most straight
// through the origin in proportion (slope 0 to 1).
class Curve {
 public:
  Curve() = default;
  explicit Curve(std::vector<Point> points) : points_(std::move(points)) {}

  bool empty() const { return points_.empty(); }
  const std::vector<Point>& points() const { return points_; }
  bool covers(double x) const;
  // Not of an empty curve.
  double at(double x) const { return figure_at(x).value; }
  Figure figure_at(double x) const;

 private:
  std::vector<Point> points_;
};

}  // namespace lockstep
