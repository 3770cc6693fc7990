// SPDX-License-Identifier: Apache-2.0
// Which sizes a calibration adds to its curves, from what it has measured so far.
#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "perfmodels/calibrate/collective_curves.hpp"
#include "perfmodels/calibrate/jumps.hpp"

namespace lockstep {

namespace {

constexpr double kClosest = 1.7;  // neighbours that are no further apart have no midpoint
constexpr double kClosestAtJump = 1.06, kJump = 1.2;
constexpr std::size_t kMostJumps = 2;  // of a line, each time

std::size_t middle(std::size_t a, std::size_t b) {
  const double mean = std::sqrt(static_cast<double>(a) * static_cast<double>(b));
  return static_cast<std::size_t>(std::lround(mean / sizeof(float))) * sizeof(float);
}

std::size_t find(const CollectivePoint& p, const std::string& label) {
  return static_cast<std::size_t>(std::find(p.labels.begin(), p.labels.end(), label) -
                                  p.labels.begin());
}

}  // namespace

// Median of the fastest visit: so a machine that is slow for a moment makes no jump for good.
double CollectiveCalibration::fastest(const CollectivePoint& point, std::size_t candidate) const {
  double least = HUGE_VAL;
  for (const std::vector<double>& visit : sampler_.samples(point.item, candidate).visits())
    least = std::min(least, median_of(visit));
  return least;
}

// Whether point i lies off the straight line between its neighbours, for some candidate.
bool CollectiveCalibration::missed(const Line& line, std::size_t i, double by) const {
  const CollectivePoint &left = *line[i - 1], &at = *line[i], &right = *line[i + 1];
  for (std::size_t c = 0; c < at.labels.size(); ++c) {
    const std::size_t l = find(left, at.labels[c]), r = find(right, at.labels[c]);
    if (l == left.labels.size() || r == right.labels.size()) continue;
    const Curve curve({{left.place(), {fastest(left, l)}}, {right.place(), {fastest(right, r)}}});
    if (std::abs(curve.at(at.place()) / fastest(at, c) - 1) > by) return true;
  }
  return false;
}

// For the candidate that shows it most (jumps.hpp).
double CollectiveCalibration::steepness(const Line& line, std::size_t i) const {
  double most = 0;
  for (const std::string& label : line[i]->labels) {
    std::vector<Point> near;
    std::size_t at = 0;
    for (std::size_t k = i > 0 ? i - 1 : 0; k < std::min(i + 3, line.size()); ++k) {
      const std::size_t c = find(*line[k], label);
      if (c == line[k]->labels.size()) continue;
      if (k == i) at = near.size();
      near.push_back({line[k]->place(), {fastest(*line[k], c)}});
    }
    if (find(*line[i + 1], label) < line[i + 1]->labels.size())
      most = std::max(most, lockstep::steepness(near, at));
  }
  return most;
}

// The steep places that are still wide, the steepest first.
std::vector<std::size_t> CollectiveCalibration::jumps(const Line& line) const {
  std::vector<std::pair<double, std::size_t>> all;
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    const double apart = line[i + 1]->place() / line[i]->place();
    const double steep = apart > kClosestAtJump ? steepness(line, i) : 0;
    if (steep > kJump) all.emplace_back(-steep, i);
  }
  std::sort(all.begin(), all.end());
  std::vector<std::size_t> places;
  for (const auto& [steep, i] : all)
    places.push_back(i);
  return places;
}

// On one node a single visit may have found the cores in another state than its neighbour's did.
// Between nodes, where a visit takes long, that is little beside the network.
bool CollectiveCalibration::believed(const Line& line, std::size_t i) const {
  const std::size_t enough = group_.shape().nodes > 1 ? 1 : 2;
  const auto visits = [&](std::size_t k) { return sampler_.samples(line[k]->item).num_visits(); };
  return std::min(visits(i), visits(i + 1)) >= enough;
}

bool CollectiveCalibration::was_added(const CollectivePoint& point) const {
  const auto at = static_cast<std::size_t>(&point - points_.data());
  return std::find(midpoints_.begin(), midpoints_.end(), at) != midpoints_.end();
}

// Of neighbours that are wide apart: the first time, and where a midpoint beside them was missed.
bool CollectiveCalibration::needs_midpoint(const Line& line, std::size_t i, double by) const {
  if (line[i + 1]->place() < kClosest * line[i]->place()) return false;
  return !refined_ || (was_added(*line[i]) && i > 0 && missed(line, i, by)) ||
         (was_added(*line[i + 1]) && i + 2 < line.size() && missed(line, i + 1, by));
}

std::vector<std::size_t> CollectiveCalibration::refine(double by) {
  std::set<std::tuple<Collective, MemoryKind, std::size_t>> wanted;
  std::set<std::size_t> items;
  for (const Line& line : lines()) {
    const auto visit = [&](std::size_t i) { items.insert({line[i]->item, line[i + 1]->item}); };
    const auto divide = [&](std::size_t i) {
      visit(i);
      wanted.insert({line[i]->what, line[i]->memory, middle(line[i]->bytes, line[i + 1]->bytes)});
    };
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      if (needs_midpoint(line, i, by)) divide(i);
    }
    std::size_t divided = 0;
    for (const std::size_t i : refined_ ? jumps(line) : std::vector<std::size_t>()) {
      if (!believed(line, i)) {
        visit(i);
      } else if (divided++ < kMostJumps) {
        divide(i);
      }
    }
  }
  // One that was asked for before and has not been visited yet is no line's point, but may still
  // come.
  for (const CollectivePoint& p : points_)
    wanted.erase({p.what, p.memory, p.bytes});
  refined_ = true;
  midpoints_.clear();
  for (const auto& [what, memory, bytes] : wanted) {
    midpoints_.push_back(points_.size());
    add(what, memory, bytes);
    items.insert(points_.back().item);
  }
  return {items.begin(), items.end()};
}

}  // namespace lockstep
