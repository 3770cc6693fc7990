// SPDX-License-Identifier: Apache-2.0
// The visits of each point of a run of check_prices, and in which state they found the machine.
//
// The ranks meet before and behind every visit, and what a meeting takes tells the states apart
// (perfmodels/calibrate/states.hpp): no measurement that is judged decides which visits count.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perfmodels/calibrate/collective_curves.hpp"

namespace lockstep {

struct Visit : Watched {          // seconds of a meeting
  std::vector<double> seconds{};  // of each candidate the median
};

struct VisitedPoint {
  CollectivePoint point;
  bool calibrated = false;  // else it is judged
  std::vector<Visit> visits{};
};

using Kept = std::function<bool(const Visit&)>;

// Of fewer visits a median says nothing of the machine: neither a curve nor a judgement.
inline constexpr std::size_t kLeastVisits = 3;

// What candidate `c` took in the visits that are kept, in order of time.
std::vector<double> seconds_of(const VisitedPoint& point, std::size_t c, const Kept& kept);
// Their median; 0 of fewer than kLeastVisits.
double median_of(const VisitedPoint& point, std::size_t c, const Kept& kept);

// Of the visits of all points.
std::vector<MachineState> states_of(const std::vector<VisitedPoint>& points);

// A file that keeps points with their visits, so that a run goes on in another one. The points of
// no file are none; ConfigError where it is of something else.
void write_visits(const std::string& path, const std::vector<VisitedPoint>& points);
std::vector<VisitedPoint> read_visits(const std::string& path);

}  // namespace lockstep
