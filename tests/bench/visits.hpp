// SPDX-License-Identifier: Apache-2.0
// The visits of each point of a run of check_prices, and in which state they found the machine.
//
// A host moves its virtual cores now and then: two that share a cache meet and pass messages three
// times as fast as two that do not, for some seconds or a minute. Medians over such a change mix
// two machines. So the ranks meet before and behind every visit, and what a meeting takes tells
// them apart: no measurement that is judged decides which visits count.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "perfmodels/calibrate/collective_curves.hpp"

namespace lockstep {

struct Visit {
  double before = 0, after = 0;   // seconds of a meeting, next to it; 0: nobody looked
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

// One state of the machine: visits whose meetings before and behind took no less than `least` and
// no more than `most`.
struct MachineState {
  double least = 0, most = 0;
  double share = 0;  // of all visits
  bool holds(const Visit& visit) const {
    return least <= std::min(visit.before, visit.after) &&
           std::max(visit.before, visit.after) <= most;
  }
};

// The states whose meetings differ by no more than `width`, as a share, the most common first;
// visits during which it changed are in none.
std::vector<MachineState> states_of(const std::vector<VisitedPoint>& points, double width);

// A file that keeps points with their visits, so that a run goes on in another one. The points of
// no file are none; ConfigError where it is of something else.
void write_visits(const std::string& path, const std::vector<VisitedPoint>& points);
std::vector<VisitedPoint> read_visits(const std::string& path);

}  // namespace lockstep
