// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/states.hpp"

#include <algorithm>

namespace lockstep {

namespace {

constexpr double kSameState =
    0.6;  // values of one state are no further apart than that, as a share
constexpr std::size_t kMostStates = 3;
constexpr std::size_t kTried = 500;  // lower bounds, of very many visits

double least_of(const Watched& visit) {
  return std::min(visit.before, visit.after);
}

MachineState fullest(const std::vector<Watched>& ascending) {
  MachineState best;
  std::ptrdiff_t most = 0;
  const std::size_t step = 1 + ascending.size() / kTried;
  for (std::size_t i = 0; i < ascending.size(); i += step) {
    const double least = least_of(ascending[i]);
    const MachineState state{least, least * (1 + kSameState), 0};
    const auto inside = [&](const Watched& v) { return state.holds(v); };
    const auto begin = ascending.begin() + static_cast<std::ptrdiff_t>(i);
    const std::ptrdiff_t count = std::count_if(begin, ascending.end(), inside);
    if (count <= most) continue;
    most = count;
    best = state;
  }
  best.share = static_cast<double>(most);
  return best;
}

}  // namespace

bool MachineState::holds(const Watched& visit) const {
  return least <= least_of(visit) && std::max(visit.before, visit.after) <= most;
}

std::vector<MachineState> states_of(std::vector<Watched> visits) {
  const auto all = static_cast<double>(visits.size());
  std::sort(visits.begin(), visits.end(),
            [](const Watched& a, const Watched& b) { return least_of(a) < least_of(b); });
  std::vector<MachineState> states;
  while (states.size() < kMostStates && !visits.empty()) {
    MachineState state = fullest(visits);
    if (state.share == 0) break;
    state.share /= all;
    states.push_back(state);
    visits.erase(std::remove_if(visits.begin(), visits.end(),
                                [&](const Watched& v) { return state.holds(v); }),
                 visits.end());
  }
  return states;
}

Figure as_usual(const Figure& rarer, double x, const std::vector<InBoth>& both) {
  std::vector<Point> ratios;
  for (const InBoth& place : both)
    ratios.push_back({place.x, {place.usual / place.rarer}});
  const double inside = std::clamp(x, ratios.front().x, ratios.back().x);
  const double ratio = Curve(std::move(ratios)).at(inside);
  return {rarer.value * ratio, rarer.low * ratio, rarer.high * ratio};
}

}  // namespace lockstep
