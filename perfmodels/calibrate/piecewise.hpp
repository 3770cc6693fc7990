// SPDX-License-Identifier: Apache-2.0
// Straight lines t = alpha + beta n through measured times of messages, one for each protocol that
// the data shows: 1 to 4 segments, the number chosen by the Bayesian information criterion, the
// places where they meet by dynamic programming. Errors are relative, so that small messages count
// as much as large ones; alpha and beta are never negative, whatever the noise asks for.
// O(n^2) fits of O(n) for n points.
#pragma once

#include <vector>

#include "perfmodels/machine/machine.hpp"

namespace lockstep {

inline constexpr int kMostSegments = 4;

struct PiecewiseFit {
  std::vector<Segment> segments;
  double median_error = 0, worst_error = 0;  // of a point, as a share of its time

  double at(double bytes) const;
  const Segment& segment_of(double bytes) const;
};

// Of ascending points. Two at least; fewer than six make one segment.
PiecewiseFit fit_segments(const std::vector<Point>& points, int most = kMostSegments);

// The points, made to ascend: neighbours that contradict each other become their mean, in which the
// one with the narrower interval counts more. For times of which it is known that they ascend:
// what disturbs a measurement of milliseconds disturbs single points of it.
// R. Barlow et al., Statistical Inference under Order Restrictions, 1972: pool adjacent violators.
std::vector<Point> ascending(const std::vector<Point>& points);

// Where messages begin to wait for their receiver: between the last point of one segment and the
// first of the next if the time jumps there by a sixth at least, and the intercept grows beyond
// what the scatter explains (a slope that changes at the end of a cache leaves the time
// continuous). Of several jumps, that of the intercept that grows most.
struct Jump {
  double below = 0, above = 0;  // bytes of the two points; zero: there is none
  bool found() const { return above > 0; }
};
Jump find_jump(const PiecewiseFit& fit, const std::vector<Point>& points);

}  // namespace lockstep
