// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/protocol_steps.hpp"

#include <algorithm>

#include "collectives/record.hpp"
#include "perfmodels/simulate/networks.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kElement = sizeof(float);
constexpr double kApart = 1.02;  // no further, and two steps are one: of blocks that are not even

// How many events of the schedule take the long way.
int long_events(const Algorithm& algorithm, std::size_t bytes, const GroupShape& group,
                const ShortBytes& longest) {
  const Schedule schedule =
      record(algorithm, priced_call(algorithm.what, static_cast<double>(bytes), group));
  int count = 0;
  for (const Track& track : schedule.ranks) {
    for (const Event& e : track.events) {
      if (e.what == Event::What::send) count += track.ins(e)[0].bytes > longest.message;
      if (e.what == Event::What::stage) count += track.ins(e)[0].bytes > longest.staged;
    }
  }
  return count;
}

// Between two sizes, by bisection; what steps up and down again in between is not seen.
template <class Count>
void find_steps(std::size_t from, int before, std::size_t to, int behind, const Count& count,
                std::vector<ProtocolStep>& steps) {
  if (before == behind) return;
  const std::size_t middle = (from + to) / 2 / kElement * kElement;
  if (middle <= from) return steps.push_back({from, to});
  const int there = count(middle);
  find_steps(from, before, middle, there, count, steps);
  find_steps(middle, there, to, behind, count, steps);
}

// Ascending, with those next to each other as one.
std::vector<ProtocolStep> joined(std::vector<ProtocolStep> steps) {
  std::sort(steps.begin(), steps.end(),
            [](const ProtocolStep& a, const ProtocolStep& b) { return a.below < b.below; });
  std::vector<ProtocolStep> all;
  for (const ProtocolStep& s : steps) {
    const bool next = !all.empty() && static_cast<double>(s.above) <=
                                          kApart * static_cast<double>(all.back().below);
    if (next) {
      all.back().above = std::max(all.back().above, s.above);
    } else {
      all.push_back(s);
    }
  }
  return all;
}

}  // namespace

std::vector<ProtocolStep> protocol_steps(Collective what, const GroupShape& group,
                                         const ShortBytes& longest) {
  std::vector<ProtocolStep> steps;
  if (!group.shared_memory || group.nodes > 1) return steps;
  const std::size_t least = kElement * static_cast<std::size_t>(group.ranks);
  const std::size_t most = 2 * longest.message * static_cast<std::size_t>(group.ranks);
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what != what || algorithm->refusal(group)) continue;
    const auto count = [&](std::size_t bytes) {
      return long_events(*algorithm, bytes, group, longest);
    };
    const std::size_t end = std::min(most, algorithm->largest);
    find_steps(least, count(least), end, count(end), count, steps);
  }
  std::sort(steps.begin(), steps.end(),
            [](const ProtocolStep& a, const ProtocolStep& b) { return a.below < b.below; });
  return joined(steps);
}

}  // namespace lockstep
