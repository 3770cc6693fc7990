// SPDX-License-Identifier: Apache-2.0
#include "perfmodels/calibrate/protocol_steps.hpp"

#include <algorithm>
#include <utility>

#include "collectives/record.hpp"
#include "collectives/sample_call.hpp"
#include "collectives/shared_memory.hpp"
#include "perfmodels/simulate/networks.hpp"

namespace lockstep {

namespace {

constexpr std::size_t kElement = sizeof(float);
constexpr double kApart = 1.02;  // no further, and two steps are one: of blocks that are not even

// Of the call that is going to be timed: blocks are of whole elements, and all_to_all leaves some.
Schedule schedule_of(const Algorithm& algorithm, std::size_t bytes, const GroupShape& group) {
  GroupCall call = priced_call(algorithm.what, static_cast<double>(bytes), group);
  call.dtype = DType::float32;
  call.blocks =
      Sample{.what = algorithm.what, .count = bytes / kElement, .ranks = group.ranks}.blocks();
  return record(algorithm, call);
}

int num_long(const Schedule& schedule, TrackEvent::What what, std::size_t longest) {
  int count = 0;
  for (const Track& track : schedule.ranks) {
    for (const TrackEvent& e : track.events)
      count += e.what == what && track.ins(e)[0].bytes > longest;
  }
  return count;
}

// What ranks do in memory that they share: stage few bytes or many, or show them where they are.
struct Shared {
  int staged = 0, shown = 0;
  bool operator==(const Shared&) const = default;
};
Shared shared_events(const Schedule& schedule, std::size_t longest) {
  Shared count{.staged = num_long(schedule, TrackEvent::What::stage, longest)};
  for (const Track& track : schedule.ranks) {
    for (const TrackEvent& e : track.events)
      count.shown += e.what == TrackEvent::What::show;
  }
  return count;
}

// Between two sizes, by bisection; what steps up and down again in between is not seen.
template <class Events, class Count>
void find_steps(std::size_t from, const Events& before, std::size_t to, const Events& behind,
                const Count& count, std::vector<ProtocolStep>& steps) {
  if (before == behind) return;
  const std::size_t middle = (from + to) / 2 / kElement * kElement;
  if (middle <= from) return steps.push_back({from, to});
  const Events there = count(middle);
  find_steps(from, before, middle, there, count, steps);
  find_steps(middle, there, to, behind, count, steps);
}

template <class Count>
void find_steps(std::size_t from, std::size_t to, const Count& count,
                std::vector<ProtocolStep>& steps) {
  find_steps(from, count(from), to, count(to), count, steps);
}

// Ascending, with those next to each other as one: no size is in two steps.
std::vector<ProtocolStep> joined(std::vector<ProtocolStep> steps) {
  std::sort(steps.begin(), steps.end(),
            [](const ProtocolStep& a, const ProtocolStep& b) { return a.below < b.below; });
  std::vector<ProtocolStep> all;
  for (const ProtocolStep& s : steps) {
    const auto next_to = [&](const ProtocolStep& last) {
      return s.below <= last.above ||
             static_cast<double>(s.above) <= kApart * static_cast<double>(last.below);
    };
    if (!all.empty() && next_to(all.back())) {
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
  const auto ranks = static_cast<std::size_t>(group.ranks);
  const std::size_t least = kElement * ranks;
  for (const Algorithm* algorithm : algorithms()) {
    if (algorithm->what != what || algorithm->refusal(group)) continue;
    const auto sent = [&](std::size_t bytes) {
      return num_long(schedule_of(*algorithm, bytes, group), TrackEvent::What::send,
                      longest.message);
    };
    const auto shared = [&](std::size_t bytes) {
      return shared_events(schedule_of(*algorithm, bytes, group), longest.staged);
    };
    find_steps(least, std::min(2 * longest.message * ranks, algorithm->largest), sent, steps);
    find_steps(least, std::min(2 * kStageBytes * ranks, algorithm->largest), shared, steps);
  }
  return joined(std::move(steps));
}

}  // namespace lockstep
